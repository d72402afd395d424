package zstd

// Types of blocks. RFC 8878, 3.1.1.2.2.
const (
	rawBlock = iota
	oneBlock
	compressedBlock

	maxBlock    = 128 << 10 // bytes of the content, or the window if it is less
	blockHeader = 3
)

// block is sequences that are going to be a block, and estimates of its size.
type block struct {
	start    int // in the source
	size     int // bytes of the source in sequences
	seqs     int
	codes    []coded
	literals []byte
	count    blockCount
	cost     int     // estimate, in 1/256 bits
	before   repeats // at its start
	after    repeats
}

// blockCount counts what a block has to encode.
type blockCount struct {
	literals [256]uint32
	codes    codeCount
	extra    int // bits
}

func (c *blockCount) add(codes []coded, literals []byte) {
	for _, b := range literals {
		c.literals[b]++
	}
	for _, s := range codes {
		l, o, m := s.code[literalLength], s.code[offset], s.code[matchLength]
		c.codes[literalLength][l%matchCodes]++
		c.codes[offset][o%matchCodes]++
		c.codes[matchLength][m%matchCodes]++
		c.extra += int(literalBits[l%matchCodes]) + int(o) + int(matchBits[m%matchCodes])
	}
}

func (c *blockCount) merge(other *blockCount) {
	for i, n := range other.literals {
		c.literals[i] += n
	}
	for i := range other.codes {
		for j, n := range other.codes[i] {
			c.codes[i][j] += n
		}
	}
	c.extra += other.extra
}

// estimate returns about how long a block gets, in 1/256 bits.
func (c *blockCount) estimate() int {
	cost := c.extra<<8 + 8*8<<8
	cost += entropy(c.literals[:]) + used(c.literals[:])*3<<8
	for i := range c.codes {
		cost += entropy(c.codes[i][:]) + used(c.codes[i][:])*4<<8
	}
	return cost
}

func used(count []uint32) (n int) {
	for _, c := range count {
		if c > 0 {
			n++
		}
	}
	return n
}

// blockEncoder encodes one block after the other.
type blockEncoder struct {
	literals literalsEncoder
	seqs     sequencesEncoder
	out      []byte
	kind     byte
	size     int // decoded
}

// encode encodes a block to e.out, a prefix of source, and returns its length with its header.
func (e *blockEncoder) encode(source []byte, seqs []sequence, codes []coded, literals []byte) int {
	var count blockCount
	count.add(codes, literals)
	e.size = len(source)
	e.out = e.literals.append(e.out[:0], literals, &count.literals)
	e.out = e.seqs.append(e.out, seqs, codes, &count.codes)
	e.kind = compressedBlock
	if len(e.out) >= len(source) {
		e.kind = rawBlock
		e.out = append(e.out[:0], source...)
	}
	return blockHeader + len(e.out)
}

// commit appends the block that was encoded last.
func (e *blockEncoder) commit(dst []byte) []byte {
	n := len(e.out)
	if e.kind == compressedBlock {
		e.literals.commit()
		e.seqs.commit()
	}
	h := n<<3 | int(e.kind)<<1
	return append(append(dst, byte(h), byte(h>>8), byte(h>>16)), e.out...)
}

// reset starts a frame.
func (e *blockEncoder) reset() {
	e.literals.last.valid = false
	e.seqs.valid = [3]bool{}
}
