package zstd

// prices are what literals and codes with their extra bits take, in 1/256 bits.
type prices struct {
	literal [256]int32
	run     [64]int32             // literals before a match, by number
	match   [128 + minMatch]int32 // by length
	codes   [3][matchCodes]int32  // with extra bits
}

// set derives prices from what has been counted.
func (p *prices) set(c *blockCount) {
	n := total(c.literals[:])
	for i, k := range c.literals {
		p.literal[i] = min(max(price(n, k), 1<<8), 13<<8) // Huffman codes have a bit at least
	}
	for i := range c.codes {
		n = total(c.codes[i][:])
		for j, k := range c.codes[i][:matchCodes] {
			p.codes[i][j] = price(n, k)
		}
	}
	for i := range p.codes[offset] {
		p.codes[offset][i] += int32(i) << 8
		p.codes[literalLength][i] += int32(literalBits[i]) << 8
		p.codes[matchLength][i] += int32(matchBits[i]) << 8
	}
	for i := range p.run {
		p.run[i] = p.codes[literalLength][literalCodeOf(uint32(i))]
	}
	for i := minMatch; i < len(p.match); i++ {
		p.match[i] = p.codes[matchLength][matchCodeOf(uint32(i))]
	}
}

// price returns what one of n symbols takes that occurs k times.
func price(n, k uint32) int32 {
	if k == 0 {
		return int32(log2(n+1)) + 1<<8
	}
	return int32(log2(n+1) - log2(k))
}

func total(count []uint32) (n uint32) {
	for _, c := range count {
		n += c
	}
	return n
}

func (p *prices) runOf(n int32) int32 {
	if int(n) < len(p.run) {
		return p.run[n]
	}
	return p.codes[literalLength][literalCodeOf(uint32(n))]
}

func (p *prices) matchOf(n int) int32 {
	if n < len(p.match) {
		return p.match[n]
	}
	return p.codes[matchLength][matchCodeOf(uint32(n))]
}

// guess sets counts for prices when nothing is known but the bytes.
func (c *blockCount) guess(src []byte) {
	*c = blockCount{}
	for _, b := range src {
		c.literals[b]++
	}
	for i := range c.codes {
		for s := range predefined[i].symbols {
			c.codes[i][s] = uint32(max(predefined[i].norm[s], 1))
		}
	}
}

// fade makes what was counted weigh less than what comes.
func (c *blockCount) fade() {
	for i := range c.literals {
		c.literals[i] = (c.literals[i] + 1) / 2
	}
	for i := range c.codes {
		for j := range c.codes[i] {
			c.codes[i][j] = (c.codes[i][j] + 1) / 2
		}
	}
}
