package fsck

import (
	"cmp"
	"iter"
	"slices"
)

// run is a range of bytes of a device that data of files occupies, and how often.
type run struct {
	start, end int64 // end excluded
	refs       uint32
}

// extentSet collects the data ranges of all files on a device. It keeps them as they were added, equal
// ones once, so that sharing (equal ranges) can be told from overlap (unequal ones); beyond maxRuns
// it joins what touches, so a hostile image costs at most 24 bytes for every second block.
type extentSet struct {
	runs    []run // sorted by start, then end; no two equal
	fresh   []run // not merged yet
	joined  bool  // runs were joined: overlaps cannot be told from neighbours any more
	maxRuns int   // 0 means defaultMaxRuns
	total   int64 // bytes added, shared ones every time
}

const (
	defaultMaxRuns = 1 << 20
	minFresh       = 1 << 12
)

// add adds [start, end), not empty. A range that continues the one added before is not joined to it.
func (s *extentSet) add(start, end int64) {
	s.fresh = append(s.fresh, run{start, end, 1})
	s.total = addClamped(s.total, end-start)
	if len(s.fresh) >= max(minFresh, len(s.runs)/4) {
		s.merge()
	}
}

// merge moves fresh into runs. Since fresh has grown to a part of runs before, all merges together
// take O(n log n).
func (s *extentSet) merge() {
	slices.SortFunc(s.fresh, compareRuns)
	all := make([]run, 0, len(s.runs)+len(s.fresh))
	a, b := s.runs, s.fresh
	for len(a)+len(b) > 0 {
		var next run
		if len(b) == 0 || len(a) > 0 && compareRuns(a[0], b[0]) <= 0 {
			next, a = a[0], a[1:]
		} else {
			next, b = b[0], b[1:]
		}
		if last := len(all) - 1; last >= 0 && compareRuns(all[last], next) == 0 {
			all[last].refs = addSaturated(all[last].refs, next.refs)
			continue
		}
		all = append(all, next)
	}
	s.runs, s.fresh = all, s.fresh[:0]
	if s.maxRuns == 0 {
		s.maxRuns = defaultMaxRuns
	}
	if len(s.runs) > s.maxRuns {
		s.join()
	}
}

// join joins ranges that touch or overlap. What stays apart is separate by at least a block.
func (s *extentSet) join() {
	s.joined = true
	out := s.runs[:0]
	for _, r := range s.runs {
		if last := len(out) - 1; last >= 0 && r.start <= out[last].end {
			out[last].end = max(out[last].end, r.end)
			out[last].refs = addSaturated(out[last].refs, r.refs)
			continue
		}
		out = append(out, r)
	}
	s.runs = slices.Clip(out)
	s.maxRuns = max(s.maxRuns, 2*len(s.runs))
}

// union yields what the set covers as maximal ranges, ascending. merge must have been called.
func (s *extentSet) union() iter.Seq2[int64, int64] {
	return func(yield func(lo, hi int64) bool) {
		var lo, hi int64
		for _, r := range s.runs {
			if r.start > hi {
				if lo != hi && !yield(lo, hi) {
					return
				}
				lo = r.start
			}
			hi = max(hi, r.end)
		}
		if lo != hi {
			yield(lo, hi)
		}
	}
}

// clashes yields the ranges that two unequal runs share, ascending. merge must have been called.
func (s *extentSet) clashes() iter.Seq2[int64, int64] {
	return func(yield func(lo, hi int64) bool) {
		var reach, lo, hi int64 // reach: the furthest end until now; [lo, hi) is the clash being built
		for _, r := range s.runs {
			if r.start < reach {
				if end := min(reach, r.end); r.start > hi || lo == hi {
					if lo != hi && !yield(lo, hi) {
						return
					}
					lo, hi = r.start, end
				} else {
					hi = max(hi, end)
				}
			}
			reach = max(reach, r.end)
		}
		if lo != hi {
			yield(lo, hi)
		}
	}
}

func compareRuns(a, b run) int {
	if c := cmp.Compare(a.start, b.start); c != 0 {
		return c
	}
	return cmp.Compare(a.end, b.end)
}

func addSaturated(a, b uint32) uint32 {
	if a+b < a {
		return 1<<32 - 1
	}
	return a + b
}
