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

const (
	chunk    = 256 // sequences that are looked at together to see whether a new block pays
	maxTries = 8   // to find out how many literals fit at the end
)

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
	ratio     int    // of size to estimate, in 1/1024
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
	e := &Encoder{windowLog: o.WindowLog, parser: newParser(o.Level, o.WindowLog)}
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
	return max(min(n, chunk), 0) + 8, max(min(bytes, e.maxBlock()), 0)
}

// take takes sequences into the block, or ends it if they are better off in another one.
func (e *Encoder) take(fresh []sequence, size int) {
	b := &e.block
	oldCodes, oldLiterals, after := len(b.codes), len(b.literals), b.after
	at := b.start + b.size
	for _, s := range fresh {
		b.codes = append(b.codes, s.encode(&b.after))
		b.literals = append(b.literals, e.progress.src[at:at+int(s.literals)]...)
		at += s.size()
	}
	var next blockCount
	next.add(b.codes[oldCodes:], b.literals[oldLiterals:])
	whole := b.count
	whole.merge(&next)
	cost := whole.estimate()
	if len(fresh) >= chunk/2 && b.seqs > 0 && b.cost+next.estimate() < cost {
		b.codes, b.literals, b.after = b.codes[:oldCodes], b.literals[:oldLiterals], after
		e.end(0)
		return
	}
	b.count, b.cost = whole, cost
	b.seqs += len(fresh)
	b.size += size
	if e.predicted() > e.left(b.size) {
		e.fit(0)
	}
}

// end writes the block, with a tail of literals, or what fits of it.
func (e *Encoder) end(tail int) {
	if e.encode(e.block.seqs, tail) > e.left(e.block.size+tail) {
		e.fit(tail)
	} else {
		e.commit()
	}
}

// encode encodes the first n sequences of the block and a tail of literals.
func (e *Encoder) encode(n, tail int) int {
	b := &e.block
	size, literals := b.size, len(b.literals)
	for _, s := range e.progress.seqs[n:b.seqs] {
		size -= s.size()
		literals -= int(s.literals)
	}
	all := b.literals[:literals:literals]
	source := e.progress.src[b.start : b.start+size+tail]
	if tail > 0 {
		all = append(all, source[size:]...)
	}
	return e.encoder.encode(source, e.progress.seqs[:n], b.codes[:n], all)
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

// fit looks for the most sequences that fit, and writes them as the last block; if all of them fit, there
// may be more.
func (e *Encoder) fit(tail int) {
	b := &e.block
	left := e.left(b.size + tail)
	low, lowSize := 0, blockHeader
	high, highSize := b.seqs, max(e.predicted(), left+1)
	for n := e.between(low, high+1, lowSize, highSize, left); ; n = e.between(low, high, lowSize, highSize, left) {
		size := e.encode(n, 0)
		if size > left {
			high, highSize = n, size
		} else if low, lowSize = n, size; n == b.seqs {
			e.ratio = max(scale(size, 1<<21, b.cost+1), 256)
			if tail == 0 && left-size > 4 {
				return
			}
			break
		}
		if high-low <= 1 || left-lowSize <= 2 {
			break
		}
	}
	e.last(low, lowSize, left, tail)
}

// between interpolates.
func (e *Encoder) between(low, high, lowSize, highSize, size int) int {
	n := low + scale(high-low, size-lowSize, max(highSize-lowSize, 1))
	return max(min(n, high-1), low+min(1, high-low-1))
}

// last writes the last block, of n sequences and as many literals behind them as fit.
func (e *Encoder) last(n, size, left, tail int) {
	e.done = true
	b := &e.block
	if n < b.seqs {
		tail = int(e.progress.seqs[n].literals)
	}
	fits, step := 0, left-size-2
	for tries := 0; fits < tail && step > 2 && tries < maxTries; tries++ {
		try := min(fits+step, tail)
		now := e.encode(n, try)
		if now > left {
			tail, step = try-1, (try-fits)/2
			continue
		}
		step = (left - now) * (try - fits) / max(now-size, 1)
		fits, size = try, now
	}
	if n+fits > 0 {
		e.encode(n, fits)
		e.commit()
	}
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
