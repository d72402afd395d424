package zstd

import (
	"encoding/binary"
	"slices"
)

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

// gather appends what sequences, of size bytes of the source behind the block, are in codes and in literals.
func (b *block) gather(fresh []sequence, src []byte, size int) {
	const wide = 16
	b.codes = slices.Grow(b.codes, len(fresh))
	b.literals = slices.Grow(b.literals, size+wide)
	to := len(b.literals)
	literals := b.literals[:to+size+wide]
	at := b.start + b.size
	for _, s := range fresh {
		b.codes = append(b.codes, s.encode(&b.after))
		n := int(s.literals)
		if n <= wide && at+wide <= len(src) {
			copy16(literals, to, src, at)
		} else {
			copy(literals[to:], src[at:at+n])
		}
		to += n
		at += s.size()
	}
	b.literals = literals[:to]
}

// blockCount counts what a block has to encode.
type blockCount struct {
	literals [256]uint32
	codes    codeCount
	extra    int // bits
}

func (c *blockCount) add(codes []coded, literals []byte) {
	var odd [256]uint32 // the same byte twice need not wait for itself
	for ; len(literals) >= 8; literals = literals[8:] {
		v := binary.LittleEndian.Uint64(literals)
		c.literals[v&0xFF]++
		odd[v>>8&0xFF]++
		c.literals[v>>16&0xFF]++
		odd[v>>24&0xFF]++
		c.literals[v>>32&0xFF]++
		odd[v>>40&0xFF]++
		c.literals[v>>48&0xFF]++
		odd[v>>56]++
	}
	for _, b := range literals {
		c.literals[b]++
	}
	for i, n := range odd {
		c.literals[i] += n
	}
	for _, s := range codes {
		l, o, m := s.code[literalLength], s.code[offset], s.code[matchLength]
		c.codes[literalLength][l%codeSpace]++
		c.codes[offset][o%codeSpace]++
		c.codes[matchLength][m%codeSpace]++
		c.extra += int(literalBits[l%codeSpace]) + int(o) + int(matchBits[m%codeSpace])
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

// plan chooses codes for a block of n literals. Blocks that are the beginning of it can be encoded with them.
func (e *blockEncoder) plan(c *blockCount, n int) {
	e.literals.plan(n, &c.literals)
	e.seqs.plan(&c.codes)
}

// encode encodes a block to e.out, a prefix of source, as planned, and returns its length with its header.
func (e *blockEncoder) encode(source []byte, seqs []sequence, codes []coded, literals []byte) int {
	e.size = len(source)
	e.out = e.literals.append(e.out[:0], literals)
	e.out = e.seqs.append(e.out, seqs, codes)
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

func newBlockEncoder(thorough bool) (e blockEncoder) {
	e.literals.fresh, e.literals.last = new(huffTable), new(huffTable)
	for i := range e.seqs.fresh {
		e.seqs.fresh[i], e.seqs.last[i] = new(fseTable), new(fseTable)
	}
	e.seqs.thorough = thorough
	return e
}

// reset starts a frame.
func (e *blockEncoder) reset() {
	e.literals.last.valid = false
	e.seqs.valid = [3]bool{}
}
