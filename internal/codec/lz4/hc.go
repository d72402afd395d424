package lz4

// hc is the search of the HC encoder.
type hc struct {
	chain
	level level
	opt   *optimal // of the levels with an optimal parser
}

// level is how much a level of HC searches.
type level struct {
	tries      int // candidates that are looked at for one position
	sufficient int // a match of this length is taken without a look at others; 0: no optimal parser
}

var levels = [MaxLevel + 1]level{
	1: {2, 0}, 2: {3, 0}, 3: {4, 0}, 4: {8, 0}, 5: {16, 0}, 6: {32, 0}, 7: {64, 0}, 8: {128, 0}, 9: {256, 0},
	10: {96, 64}, 11: {512, 128}, 12: {16384, optimalWindow},
}

func newHC(o Options) *hc {
	h := &hc{level: levels[o.Level]}
	h.tries, h.maxDistance = h.level.tries, uint32(o.MaxDistance)
	if h.level.sufficient > 0 {
		h.opt = new(optimal)
	}
	return h
}

// encode fills b.
func (h *hc) encode(b *block) {
	h.reset(b.src)
	if h.opt != nil {
		h.encodeOptimal(b)
	} else {
		h.encodeLazy(b)
	}
}

// first returns the first match that starts at pos or behind; false if there is none before literals fill b.
func (h *hc) first(b *block, pos int) (match, bool) {
	for last := min(h.last, b.anchor+b.room()); pos <= last; pos++ {
		if m := h.longest(pos, pos, minMatch-1); m.n > 0 {
			return m, true
		}
	}
	return match{}, false
}
