package lz4

// tokenMatch is the longest match whose length fits into the token. Of two matches that overlap the first one keeps that
// much: a shorter one would not cost less.
const tokenMatch = minMatch + 14

// encodeLazy fills b: a match is taken only when no longer one overlaps its end.
//
// It holds up to three matches, each longer than the one before and overlapping it: a, which is the next one to be
// written; b, a longer one that starts behind it; c, a still longer one that decides whether b is worth it.
func (h *hc) encodeLazy(w *block) {
	pos := 0
	for {
		a, ok := h.first(w, pos)
		if !ok {
			w.finish()
			return
		}
		if pos, ok = h.settle(w, a); !ok {
			return
		}
	}
}

// longer returns the longest match that contains the byte back bytes before the end of m, starts where m does or behind,
// and is longer than m.
func (h *hc) longer(m match, back int) (match, bool) {
	if m.end() > h.last {
		return match{}, false
	}
	l := h.longest(m.end()-back, m.start, m.n)
	return l, l.n > 0
}

// settle writes a, or what is better, and the matches that overlap it and each other. It returns where they end; false
// when the block is full.
func (h *hc) settle(w *block, a match) (pos int, ok bool) {
	before := a // what a was before a longer one took its place
	for {
		b, found := h.longer(a, 2)
		if !found {
			return a.end(), w.match(a)
		}
		if before.start < a.start && b.start < a.start+before.n {
			a = before // there is room for it in front of b
		}
		if b.start-a.start < 3 {
			a = b // too little is left of a
			continue
		}
		if a, before, found, ok = h.settlePair(w, a, b); !found {
			return a.end(), ok
		}
	}
}

// settlePair writes a and b, which overlap or touch, or a only if a longer c makes b useless: then it returns c to be
// settled, with what b was, and true. Else it returns the last match written, and whether the block has room.
func (h *hc) settlePair(w *block, a, b match) (next, before match, more, ok bool) {
	for {
		share(&a, &b)
		c, found := h.longer(b, 3)
		if !found {
			a.n = min(a.n, b.start-a.start)
			return b, b, false, w.match(a) && w.match(b)
		}
		if c.start >= a.end()+3 {
			a.n = min(a.n, b.start-a.start)
			if !w.match(a) {
				return a, a, false, false
			}
			a, b = b, c
			continue
		}
		// No match fits between a and c.
		if c.start < a.end() {
			b = c
			continue
		}
		if b.cut(a.end() - b.start); b.n < minMatch {
			b = c
		}
		if !w.match(a) {
			return a, a, false, false
		}
		return c, b, true, true
	}
}

// share decides where a ends and b starts, which overlap: a has as many bytes as its token can say.
func share(a, b *match) {
	if b.start-a.start >= tokenMatch {
		return
	}
	n := min(a.n, tokenMatch, b.end()-minMatch-a.start)
	b.cut(n - (b.start - a.start))
}

// cut takes the first n bytes from m, none if n is negative.
func (m *match) cut(n int) {
	if n > 0 {
		m.start += n
		m.n -= n
	}
}

// match writes m, reporting false when the block is full.
func (b *block) match(m match) bool { return b.sequence(m.start, m.distance, m.n) }
