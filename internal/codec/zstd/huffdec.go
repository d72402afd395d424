package zstd

import (
	"encoding/binary"
	"math/bits"
)

// huffDecoder decodes literals. RFC 8878, 4.2.
type huffDecoder struct {
	valid   bool
	log     uint                    // of the longest code
	entries [1 << maxHuffLog]uint16 // by the next log bits: the literal<<8 | length of its code
	weights seqTable                // scratch
}

// readTree reads the description of a code at src[at:] and returns where it ends. RFC 8878, 4.2.1.
func (h *huffDecoder) readTree(src []byte, at int) (end int, err error) {
	h.valid = false
	if at >= len(src) {
		return 0, errShort
	}
	var weights [256]uint8
	n, size := int(src[at]), int(src[at])
	at++
	if n >= maxPlainTree {
		n -= maxPlainTree - 1
		size = (n + 1) / 2
	}
	if size > len(src)-at {
		return 0, errShort
	}
	end = at + size
	if src[at-1] >= maxPlainTree {
		for i := range n {
			weights[i] = src[at+i/2] >> (4 - i%2*4) & 15
		}
	} else if n, err = h.readWeights(weights[:255], src[:end], at); err != nil {
		return 0, err
	}
	return end, h.build(&weights, n)
}

// readWeights reads weights from src[at:], where they are encoded by two states in turns.
func (h *huffDecoder) readWeights(weights []uint8, src []byte, at int) (n int, err error) {
	var norm [maxHuffLog + 2]int16
	log, symbols, size, err := readNorm(norm[:], src[at:], weightLog)
	if err != nil {
		return 0, err
	}
	h.weights.build(norm[:symbols], log, &plainValues)
	in, err := newBackward(src, at+size)
	if err != nil {
		return 0, err
	}
	state := [2]uint{in.take(log), in.take(log)}
	for n < len(weights) {
		e := h.weights.entries[state[n&1]]
		weights[n] = uint8(e.base)
		state[n&1] = uint(e.next) + in.take(uint(e.bits))
		if n++; in.left < 0 && n < len(weights) {
			weights[n] = uint8(h.weights.entries[state[n&1]].base)
			return n + 1, nil
		}
	}
	return 0, corrupt("description of a Huffman code")
}

// build makes the table from the weights of n symbols; that of the one behind them follows from these.
func (h *huffDecoder) build(weights *[256]uint8, n int) error {
	var count [maxHuffLog + 2]uint16
	sum := 0
	for _, w := range weights[:n] {
		if w > maxHuffLog {
			return corrupt("weight of a literal")
		}
		count[w]++
		sum += 1 << w >> 1
	}
	log := uint(bits.Len(uint(sum)))
	rest := 1<<log - sum
	if sum == 0 || log > maxHuffLog || rest&(rest-1) != 0 {
		return corrupt("Huffman code")
	}
	weights[n] = uint8(bits.Len(uint(rest)))
	count[weights[n]]++
	if count[1] < 2 || count[1]%2 != 0 {
		return corrupt("Huffman code")
	}
	var next [maxHuffLog + 2]uint16 // cells of the table, the ones of long codes first
	at := uint16(0)
	for w := 1; w <= int(log); w++ {
		next[w] = at
		at += count[w] << (w - 1)
	}
	for s, w := range weights[:n+1] {
		if w == 0 {
			continue
		}
		e := uint16(s)<<8 | uint16(log+1) - uint16(w)
		cells := h.entries[next[w] : next[w]+1<<(w-1)]
		next[w] += 1 << (w - 1)
		for i := range cells {
			cells[i] = e
		}
	}
	h.log, h.valid = log, true
	return nil
}

// one decodes a stream, src[at:], into dst.
func (h *huffDecoder) one(dst, src []byte, at int) error {
	in, err := newBackward(src, at)
	if err != nil {
		return err
	}
	return h.finish(dst, in)
}

// four decodes four streams of a quarter of dst each, behind the lengths of three of them. RFC 8878, 4.2.2.
func (h *huffDecoder) four(dst, src []byte, at int) error {
	const table = 6
	if len(src)-at < table {
		return errShort
	}
	l := huffLoop{src: src, dst: dst, quarter: (len(dst) + 3) / 4, shift: uint64(64 - h.log), table: &h.entries}
	if 3*l.quarter > len(dst) {
		return corrupt("number of literals")
	}
	var in [4]backward
	from := at + table
	for i := range in {
		end := len(src)
		if i < 3 {
			end = from + int(binary.LittleEndian.Uint16(src[at+2*i:]))
		}
		if end > len(src) {
			return errShort
		}
		var err error
		if in[i], err = newBackward(src[:end], from); err != nil {
			return err
		}
		from = end
	}
	done := l.run(&in)
	for i := range in {
		if err := h.finish(dst[i*l.quarter+done:min((i+1)*l.quarter, len(dst))], in[i]); err != nil {
			return err
		}
	}
	return nil
}

// finish decodes what is left of a stream, all of dst.
func (h *huffDecoder) finish(dst []byte, in backward) error {
	shift := 64 - h.log
	for len(dst) >= 5 && in.left >= 5*maxHuffLog {
		x := in.load()
		n := uint(0)
		for i := range 5 {
			e := h.entries[x>>shift&(1<<maxHuffLog-1)]
			dst[i] = byte(e >> 8)
			x <<= e & 15
			n += uint(e & 15)
		}
		in.left -= int(n)
		dst = dst[5:]
	}
	for i := range dst {
		e := h.entries[in.load()>>shift&(1<<maxHuffLog-1)]
		dst[i] = byte(e >> 8)
		if in.left -= int(e & 15); in.left < 0 {
			break
		}
	}
	if in.left != 0 {
		return corrupt("stream of literals")
	}
	return nil
}

// huffLoop is what the loop over four streams has.
type huffLoop struct {
	src     []byte
	dst     []byte
	quarter int
	shift   uint64
	table   *[1 << maxHuffLog]uint16
	pos     [4]int    // where bits was loaded from src
	bits    [4]uint64 // the next ones, the first one highest; below the last one of them a 1
	op      int       // done of each quarter
	n       int       // times five literals of each stream that may be decoded without looking at the end
}

// run decodes from the four streams at once, as long as none is near its end, and returns how many literals of each.
func (l *huffLoop) run(in *[4]backward) int {
	for i := range in {
		b := &in[i]
		l.pos[i] = b.start + b.left>>3 - 7
		l.bits[i] = (load64(l.src, l.pos[i]) | 1) << (8 - b.left&7)
	}
	for {
		l.n = (len(l.dst) - 3*l.quarter - l.op) / 5
		for i := range in {
			l.n = min(l.n, (l.pos[i]-in[i].start)/7)
		}
		if l.n <= 0 {
			break
		}
		l.four()
	}
	for i := range in {
		in[i].left = 8*(l.pos[i]+8-in[i].start) - bits.TrailingZeros64(l.bits[i])
	}
	return l.op
}

// generic is four in Go.
func (l *huffLoop) generic() {
	const last = 1<<maxHuffLog - 1
	x0, x1, x2, x3 := l.bits[0], l.bits[1], l.bits[2], l.bits[3]
	q, shift := l.quarter, l.shift
	for ; l.n > 0; l.n-- {
		d0, d1, d2, d3 := l.dst[l.op:][:5], l.dst[l.op+q:][:5], l.dst[l.op+2*q:][:5], l.dst[l.op+3*q:][:5]
		for i := range 5 {
			e0, e1, e2, e3 := l.table[x0>>(shift&63)&last], l.table[x1>>(shift&63)&last], l.table[x2>>(shift&63)&last], l.table[x3>>(shift&63)&last]
			d0[i], d1[i], d2[i], d3[i] = byte(e0>>8), byte(e1>>8), byte(e2>>8), byte(e3>>8)
			x0, x1, x2, x3 = x0<<(e0&63), x1<<(e1&63), x2<<(e2&63), x3<<(e3&63)
		}
		x0, x1, x2, x3 = l.more(0, x0), l.more(1, x1), l.more(2, x2), l.more(3, x3)
		l.op += 5
	}
	l.bits = [4]uint64{x0, x1, x2, x3}
}

// more returns the next bits of stream i, 55 or more, where bits is what is left of those before.
func (l *huffLoop) more(i int, x uint64) uint64 {
	n := bits.TrailingZeros64(x)
	l.pos[i] -= n >> 3
	return (load64(l.src, l.pos[i]) | 1) << (n & 7)
}
