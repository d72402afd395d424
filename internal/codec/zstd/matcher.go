package zstd

import (
	"encoding/binary"
	"math/bits"
)

const (
	// margin is what is left of a source for literals, so that eight bytes can be loaded everywhere else.
	margin = 8
)

// parser makes sequences of a source.
type parser interface {
	// reset starts with a new source, below 1<<30 bytes.
	reset(src []byte)
	// parse appends sequences until there are n, or many literals, or the source is at its end. It may look at
	// some more bytes at a time than the number given.
	parse(n, bytes int)
	state() *progress
}

// progress is how far a parser is.
type progress struct {
	window uint32 // matches reach back that far
	most   int    // half of a block: the length of matches, and literals that wait for one
	src    []byte
	pos    int // what is before it is in sequences, but for literals from anchor on
	anchor int
	seqs   []sequence
	last   repeats
	// Tables hold positions plus base, so that what is left of other sources is below base and needs no
	// clearing.
	base uint32
	span uint32 // length of the source that base is for
}

func (p *progress) state() *progress { return p }

// restart starts with a new source and reports whether the tables are to be cleared.
func (p *progress) restart(src []byte) (wrapped bool) {
	p.base += p.span + p.window + 1
	p.span = uint32(len(src))
	if wrapped = p.base > 1<<31 || p.base <= p.window; wrapped {
		p.base = p.window + 1
	}
	p.src, p.pos, p.anchor, p.seqs = src, 0, 0, p.seqs[:0]
	p.last = repeats{1, 4, 8}
	return wrapped
}

// common returns how many bytes at q and at pos, behind it, are the same, up to most.
func (p *progress) common(q, pos int) int {
	b := p.src[pos:min(pos+p.most, len(p.src))]
	a := p.src[q:]
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

// effort is how hard a matcher tries. The numbers bound work, the greater the smaller the output.
type effort struct {
	depth int  // candidates looked at for each position
	lazy  int  // how many bytes later a match may start to be better
	nice  int  // a match that long ends a search
	skip  uint // after 1<<skip literals in a row every second byte is looked at, and so on
}

// matcher is the fast parser: it takes matches as it goes along.
type matcher struct {
	progress
	effort
	hash     []uint32
	hashBits uint
	chain    []uint32 // by position: the one before with the same hash
}

func newMatcher(f effort, windowLog int) *matcher {
	hashBits := min(windowLog, 17)
	return &matcher{
		progress: newProgress(windowLog), effort: f,
		hash: make([]uint32, 1<<hashBits), hashBits: uint(hashBits), chain: make([]uint32, 1<<windowLog),
	}
}

func newProgress(windowLog int) progress {
	return progress{window: 1 << windowLog, most: min(maxBlock, 1<<windowLog) / 2}
}

// found is a match; none if its length is 0.
type found struct {
	length   int
	distance uint32
	score    int
}

func (m *matcher) reset(src []byte) {
	if m.restart(src) {
		clear(m.hash)
	}
}

func (m *matcher) parse(n, _ int) {
	end := len(m.src) - margin
	for len(m.seqs) < n && m.pos-m.anchor < m.most {
		if m.pos >= end {
			m.pos = len(m.src)
			return
		}
		if best := m.find(m.pos); best.length > 0 {
			m.take(m.improve(best, end))
		} else {
			m.pos = min(m.pos+1+(m.pos-m.anchor)>>m.skip, m.anchor+m.most, len(m.src))
		}
	}
}

// improve looks for a better match at the next bytes, and moves pos to it.
func (m *matcher) improve(best found, end int) found {
	for tried, at := 0, m.pos+1; tried < m.lazy && at < end && at-m.anchor < m.most && best.length < m.nice; at++ {
		next := m.find(at)
		if next.length > 0 && next.score > best.score+4+3*tried {
			best, m.pos, tried = next, at, 0
		} else {
			tried++
		}
	}
	return best
}

// take appends the match at pos, which may turn out to start earlier.
func (m *matcher) take(best found) {
	src, start, from := m.src, m.pos, m.pos-int(best.distance)
	for start > m.anchor && from > 0 && best.length < m.most && src[start-1] == src[from-1] {
		start--
		from--
		best.length++
	}
	m.seqs = append(m.seqs, sequence{uint32(start - m.anchor), uint32(best.length), best.distance})
	m.last.encode(best.distance, start > m.anchor)
	end := start + best.length
	m.insert(m.pos+1, min(end, len(src)-margin))
	m.pos, m.anchor = end, end
}

func (m *matcher) hashOf(v uint32) uint32 { return v * 0x9E3779B1 >> (32 - m.hashBits) }

// insert makes candidates of positions.
func (m *matcher) insert(from, to int) {
	mask := uint32(len(m.chain) - 1)
	for i := from; i < to; i++ {
		p := uint32(i) + m.base
		h := m.hashOf(binary.LittleEndian.Uint32(m.src[i:]))
		m.chain[p&mask] = m.hash[h]
		m.hash[h] = p
	}
}

// score weighs what a match saves against what its distance takes.
func score(length int, value uint32) int { return 4*length - highBit(value) }

func highBit(v uint32) int { return bits.Len32(v) - 1 }

// repeated returns the best match at pos of a distance that was there before.
func (m *matcher) repeated(pos int) (best found) {
	v := binary.LittleEndian.Uint32(m.src[pos:])
	for i, d := range m.last {
		if pos == m.anchor { // without literals the last one is of no use
			if i == 0 {
				continue
			}
			i--
		}
		if q := pos - int(d); q >= 0 && d <= m.window && binary.LittleEndian.Uint32(m.src[q:]) == v {
			n := m.common(q, pos)
			if s := score(n, uint32(i+1)); s > best.score {
				best = found{n, d, s}
			}
		}
	}
	return best
}

// find makes pos a candidate and returns the best match there.
func (m *matcher) find(pos int) found {
	src := m.src
	best := m.repeated(pos)
	v := binary.LittleEndian.Uint32(src[pos:])
	p, mask := uint32(pos)+m.base, uint32(len(m.chain)-1)
	h := m.hashOf(v)
	c := m.hash[h]
	m.hash[h] = p
	m.chain[p&mask] = c
	if best.length >= m.nice {
		return best
	}
	low := max(m.base, p-m.window)
	longest := 3
	for depth := m.depth; c >= low && depth > 0; depth-- {
		q := int(c - m.base)
		if binary.LittleEndian.Uint32(src[q+longest-3:]) == binary.LittleEndian.Uint32(src[pos+longest-3:]) && binary.LittleEndian.Uint32(src[q:]) == v {
			if n := m.common(q, pos); n > longest {
				longest = n
				if s := score(n, p-c+3); s > best.score {
					best = found{n, p - c, s}
				}
				if n >= m.nice || pos+n+1 >= len(src) {
					break
				}
			}
		}
		c = m.chain[c&mask]
	}
	return best
}
