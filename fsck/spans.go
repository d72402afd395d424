package fsck

import "iter"

// spans is a sequence of ranges [lo, hi) of bytes, ascending, not touching each other.
type spans = iter.Seq2[int64, int64]

// shared yields what both a and b cover.
func shared(a, b spans) spans {
	return func(yield func(lo, hi int64) bool) {
		next, stop := iter.Pull2(iter.Seq2[int64, int64](b))
		defer stop()
		lo, hi, ok := next()
		for from, to := range a {
			for ok && hi <= from {
				lo, hi, ok = next()
			}
			for ok && lo < to {
				if !yield(max(lo, from), min(hi, to)) {
					return
				}
				if hi > to {
					break
				}
				lo, hi, ok = next()
			}
		}
	}
}

// joined yields what a or b covers; ranges that touch become one.
func joined(a, b spans) spans {
	return func(yield func(lo, hi int64) bool) {
		next, stop := iter.Pull2(iter.Seq2[int64, int64](b))
		defer stop()
		var from, to int64 // what is being built; empty if from == to
		put := func(lo, hi int64) bool {
			if from != to && lo <= to {
				to = max(to, hi)
				return true
			}
			if from != to && !yield(from, to) {
				return false
			}
			from, to = lo, hi
			return true
		}
		lo, hi, ok := next()
		for alo, ahi := range a {
			for ; ok && lo < alo; lo, hi, ok = next() {
				if !put(lo, hi) {
					return
				}
			}
			if !put(alo, ahi) {
				return
			}
		}
		for ; ok; lo, hi, ok = next() {
			if !put(lo, hi) {
				return
			}
		}
		if from != to {
			yield(from, to)
		}
	}
}

// gaps yields what a leaves of [0, size).
func gaps(a spans, size int64) spans {
	return func(yield func(lo, hi int64) bool) {
		var at int64
		for lo, hi := range a {
			if lo = min(lo, size); lo > at && !yield(at, lo) {
				return
			}
			at = max(at, hi)
		}
		if at < size {
			yield(at, size)
		}
	}
}

// scaled turns ranges of units into ranges of bytes.
func scaled(a iter.Seq2[uint64, uint64], unit int64) spans {
	return func(yield func(lo, hi int64) bool) {
		for lo, hi := range a {
			if !yield(int64(lo)*unit, int64(hi)*unit) {
				return
			}
		}
	}
}
