package zstd

import (
	"fmt"
	"math/bits"
)

// Levels of the encoder: 0 is DefaultLevel, 1 the fastest, 22 the smallest.
const (
	MinLevel     = 0
	MaxLevel     = 22
	DefaultLevel = 3
)

// Options of an Encoder; the zero value is DefaultLevel and the largest window.
type Options struct {
	Level     int // MinLevel to MaxLevel
	WindowLog int // matches reach back 1<<WindowLog bytes, MinWindowLog to MaxWindowLog; 0 is MaxWindowLog
}

// Encoder makes frames of a bounded length. It is the scratch of one goroutine; what it returns depends on its
// options and on what it is given, on nothing before.
type Encoder struct {
	windowLog int
	parser    parser
	progress  *progress // of parser
	encoder   blockEncoder
	block     block
	room      int    // bytes of the frame
	body      []byte // blocks
	lastBlock int    // header of the last one in body
	chunk     int    // sequences that are looked at together to see whether a new block pays
	enough    int    // bytes that may be left of a frame
	tries     int    // to leave fewer
	ratio     int    // of size to estimate, in 1/1024
	loose     int    // codes may count that part of a block that is not in it: one in so many
	prices    blockPrices
	done      bool
}

// NewEncoder returns an Encoder, or an error that names the option it cannot have.
func NewEncoder(o Options) (*Encoder, error) {
	if o.Level < MinLevel || o.Level > MaxLevel {
		return nil, fmt.Errorf("zstd: level %d: levels are %d to %d", o.Level, MinLevel, MaxLevel)
	}
	if o.WindowLog == 0 {
		o.WindowLog = MaxWindowLog
	}
	if o.WindowLog < MinWindowLog || o.WindowLog > MaxWindowLog {
		return nil, fmt.Errorf("zstd: window log %d: it is %d to %d", o.WindowLog, MinWindowLog, MaxWindowLog)
	}
	if o.Level == 0 {
		o.Level = DefaultLevel
	}
	thorough := o.Level >= firstThorough
	e := &Encoder{
		windowLog: o.WindowLog, parser: newParser(o.Level, o.WindowLog), encoder: newBlockEncoder(thorough),
		chunk: 512, loose: 16, enough: 8, tries: 1,
	}
	if thorough {
		e.chunk, e.loose, e.enough, e.tries = 256, 1<<10, 2, 4
	}
	e.progress = e.parser.state()
	return e, nil
}

// FitDst encodes as long a prefix of src as fits into dst, of consumed bytes, to one frame of written bytes.
// Both are 0 if that would not make it shorter.
func (e *Encoder) FitDst(dst, src []byte) (written, consumed int) {
	e.parser.reset(src)
	e.encoder.reset()
	e.room, e.body, e.lastBlock, e.ratio, e.done = len(dst), e.body[:0], -1, 1024, false
	e.block.before = repeats{1, 4, 8}
	e.start(0)
	for !e.done {
		e.step()
	}
	e.progress.src = nil
	consumed = e.block.start
	if e.lastBlock < 0 {
		return 0, 0
	}
	e.body[e.lastBlock] |= 1
	written = headerSize(consumed, e.windowLog) + len(e.body)
	if written >= consumed {
		return 0, 0
	}
	n := putHeader(dst, consumed, e.windowLog)
	copy(dst[n:], e.body)
	return written, consumed
}

// start starts a block.
func (e *Encoder) start(at int) {
	b := &e.block
	b.start, b.size, b.seqs, b.cost = at, 0, 0, 0
	b.codes, b.literals = b.codes[:0], b.literals[:0]
	b.count = blockCount{}
	b.after = b.before
}

// left returns what is left for blocks if the frame's content goes on by that many bytes.
func (e *Encoder) left(more int) int {
	return e.room - headerSize(e.block.start+more, e.windowLog) - len(e.body)
}

// maxBlock returns how many bytes of the source a block may have.
func (e *Encoder) maxBlock() int { return min(maxBlock, 1<<e.windowLog) }

// step takes some more sequences into the block, or ends it.
func (e *Encoder) step() {
	b, m := &e.block, e.progress
	want, bytes := e.want()
	e.parser.parse(b.seqs+want, bytes)
	n, size := 0, 0
	for _, s := range m.seqs[b.seqs:] {
		if n == want || b.size+size+s.size() > e.maxBlock() {
			break
		}
		size += s.size()
		n++
	}
	switch {
	case n > 0:
		e.take(m.seqs[b.seqs:b.seqs+n], size)
	case len(m.seqs) > b.seqs:
		e.end(0)
	default:
		e.literals()
	}
}

// literals ends the block with the literals that have found no match.
func (e *Encoder) literals() {
	m := e.progress
	atEnd := m.pos == len(m.src)
	tail := m.pos - m.anchor
	if e.block.size+tail > e.maxBlock() {
		e.end(0)
	}
	if !e.done && e.block.size+tail > 0 {
		e.end(tail)
		m.anchor += tail
	}
	e.done = e.done || atEnd
}

// predicted returns about how many bytes the block gets.
func (e *Encoder) predicted() int { return scale(e.block.cost, e.ratio, 1<<21) }

// scale returns n*by/of.
func scale(n, by, of int) int { return int(int64(n) * int64(by) / int64(of)) }

// want returns how many sequences should fit, of how many bytes of the source.
func (e *Encoder) want() (n, bytes int) {
	b := &e.block
	left := e.left(b.size)
	n, bytes = left/4, left*3
	if b.seqs > 0 {
		have := e.predicted() + 1
		n, bytes = scale(left-have, b.seqs, have), scale(left-have, b.size, have)
	}
	return max(min(n, e.chunk), 0) + 8, max(min(bytes, e.maxBlock()), 0)
}

// take takes sequences into the block, or ends it if they are better off in another one.
func (e *Encoder) take(fresh []sequence, size int) {
	b := &e.block
	oldCodes, oldLiterals, after := len(b.codes), len(b.literals), b.after
	b.gather(fresh, e.progress.src, size)
	var next blockCount
	next.add(b.codes[oldCodes:], b.literals[oldLiterals:])
	whole := b.count
	whole.merge(&next)
	cost := whole.estimate()
	if len(fresh) >= e.chunk/2 && b.seqs > 0 && b.cost+next.estimate() < cost {
		b.codes, b.literals, b.after = b.codes[:oldCodes], b.literals[:oldLiterals], after
		e.end(0)
		return
	}
	b.count, b.cost = whole, cost
	b.seqs += len(fresh)
	b.size += size
	if e.predicted() > e.left(b.size) {
		e.fit()
	}
}

// end writes the block, with a tail of literals, or what fits of it.
func (e *Encoder) end(tail int) {
	b := &e.block
	if tail > 0 {
		literals := e.progress.src[b.start+b.size:][:tail]
		b.literals = append(b.literals, literals...)
		b.count.add(nil, literals)
	}
	e.encoder.plan(&b.count, len(b.literals))
	if e.encode(b.seqs, len(b.literals), b.size+tail) > e.left(b.size+tail) {
		e.cut(tail)
	} else {
		e.commit()
	}
}

// encode encodes the first n sequences of the block and so many of its literals, size bytes of the source, as planned.
func (e *Encoder) encode(n, literals, size int) int {
	b := &e.block
	return e.encoder.encode(e.progress.src[b.start:b.start+size], e.progress.seqs[:n], b.codes[:n], b.literals[:literals])
}

// commit writes the block that encode encoded.
func (e *Encoder) commit() {
	b := &e.block
	e.lastBlock = len(e.body)
	e.body = e.encoder.commit(e.body)
	if e.encoder.kind == compressedBlock {
		b.before = b.after
	}
	m := e.progress
	m.seqs = m.seqs[:copy(m.seqs, m.seqs[b.seqs:])]
	e.start(b.start + e.encoder.size)
}

// fit writes the block as the last one, as much of it as fits; if all of it does, there may be more.
func (e *Encoder) fit() {
	b := &e.block
	e.encoder.plan(&b.count, len(b.literals))
	size := (e.prices.set(&e.encoder, b) + b.count.planned(&e.prices)) >> 11
	if e.left(b.size)-size > e.enough {
		e.ratio = max(scale(size, 1<<21, b.cost+1), 256)
		return
	}
	e.cut(0)
}

// cut writes as much of the block as fits, as the last one, in the codes that are planned: sequences, and literals
// of the next one.
func (e *Encoder) cut(tail int) {
	e.done = true
	b := &e.block
	left := e.left(b.size + tail)
	total := e.prices.set(&e.encoder, b) + b.count.planned(&e.prices)
	for range e.tries {
		n, _, size := e.prefix(total, left<<11, tail)
		excess := b.size + tail - size
		if excess <= size/e.loose {
			break
		}
		tail = e.shrink(n, size+min(excess/2, size/8+64), tail)
		total = e.prices.set(&e.encoder, b) + b.count.planned(&e.prices)
	}
	for aim, tries := left, 1; ; tries++ {
		n, literals, size := e.prefix(total, aim<<11, tail)
		if size == 0 {
			return
		}
		got := e.encode(n, literals, size)
		switch {
		case got > left:
			aim -= got - left + tries - 1
		case left-got > e.enough && tries <= e.tries && size < b.size+tail:
			aim += left - got - e.enough/2
		default:
			e.commit()
			return
		}
	}
}

// shrink takes from the end of a block what is beyond n sequences and beyond size bytes of the source, and plans again: codes that count what is not in the block are too long for it. It returns how long the tail is then.
func (e *Encoder) shrink(n, size, tail int) int {
	b := &e.block
	literals := len(b.literals)
	for more := b.size + tail - size; more > 0 && (tail > 0 || b.seqs > n); more = b.size + tail - size {
		if tail > 0 {
			more = min(more, tail)
			tail -= more
			literals -= more
			continue
		}
		b.seqs--
		s := e.progress.seqs[b.seqs]
		b.size -= s.size()
		tail = int(s.literals)
	}
	b.codes, b.literals, b.count = b.codes[:b.seqs], b.literals[:literals], blockCount{}
	b.count.add(b.codes, b.literals)
	e.encoder.plan(&b.count, literals)
	return tail
}

// prefix returns what of a block that takes cost with its tail takes no more than limit, in 1/256 bits: sequences,
// literals of these and of what follows them, and how long it is in the source.
func (e *Encoder) prefix(cost, limit, tail int) (n, literals, size int) {
	b := &e.block
	n, literals, size = b.seqs, len(b.literals), b.size+tail
	for cost > limit {
		switch {
		case tail > 0:
			literals--
			tail--
			size--
			cost -= int(e.prices.literal[b.literals[literals]])
		case n > 0:
			n--
			s := e.progress.seqs[n]
			tail = int(s.literals)
			size -= int(s.match)
			cost -= int(e.prices.of(b.codes[n]))
		default:
			return 0, 0, 0
		}
	}
	return n, literals, size
}

// headerSize returns the length of the header of a frame.
func headerSize(content, windowLog int) int {
	n := 4 + 1 + fieldSize(content)
	if content > 1<<windowLog {
		n++
	}
	return n
}

// fieldSize returns the length of the field for the length of the content.
func fieldSize(content int) int {
	switch {
	case content < 256:
		return 1
	case content < 256+1<<16:
		return 2
	default:
		return 4
	}
}

// putHeader writes the header of a frame that is a single segment if the window holds it. RFC 8878, 3.1.1.1.
func putHeader(dst []byte, content, windowLog int) int {
	size := fieldSize(content)
	h := append(dst[:0], magic&0xFF, magic>>8&0xFF, magic>>16&0xFF, magic>>24)
	flag := byte(bits.Len(uint(size))-1) << 6
	if content <= 1<<windowLog {
		h = append(h, flag|1<<5)
	} else {
		h = append(h, flag, byte(windowLog-10)<<3)
	}
	if size == 2 {
		content -= 256
	}
	for i := range size {
		h = append(h, byte(content>>(8*i)))
	}
	return len(h)
}
