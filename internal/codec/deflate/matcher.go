package deflate

import (
	"encoding/binary"
	"math/bits"
)

const (
	minMatch = 3
	maxMatch = 258

	hash4Bits = 15
	hash3Bits = 13
	// tooFar is the distance from which on a match of three bytes is longer than three literals.
	tooFar = 4096
)

// effort is how hard a matcher tries. The numbers bound work, the greater the smaller the output.
type effort struct {
	depth int // candidates looked at for each position
	good  int // a match that long is good enough to look at a quarter of them for a better one
	lazy  int // one that long is taken without looking for a better one; 0: the first match is taken
	nice  int // one that long ends a search
}

var efforts = [MaxLevel + 1]effort{
	1: {4, 0, 0, 16},
	2: {8, 0, 0, 24},
	3: {24, 0, 0, 48},
	4: {8, 8, 12, 24},
	5: {16, 8, 24, 48},
	6: {40, 8, 32, 128},
	7: {80, 12, 64, 192},
	8: {200, 32, 258, 258},
	9: {480, 32, 258, 258},
}

// matcher finds matches and makes symbols of src.
type matcher struct {
	effort
	window uint32 // matches reach back that far
	src    []byte
	pos    int // of the next byte that is neither in symbols nor held
	// Tables hold positions plus base, so that what is left of other sources is below base and needs no
	// clearing.
	base    uint32
	span    uint32 // length of the source that base is for
	hash4   [1 << hash4Bits]uint32
	hash3   [1 << hash3Bits]uint32
	chain   [History]uint32
	symbols []symbol
	held    found // of the byte before pos, which is in symbols not yet; a literal if its length is 0
	holding bool
}

type found struct{ length, distance int }

// reset starts with a new source, below 1<<31 bytes.
func (m *matcher) reset(src []byte) {
	m.base += m.span + History + 1
	m.span = uint32(len(src))
	if m.base > 1<<31-2*History || m.base < History {
		clear(m.hash4[:])
		clear(m.hash3[:])
		m.base = History + 1
	}
	m.src, m.pos, m.symbols, m.holding = src, 0, m.symbols[:0], false
}

// parse appends symbols until there are n, or until src is at its end.
func (m *matcher) parse(n int) {
	for len(m.symbols) < n && m.pos < len(m.src) {
		if m.lazy > 0 {
			m.lazyStep()
		} else {
			m.greedyStep()
		}
	}
	if m.pos == len(m.src) && m.holding {
		m.release()
	}
}

func (m *matcher) greedyStep() {
	if f := m.find(m.pos, 0, m.depth); f.length == 0 {
		m.symbols = append(m.symbols, symbol(m.src[m.pos]))
		m.pos++
	} else {
		m.symbols = append(m.symbols, makeMatch(f.length, f.distance))
		m.insert(m.pos+1, m.pos+f.length)
		m.pos += f.length
	}
}

// lazyStep holds the match of a byte back until it is known that the next byte has no better one.
func (m *matcher) lazyStep() {
	if !m.holding {
		m.held, m.holding = m.find(m.pos, 0, m.depth), true
		m.pos++
		return
	}
	if m.held.length >= m.lazy {
		m.release()
		return
	}
	depth := m.depth
	if m.held.length >= m.good {
		depth >>= 2
	}
	next := m.find(m.pos, max(m.held.length-1, 0), depth)
	if !better(next, m.held) {
		at := m.pos
		m.release()
		if m.pos == at {
			m.held, m.holding = next, true
			m.pos++
		} else {
			m.insert(at+1, m.pos)
		}
		return
	}
	m.symbols = append(m.symbols, symbol(m.src[m.pos-1]))
	m.held = next
	m.pos++
}

// better tells whether a literal and then next saves more than held alone: a byte counts as four bits, and
// so does what the distance needs.
func better(next, held found) bool {
	if held.length == 0 {
		return next.length > 0
	}
	if next.length == 0 {
		return false
	}
	return 4*(next.length-held.length)+bits.Len(uint(held.distance))-bits.Len(uint(next.distance)) > 2
}

// release appends what is held.
func (m *matcher) release() {
	m.holding = false
	if m.held.length == 0 {
		m.symbols = append(m.symbols, symbol(m.src[m.pos-1]))
		return
	}
	m.symbols = append(m.symbols, makeMatch(m.held.length, m.held.distance))
	m.pos += m.held.length - 1
}

func hash4(v uint32) uint32 { return v * 0x9E3779B1 >> (32 - hash4Bits) }
func hash3(v uint32) uint32 { return v << 8 * 0x9E3779B1 >> (32 - hash3Bits) }

// insert makes candidates of positions.
func (m *matcher) insert(from, to int) {
	to = min(to, len(m.src)-3)
	if from >= to {
		return
	}
	src := m.src[:to+3]
	p := uint32(from) + m.base
	for i := from; i < len(src)-3; i++ {
		v := binary.LittleEndian.Uint32(src[i:])
		m.hash3[hash3(v)] = p
		h := hash4(v)
		m.chain[p%History] = m.hash4[h]
		m.hash4[h] = p
		p++
	}
}

// find makes pos a candidate and returns the best match there, longer than least, or none, of length 0.
func (m *matcher) find(pos, least, depth int) (best found) {
	src := m.src
	room := min(len(src)-pos, maxMatch)
	if room < 4 {
		return best
	}
	v := binary.LittleEndian.Uint32(src[pos:])
	p := uint32(pos) + m.base
	h3, h := hash3(v), hash4(v)
	c3, c := m.hash3[h3], m.hash4[h]
	m.hash3[h3] = p
	m.hash4[h] = p
	m.chain[p%History] = c
	low := max(m.base, p-m.window)
	if least < minMatch && c3 >= low && p-c3 <= tooFar {
		if q := int(c3 - m.base); (binary.LittleEndian.Uint32(src[q:])^v)<<8 == 0 {
			best = found{minMatch, pos - q}
		}
	}
	longest := max(least, minMatch)
	nice := min(m.nice, room)
	for ; c >= low && depth > 0 && longest < room; depth-- {
		q := int(c - m.base)
		if binary.LittleEndian.Uint32(src[q+longest-3:]) == binary.LittleEndian.Uint32(src[pos+longest-3:]) && binary.LittleEndian.Uint32(src[q:]) == v {
			if n := common(src[q:], src[pos:pos+room]); n > longest {
				longest = n
				best = found{n, pos - q}
				if n >= nice {
					break
				}
			}
		}
		c = m.chain[c%History]
	}
	return best
}

// common returns how many bytes of b a starts with; a is not shorter.
func common(a, b []byte) int {
	n := 0
	for len(b)-n >= 8 {
		if x := binary.LittleEndian.Uint64(a[n:]) ^ binary.LittleEndian.Uint64(b[n:]); x != 0 {
			return n + bits.TrailingZeros64(x)>>3
		}
		n += 8
	}
	for n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}
