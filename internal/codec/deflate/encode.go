package deflate

import "fmt"

// Levels of the encoder: 0 is DefaultLevel, 1 the fastest, 9 the smallest.
const (
	MinLevel     = 0
	MaxLevel     = 9
	DefaultLevel = 1
)

// Options of an Encoder; the zero value is DefaultLevel and the whole History.
type Options struct {
	Level       int // MinLevel to MaxLevel
	MaxDistance int // how far back matches refer, bytes, up to History; 0 is History
}

const (
	chunkSymbols = 4096    // are looked at together to see whether a new block pays
	blockSymbols = 1 << 15 // most symbols of a block, but for a chunk; histograms hold twice as many
)

// Encoder makes raw DEFLATE data of a bounded length. It is the scratch of one goroutine, 400 KiB; what it
// returns depends on its options and on what it is given, on nothing before.
type Encoder struct {
	matcher  matcher
	code     code
	w        bitWriter
	first    int // symbol of the block that is not written yet, and behind its last one so far
	end      int
	hist     histogram // of these symbols
	cost     int       // of that block, bits
	fitEnd   int       // an earlier end at which the block fitted, and its cost then
	fitCost  int
	lastBit  int // where the header of the block written last is
	consumed int // bytes of the source in blocks that are written
}

// NewEncoder returns an Encoder, or an error that names the option it cannot have.
func NewEncoder(o Options) (*Encoder, error) {
	if o.Level < MinLevel || o.Level > MaxLevel {
		return nil, fmt.Errorf("deflate: level %d: levels are %d to %d", o.Level, MinLevel, MaxLevel)
	}
	if o.MaxDistance < 0 || o.MaxDistance > History {
		return nil, fmt.Errorf("deflate: distance %d: matches reach back %d bytes at most", o.MaxDistance, History)
	}
	if o.Level == 0 {
		o.Level = DefaultLevel
	}
	if o.MaxDistance == 0 {
		o.MaxDistance = History
	}
	return &Encoder{matcher: matcher{effort: efforts[o.Level], window: uint32(o.MaxDistance)}}, nil
}

// FitDst encodes as long a prefix of src as fits into dst, of consumed bytes, to a complete stream of written
// bytes, whose first one is not 0: no block is a stored one. Both are 0 if that would not make it
// shorter.
func (e *Encoder) FitDst(dst, src []byte) (written, consumed int) {
	e.reset(dst, src)
	for {
		full := e.grow()
		if full {
			e.cut()
		}
		if full || e.atEnd() {
			break
		}
		if e.end-e.first > blockSymbols {
			e.write()
		}
	}
	if e.end > e.first {
		e.write()
	}
	if e.lastBit >= 0 {
		written = e.w.close()
		dst[e.lastBit>>3] |= 1 << (e.lastBit & 7)
	}
	e.w.dst, e.matcher.src = nil, nil
	if written >= e.consumed {
		return 0, 0
	}
	return written, e.consumed
}

func (e *Encoder) reset(dst, src []byte) {
	e.matcher.reset(src)
	e.w = bitWriter{dst: dst}
	e.start(0)
	e.lastBit, e.consumed = -1, 0
}

// start starts a block at a symbol.
func (e *Encoder) start(first int) {
	e.first, e.end, e.cost = first, first, 0
	e.fitEnd, e.fitCost = first, 0
	e.hist = histogram{}
}

// left returns the number of bits that are left for blocks.
func (e *Encoder) left() int { return len(e.w.dst)*8 - e.w.offset() }

// grow takes some more symbols into the block, or writes it and starts another one with them, if that is shorter.
// It reports whether the block has become too long for what is left.
func (e *Encoder) grow() (full bool) {
	from := e.end
	e.matcher.parse(from + e.step())
	fresh := e.matcher.symbols[from:]
	var next histogram
	next.count(fresh, 1)
	whole := e.hist
	whole.add(&next)
	cost := e.code.build(&whole)
	if from > e.first && len(fresh) >= chunkSymbols/2 {
		if apart := e.code.build(&next); e.cost+apart < cost {
			e.write()
			from = e.first
			whole, cost = next, apart
		}
	}
	if from > e.first {
		e.fitEnd, e.fitCost = from, e.cost
	}
	e.hist, e.cost, e.end = whole, cost, from+len(fresh)
	return cost > e.left()
}

// step returns how many symbols grow should look at: as many as should fit.
func (e *Encoder) step() int {
	n := e.left() / 8
	if e.end > e.first {
		n = int(int64(e.left()-e.cost) * int64(e.end-e.first) / int64(e.cost))
	}
	return min(n+16, chunkSymbols)
}

// cut takes symbols off the end of the block until it fits.
func (e *Encoder) cut() {
	left := e.left()
	low, lowCost, high, highCost := e.fitEnd, e.fitCost, e.end, e.cost
	for high-low > 1 && left-lowCost > 8 {
		n := low + int(int64(high-low)*int64(left-lowCost)/int64(highCost-lowCost))
		e.move(min(max(n, low+1), high-1))
		if e.cost = e.code.build(&e.hist); e.cost <= left {
			low, lowCost = e.end, e.cost
		} else {
			high, highCost = e.end, e.cost
		}
	}
	e.move(low)
	e.matcher.symbols = e.matcher.symbols[:low]
}

// move sets the end of the block and counts the symbols in between.
func (e *Encoder) move(end int) {
	if end > e.end {
		e.hist.count(e.matcher.symbols[e.end:end], 1)
	} else {
		e.hist.count(e.matcher.symbols[end:e.end], 1<<16-1)
	}
	e.end = end
}

func (e *Encoder) atEnd() bool {
	m := &e.matcher
	return m.pos == len(m.src) && !m.holding && e.end == len(m.symbols)
}

// write writes the block and forgets its symbols.
func (e *Encoder) write() {
	symbols := e.matcher.symbols[e.first:e.end]
	e.code.build(&e.hist)
	e.lastBit = e.w.offset()
	e.code.write(&e.w, symbols)
	for _, s := range symbols {
		e.consumed += s.size()
	}
	e.matcher.symbols = e.matcher.symbols[:copy(e.matcher.symbols, e.matcher.symbols[e.end:])]
	e.start(0)
}
