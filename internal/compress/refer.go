package compress

import "math"

// at is where the bytes that are left begin.
func (c *cutter) at() int { return len(c.Src) - len(c.src) }

// refer uses the next Ref if it begins here, and passes over those that cannot be used. A Ref can if the extents
// before and behind it begin in other lclusters than it does, as an index has one head for each; a pcluster of
// several blocks needs a second lcluster, for its length.
func (c *cutter) refer() bool {
	for c.ref < len(c.Refs) {
		r := &c.Refs[c.ref]
		if r.Off > c.at() {
			return false
		}
		c.ref++
		if r.Off < c.at() || !c.spans(r.Off, r.Off+r.Len, r.PLen) {
			continue
		}
		c.extents = append(c.extents, Extent{Len: r.Len, PLen: r.PLen, Ref: c.ref})
		c.src = c.src[r.Len:]
		c.fails = 0
		return true
	}
	return false
}

// spans tells whether an index can describe an extent of plen bytes in the image between two offsets.
func (c *cutter) spans(from, to, plen int) bool {
	lclusters := to>>c.BlockBits - from>>c.BlockBits
	return c.Dense || lclusters >= 2 || lclusters == 1 && plen <= c.block()
}

// distance returns how far it is to the next Ref that can be reached: by an extent from here to there, or by several
// of which the last one is not too short.
func (c *cutter) distance() int {
	for ; c.ref < len(c.Refs); c.ref++ {
		if off := c.Refs[c.ref].Off; off >= c.at() && c.spans(c.at(), off, 1) {
			return off - c.at()
		}
	}
	return math.MaxInt
}

// worth is distance when a pcluster from here would hold that many bytes. A Ref within them makes it hold less, so
// it is passed over unless it, and those that follow it without a gap, lead beyond.
func (c *cutter) worth(held int) int {
	for {
		d := c.distance()
		if d >= held {
			return d
		}
		end := c.Refs[c.ref].Off
		for _, r := range c.Refs[c.ref:] {
			if r.Off != end {
				break
			}
			end += r.Len
		}
		if end > c.at()+held {
			return d
		}
		c.ref++
	}
}
