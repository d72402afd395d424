package fsck

import (
	"fmt"
	"io"
	"iter"
	"math"
	"slices"
	"sort"

	"github.com/laminafs/lamina/internal/disk"
)

const (
	// maxClashes bounds the list of ranges that more than one claims, for each device and kind.
	maxClashes = 1 << 12
	// maxGapBytes bounds how much of what belongs to nothing is read to see whether it is zero, and
	// what follows file data is not read at all: it is in as many places as there are files.
	maxGapBytes = 16 << 20
	readSize    = 1 << 20
	// gapPage and gapStep are what is read at least and at most to look at gaps.
	gapPage = 1 << 12
	gapStep = 1 << 14
)

// metaSpans yields what metadata covers on a device.
func (c *checker) metaSpans(device int) spans {
	return scaled(c.space[device].meta.intervals(), granule)
}

// conflicts are the ranges of a device that more than one claims.
type conflicts struct {
	meta, dataMeta, data []span
}

// conflicts collects what the claims of the walk tell about a device.
func (c *checker) conflicts(device int) conflicts {
	data := &c.space[device].data
	k := conflicts{
		meta:     c.clashes[device],
		dataMeta: some(shared(data.union(), c.metaSpans(device))),
	}
	if !data.joined && device != 0 { // parts of a base, by no means cut alike
		k.data = nil
	} else if !data.joined {
		k.data = some(before(data.clashes(), c.ownEnd()))
	}
	slices.SortFunc(k.meta, func(a, b span) int { return compareRuns(run{start: a.lo, end: a.hi}, run{start: b.lo, end: b.hi}) })
	k.meta = some(joined(seq(k.meta), func(func(lo, hi int64) bool) {}))
	return k
}

// ownEnd returns where the image itself ends in its file, and devices may follow.
func (c *checker) ownEnd() int64 {
	if c.sb == nil || c.im == nil || !c.im.Flat || c.sb.Blocks() == 0 || c.sb.Blocks() > math.MaxInt64>>c.bits {
		return math.MaxInt64
	}
	return int64(c.sb.Blocks()) << c.bits
}

// before yields the spans that begin before an offset.
func before(s spans, off int64) spans {
	return func(yield func(lo, hi int64) bool) {
		for lo, hi := range s {
			if lo >= off || !yield(lo, hi) {
				return
			}
		}
	}
}

// findOwners reports who has a part in each conflict. Claims do not keep their owner, so a second walk
// finds it; images without conflicts do not pay for it.
func (c *checker) findOwners(r io.ReaderAt) error {
	all := make([]conflicts, len(c.clashes))
	any := false
	for i := range all {
		all[i] = c.conflicts(i)
		any = any || len(all[i].meta)+len(all[i].dataMeta)+len(all[i].data) > 0
	}
	if !any {
		return nil
	}
	o := c.o
	o.Observe, o.ReadData = nil, false
	again := newChecker(r, c.space[0].size, o)
	again.max = -1
	again.record = func(cl claim) { c.owns(again.where, cl, &all[cl.device]) }
	again.run(r)
	return again.err
}

// owns reports the conflicts that a claim at w takes part in.
func (c *checker) owns(w place, cl claim, k *conflicts) {
	report := func(in []span, code Code, with string) {
		if s, ok := first(in, cl.off, cl.end); ok {
			c.addAt(w, code, cl.device, s.lo, cl.kind, "from %d to %d; bytes up to %d are %s too", cl.off, cl.end, s.hi, with)
		}
	}
	if cl.kind == KindData {
		report(k.dataMeta, OverlapDataMeta, "metadata")
		report(k.data, OverlapData, "a part of other data")
		return
	}
	report(k.dataMeta, OverlapDataMeta, "data of a file")
	report(k.meta, OverlapMeta, "other metadata")
}

// first returns what the first span that shares bytes with [lo, hi) shares with it.
func first(in []span, lo, hi int64) (span, bool) {
	i := sort.Search(len(in), func(i int) bool { return in[i].hi > lo })
	if i == len(in) || in[i].lo >= hi {
		return span{}, false
	}
	return span{max(in[i].lo, lo), min(in[i].hi, hi)}, true
}

// some collects spans, but not more than maxClashes.
func some(s spans) []span {
	var out []span
	for lo, hi := range s {
		if out = append(out, span{lo, hi}); len(out) == maxClashes {
			break
		}
	}
	return out
}

func seq(s []span) spans {
	return func(yield func(lo, hi int64) bool) {
		for _, s := range s {
			if !yield(s.lo, s.hi) {
				return
			}
		}
	}
}

// finish accounts for the bytes of the image and reads what Options ask for.
func (c *checker) finish() {
	c.where = place{dir: -1}
	c.unchecked()
	if c.sb == nil {
		return
	}
	c.observe(PhaseSpace)
	st := &c.rep.Stats
	for i := range c.space {
		data := &c.space[i].data
		var stored int64
		for lo, hi := range data.union() {
			stored += hi - lo
		}
		st.Stored += stored
		st.Saved = addClamped(st.Saved, data.total-stored)
	}
	budget := int64(maxGapBytes)
	for g := range c.gaps() {
		c.gap(g, &budget)
	}
	if c.o.ReadData {
		for i := range c.space {
			c.readData(i)
			c.deviceDigest(i)
		}
	}
	c.observe(PhaseSpace)
}

// gap is a range of the image that nothing claimed.
type gap struct {
	span
	kind Kind
}

// gaps yields what nothing claimed, cut where its meaning changes.
func (c *checker) gaps() iter.Seq[gap] {
	return func(yield func(gap) bool) {
		for lo, hi := range gaps(joined(c.space[0].data.union(), c.metaSpans(0)), c.space[0].size) {
			for lo < hi {
				g := c.cut(lo, hi)
				if !yield(g) {
					return
				}
				lo = g.hi
			}
		}
	}
}

// cut says what the first bytes of an unclaimed range of the image are, and how many of them.
func (c *checker) cut(lo, hi int64) gap {
	if lo < disk.SuperOffset {
		return gap{span{lo, min(hi, disk.SuperOffset)}, KindBoot}
	}
	if c.sb == nil {
		return gap{span{lo, hi}, KindUnread}
	}
	if n := c.sb.Blocks(); c.im.Flat && n != 0 && n < uint64(c.space[0].size>>c.bits) {
		own := int64(n) << c.bits // behind it are the devices
		if lo >= own {
			return gap{span{lo, hi}, KindDevice}
		}
		hi = min(hi, own)
	}
	switch {
	case hi-lo < c.bs:
		return gap{span{lo, hi}, KindPadding}
	case c.partial || c.missed.any():
		return gap{span{lo, hi}, KindUnread}
	}
	return gap{span{lo, hi}, KindUnused}
}

// gap counts a range that nothing claimed and reports it if it is not zero. Up to budget bytes are read
// unless Options.ReadData asks for all.
func (c *checker) gap(g gap, budget *int64) {
	st := &c.rep.Stats
	n := g.hi - g.lo
	code, text := SpacePadding, "bytes that belong to nothing are not zero"
	switch g.kind {
	case KindDevice:
		return
	case KindUnread:
		st.Unused += n
		return
	case KindUnused:
		st.Unused += n
		code, text = SpaceUnreachable, "bytes of blocks that belong to nothing are not zero"
	case KindPadding:
		st.Padding += n
	}
	afterData := !c.space[0].meta.has(uint64(g.lo-1) / granule)
	if !c.o.ReadData && (n > *budget || g.kind == KindPadding && afterData) || c.partial || c.missed.any() || c.err != nil {
		return
	}
	*budget -= n
	if !c.allZero(g.lo, g.hi) {
		c.add(code, g.lo, n, "%s", text)
	}
}

// allZero tells whether the bytes [lo, hi) of the image are zero.
func (c *checker) allZero(lo, hi int64) bool {
	for lo < hi {
		b := c.unused.at(c, lo, hi)
		if b == nil {
			return true
		}
		if !isZero(b) {
			return false
		}
		lo += int64(len(b))
	}
	return true
}

// gapReader reads gaps in ascending order through a buffer of its own: the small ones within a page at once.
type gapReader struct {
	off int64
	b   []byte
}

// at returns bytes of [lo, hi), at least one; nil after an error.
func (z *gapReader) at(c *checker, lo, hi int64) []byte {
	if lo < z.off || lo >= z.off+int64(len(z.b)) {
		z.off = lo &^ (gapPage - 1)
		n := min(max(hi-z.off, gapPage), gapStep, max(c.space[0].size, hi)-z.off)
		z.b = slices.Grow(z.b[:0], int(n))[:n]
		if err := c.window(0).Fill(z.b, z.off, "unused bytes"); err != nil {
			c.fail(0, lo, err)
			z.b = nil
			return nil
		}
	}
	return z.b[lo-z.off : min(hi-z.off, int64(len(z.b)))]
}

// readData reads all data of files on a device, each byte once, in the order of the device. What was decoded has been
// read before.
func (c *checker) readData(device int) {
	w := c.window(device)
	if w == nil || device > 0 && device == c.box {
		return
	}
	total := c.rep.Stats.BytesRead
	for lo, hi := range c.space[device].data.union() {
		total += hi - lo
	}
	var buf []byte
	for lo, hi := range c.jobs.unread(device, c.space[device].data.union()) {
		for lo < hi {
			n := min(hi-lo, readSize)
			if int64(len(buf)) < n {
				buf = make([]byte, n)
			}
			if err := w.Fill(buf[:n], lo, "data"); err != nil {
				c.fail(device, lo, err)
				return
			}
			lo += n
			c.rep.Stats.BytesRead += n
			c.observe(PhaseSpace)
		}
	}
	c.rep.Stats.BytesRead = total
}

// unchecked says what was left out.
func (c *checker) unchecked() {
	c.rep.Unwalked = c.missed.metabox
	for _, m := range []struct {
		n    uint64
		what string
	}{
		{c.missed.metabox, "%d inodes and xattrs in a damaged metabox: not checked"},
		{c.missed.indexes, "indexes of %d compressed files, more than 1 GiB in all: not checked"},
		{c.missed.absent, "%d extents on devices that were not given: not checked"},
	} {
		if m.n > 0 {
			c.rep.Unchecked = append(c.rep.Unchecked, fmt.Sprintf(m.what, m.n))
		}
	}
}
