package zstd

// blockPrices are what parts of a block take in the codes that are planned for it, in 1/256 bits.
type blockPrices struct {
	literal [256]int32
	codes   [3][codeSpace]int32 // with extra bits
}

// set gets the prices and returns what the block takes beside them.
func (p *blockPrices) set(e *blockEncoder, b *block) (fixed int) {
	for i, n := range e.literals.lens() {
		p.literal[i] = int32(n) << 8
	}
	state := 1
	for i, t := range e.seqs.tables {
		state += int(t.log)
		for s := range p.codes[i] {
			p.codes[i][s] = int32(t.log) << 8
		}
		for s, n := range t.norm[:t.symbols] {
			p.codes[i][s] -= int32(log2(uint32(max(n, 1))))
		}
	}
	for i := range codeSpace {
		p.codes[offset][i] += int32(i) << 8
		p.codes[literalLength][i] += int32(literalBits[i]) << 8
		p.codes[matchLength][i] += int32(matchBits[i]) << 8
	}
	const number = 3 // of sequences, at most
	return (blockHeader+e.literals.overhead(len(b.literals))+number+len(e.seqs.head))<<11 + state<<8
}

// of returns what a sequence takes without its literals.
func (p *blockPrices) of(c coded) int32 {
	return p.codes[literalLength][c.code[literalLength]%codeSpace] + p.codes[offset][c.code[offset]%codeSpace] +
		p.codes[matchLength][c.code[matchLength]%codeSpace]
}

// planned returns what all that was counted takes.
func (c *blockCount) planned(p *blockPrices) (cost int) {
	for i, n := range c.literals {
		cost += int(n) * int(p.literal[i])
	}
	for i := range c.codes {
		for s, n := range c.codes[i] {
			cost += int(n) * int(p.codes[i][s])
		}
	}
	return cost
}
