package lz4

import "math"

// optimalWindow is how many bytes the optimal parser looks at together at most.
const optimalWindow = 4096

// step is the cheapest known way to encode the bytes up to a position.
type step struct {
	price    int32 // bytes of output
	literals int32 // that end here
	n        int32 // length of the match that ends here; 1: a literal does
	distance int32
}

// optimal has the steps of a window: [i] is i bytes behind its first match's start.
type optimal struct {
	steps [2*optimalWindow + 4]step
	path  [optimalWindow]match
}

// encodeOptimal fills b: of all ways to divide a window into literals and matches it takes the shortest.
func (h *hc) encodeOptimal(b *block) {
	pos := 0
	for {
		m, ok := h.first(b, pos)
		if !ok {
			b.finish()
			return
		}
		pos = m.end()
		if m.n >= h.level.sufficient {
			if !b.match(m) {
				return
			}
			continue
		}
		pos = h.window(b, m)
		if !h.opt.write(b, m.start, pos) {
			return
		}
	}
}

// window finds the prices from the start of first to where no match goes on, and returns that position.
func (h *hc) window(b *block, first match) int {
	o, start := h.opt, first.start
	literals := start - b.anchor
	o.steps[0] = step{price: int32(literals + lengthSize(literals)), literals: int32(literals), n: 1}
	reach := o.relax(0, 0, first)
	room := int32(b.room())
	for i := 0; ; i++ {
		o.literal(i)
		if i+1 >= reach || i+1 >= optimalWindow || start+i+1 > h.last || o.steps[i+1].price > room {
			return start + reach
		}
		here, next := &o.steps[i+1], &o.steps[i+2]
		if next.price <= here.price {
			continue // inside of a match that costs nothing: what starts here could start later, too
		}
		m := h.longest(start+i+1, start+i+1, minMatch-1)
		if m.n == 0 {
			continue
		}
		if m.n >= h.level.sufficient {
			return start + o.take(i+1, m)
		}
		reach = o.relax(i+1, reach, m)
	}
}

// literal tries a literal behind i.
func (o *optimal) literal(i int) {
	s, t := &o.steps[i], &o.steps[i+1]
	literals := s.literals + 1
	price := s.price + 1
	if literals >= 15 && (literals-15)%255 == 0 {
		price++
	}
	if price < t.price {
		*t = step{price, literals, 1, 0}
	}
}

// relax tries m, which starts at i, with all its lengths. Prices up to reach are known; it returns up to where they are now.
func (o *optimal) relax(i, reach int, m match) int {
	for reach < i+m.n {
		reach++
		o.steps[reach].price = math.MaxInt32
	}
	price := o.steps[i].price + 3
	for n := minMatch; n <= m.n; n++ {
		t := &o.steps[i+n]
		if p := price + int32(lengthSize(n-minMatch)); p <= t.price {
			*t = step{p, 0, int32(n), int32(m.distance)}
		}
	}
	return reach
}

// take makes m, which starts at i, the last one of the window, and returns its end. Of a match that is longer than
// the table, the next window finds the rest.
func (o *optimal) take(i int, m match) int {
	m.n = min(m.n, len(o.steps)-1-i)
	o.steps[i+m.n] = step{0, 0, int32(m.n), int32(m.distance)}
	return i + m.n
}

// write writes the way that leads to end, from the window's start.
func (o *optimal) write(b *block, start, end int) bool {
	path := o.path[:0]
	for i := end - start; i > 0; {
		s := &o.steps[i]
		i -= int(s.n)
		if s.n > 1 {
			path = append(path, match{start + i, int(s.distance), int(s.n)})
		}
	}
	for i := len(path) - 1; i >= 0; i-- {
		if !b.match(path[i]) {
			return false
		}
	}
	return true
}
