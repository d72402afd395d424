package deflate

// symbol is a literal, or a match: bits 0 to 14 its distance less 1, 15 to 22 its length less 3, 23 to 27 the
// code of the distance, 28 to 32 the code of the length less 256, so 0 for literals.
type symbol uint64

// Offsets of the fields of a symbol.
const (
	lengthShift   = 15
	distCodeShift = 23
	lenCodeShift  = 28
	endOfBlock    = 256
)

var lengthCodes, distCodes = slots() // of a length less 3; of a distance less 1, below 256 or >>7

// slots inverts lit and dist entries.
func slots() (length [256]uint8, dist [512]uint8) {
	for s := range 29 {
		e := litEntries[endOfBlock+1+s]
		for i := range 1 << (e & 0x7F) {
			length[min(int(e>>16)+i-3, 255)] = uint8(s)
		}
	}
	length[255] = 28
	for s := range 30 {
		e := distEntries[s]
		for i := range 1 << (e & 0x7F) {
			if d := int(e>>16) + i - 1; d < 256 {
				dist[d] = uint8(s)
			} else {
				dist[256+d>>7] = uint8(s)
			}
		}
	}
	return length, dist
}

func makeMatch(length, distance int) symbol {
	l, d := uint(length-3), uint(distance-1)
	i := d
	if d >= 256 {
		i = 256 + d>>7
	}
	return symbol(d) | symbol(l)<<lengthShift | symbol(distCodes[i&511])<<distCodeShift | symbol(lengthCodes[l&255]+1)<<lenCodeShift
}

// size returns the number of bytes that the symbol stands for.
func (s symbol) size() int {
	if s>>lenCodeShift == 0 {
		return 1
	}
	return int(s>>lengthShift&0xFF) + 3
}

// histogram counts what a block has to encode, without its end; fewer than 1<<16 symbols.
type histogram struct {
	lit  [286]uint16
	dist [30]uint16
}

// count adds symbols, n = 1, or takes them off, n = 1<<16 - 1.
func (h *histogram) count(symbols []symbol, n uint16) {
	for _, s := range symbols {
		if c := s >> lenCodeShift; c == 0 {
			h.lit[s&0xFF] += n
		} else {
			h.lit[(endOfBlock+c)%286] += n
			h.dist[s>>distCodeShift&31%30] += n
		}
	}
}

func (h *histogram) add(other *histogram) {
	for i, n := range other.lit {
		h.lit[i] += n
	}
	for i, n := range other.dist {
		h.dist[i] += n
	}
}

// code is the code of a block, RFC 1951, 3.2.7.
type code struct {
	fixed      bool
	lit        [288]uint8
	dist       [32]uint8
	nlit       int
	ndist      int
	npre       int
	pre        [19]uint8
	runs       [286 + 30]uint16 // lengths, run-length encoded: symbol | extra bits<<8
	nruns      int
	huffman    huffman
	litCode    [288]uint16
	distCode   [32]uint16
	litFreq    [286]uint16
	lens       [286 + 30]uint8
	preFreq    [19]uint16
	headerBits int
}

// build makes the best code for h and returns the length of the block in bits.
func (c *code) build(h *histogram) int {
	c.litFreq = h.lit
	c.litFreq[endOfBlock] = 1
	distFreq := h.dist
	for i, used := 0, distances(&h.dist); used < 2; i++ { // there is no decoder that does not know two codes
		if distFreq[i] == 0 {
			distFreq[i]++
			used++
		}
	}
	clear(c.lit[286:]) // the fixed code has these
	clear(c.dist[30:])
	c.huffman.lengths(c.lit[:286], c.litFreq[:], 15)
	c.huffman.lengths(c.dist[:30], distFreq[:], 15)
	c.header()
	extra := 0
	for i, n := range h.lit[endOfBlock+1:] {
		extra += int(n) * int(litEntries[endOfBlock+1+i]&0x7F)
	}
	for i, n := range h.dist {
		extra += int(n) * int(distEntries[i]&0x7F)
	}
	dynamic, fixed := c.headerBits, 3
	for i, n := range c.litFreq {
		dynamic += int(n) * int(c.lit[i])
		fixed += int(n) * int(fixedLens[i])
	}
	for i, n := range h.dist {
		dynamic += int(n) * int(c.dist[i])
		fixed += int(n) * 5
	}
	c.fixed = fixed < dynamic
	return min(fixed, dynamic) + extra
}

// distances returns the number of used codes.
func distances(dist *[30]uint16) (n int) {
	for _, f := range dist {
		if f > 0 {
			n++
		}
	}
	return n
}

// header encodes the lengths of the codes.
func (c *code) header() {
	for c.nlit = 286; c.lit[c.nlit-1] == 0; c.nlit-- {
	}
	for c.ndist = 30; c.dist[c.ndist-1] == 0; c.ndist-- {
	}
	copy(c.lens[:], c.lit[:c.nlit])
	copy(c.lens[c.nlit:], c.dist[:c.ndist])
	c.runLengths(c.lens[:c.nlit+c.ndist])
	c.huffman.lengths(c.pre[:], c.preFreq[:], 7)
	for c.npre = 19; c.pre[order[c.npre-1]] == 0; c.npre-- {
	}
	c.headerBits = 3 + 5 + 5 + 4 + 3*c.npre + 2*int(c.preFreq[16]) + 3*int(c.preFreq[17]) + 7*int(c.preFreq[18])
	for s, n := range c.preFreq {
		c.headerBits += int(n) * int(c.pre[s])
	}
}

// runLengths makes runs of lens.
func (c *code) runLengths(lens []uint8) {
	c.nruns = 0
	clear(c.preFreq[:])
	add := func(s, extra int) {
		c.runs[c.nruns] = uint16(s | extra<<8)
		c.nruns++
		c.preFreq[s]++
	}
	for i := 0; i < len(lens); {
		v, n := lens[i], 1
		for i+n < len(lens) && lens[i+n] == v {
			n++
		}
		i += n
		if v == 0 {
			for ; n >= 11; n -= min(n, 138) {
				add(18, min(n, 138)-11)
			}
			if n >= 3 {
				add(17, n-3)
				n = 0
			}
		} else if n > 3 {
			add(int(v), 0)
			for n--; n >= 3; {
				k := min(n, 6)
				if n == 7 || n == 8 {
					k = n - 3 // leaves no rest
				}
				add(16, k-3)
				n -= k
			}
		}
		for ; n > 0; n-- {
			add(int(v), 0)
		}
	}
}

// write writes a block that is not the last one, of as many bits as build said.
func (c *code) write(w *bitWriter, symbols []symbol) {
	if c.fixed {
		w.put(1<<1, 3)
		c.lit = fixedLens
		for i := range c.dist {
			c.dist[i] = 5
		}
	} else {
		w.put(2<<1, 3)
		c.writeHeader(w)
	}
	canonical(c.litCode[:], c.lit[:])
	canonical(c.distCode[:], c.dist[:])
	for _, s := range symbols {
		w.flush()
		l := s >> lenCodeShift
		if l == 0 {
			w.put(uint64(c.litCode[s&0xFF]), uint(c.lit[s&0xFF]))
			continue
		}
		l += endOfBlock
		e := litEntries[l]
		w.put(uint64(c.litCode[l]), uint(c.lit[l]))
		w.put(uint64(s>>lengthShift&0xFF)+3-uint64(e>>16), uint(e&0x7F))
		d := s >> distCodeShift & 31
		e = distEntries[d]
		w.put(uint64(c.distCode[d]), uint(c.dist[d]))
		w.put(uint64(s&0x7FFF)+1-uint64(e>>16), uint(e&0x7F))
	}
	w.flush()
	w.put(uint64(c.litCode[endOfBlock]), uint(c.lit[endOfBlock]))
	w.flush()
}

func (c *code) writeHeader(w *bitWriter) {
	w.put(uint64(c.nlit-257), 5)
	w.put(uint64(c.ndist-1), 5)
	w.put(uint64(c.npre-4), 4)
	w.flush()
	for _, s := range order[:c.npre] {
		w.put(uint64(c.pre[s]), 3)
		w.flush()
	}
	var codes [19]uint16
	canonical(codes[:], c.pre[:])
	for _, r := range c.runs[:c.nruns] {
		s := r & 0xFF
		w.put(uint64(codes[s]), uint(c.pre[s]))
		w.put(uint64(r>>8), uint([19]uint8{16: 2, 17: 3, 18: 7}[s]))
		w.flush()
	}
}
