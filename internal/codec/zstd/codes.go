package zstd

import "math/bits"

// Codes of the lengths of literals and matches: their bases and extra bits. RFC 8878, 3.1.1.3.2.1.1.
const (
	literalCodes = 36
	matchCodes   = 53
	offsetCodes  = 32
	codeSpace    = 64 // of arrays that six bits are an index of

	minMatch = 3
)

var (
	literalBase, offsetBase, matchBase [codeSpace]uint32
	literalBits, offsetBits, matchBits [codeSpace]uint8
	literalCode                        [64]uint8  // of lengths below 64
	matchCode                          [128]uint8 // of lengths below 128+minMatch
)

// Predefined tables. RFC 8878, 3.1.1.3.2.2.
var predefinedNorm = [3]struct {
	norm []int16
	log  uint
}{
	literalLength: {[]int16{4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 2, 1, 1, 1, 1, 1, -1, -1, -1, -1}, 6},
	offset:        {[]int16{1, 1, 1, 1, 1, 1, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1}, 5},
	matchLength:   {[]int16{1, 4, 3, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1}, 6},
}

// The tables made of them, for the encoder and for the decoder.
var (
	predefined    [3]fseTable
	predefinedSeq [3]seqTable
)

func init() {
	fill := func(base *[codeSpace]uint32, extra *[codeSpace]uint8, plain int, from uint32, more []uint8) {
		for i := range plain {
			base[i] = from + uint32(i)
		}
		next := from + uint32(plain)
		for i, n := range more {
			base[plain+i], extra[plain+i] = next, n
			next += 1 << n
		}
	}
	fill(&literalBase, &literalBits, 16, 0, []uint8{1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16})
	fill(&matchBase, &matchBits, 32, minMatch, []uint8{1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16})
	for i := range offsetCodes {
		offsetBase[i], offsetBits[i] = 1<<i-3, uint8(i)
	}
	offsetBase[0], offsetBase[1] = 0, 1 // of the distances that repeat
	for i, p := range predefinedNorm {
		predefined[i].build(p.norm, p.log)
		predefinedSeq[i].build(p.norm, p.log, &seqCodes[i])
	}
	for c := range literalCodes {
		for n := literalBase[c]; n < min(literalBase[c]+1<<literalBits[c], 64); n++ {
			literalCode[n] = uint8(c)
		}
	}
	for c := range matchCodes {
		for n := matchBase[c]; n < min(matchBase[c]+1<<matchBits[c], 128+minMatch); n++ {
			matchCode[n-minMatch] = uint8(c)
		}
	}
}

func literalCodeOf(n uint32) uint8 {
	if n < 64 {
		return literalCode[n]
	}
	return uint8(bits.Len32(n)) + 18
}

func matchCodeOf(n uint32) uint8 {
	if n < 128+minMatch {
		return matchCode[n-minMatch]
	}
	return uint8(bits.Len32(n-minMatch)) + 35
}
