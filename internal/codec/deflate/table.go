package deflate

import (
	"bytes"
	"math/bits"
)

// Tables map the next bits of the stream to an entry. Codes of up to litBits (distBits) bits are found
// in the main part, longer ones through an entry that points to a subtable behind it. Bits of an entry:
//
//	31     a literal
//	16-30  literal, base of a length or distance, or index of a subtable
//	15     special: a subtable, the end of the block, or a code that nothing has
//	14     special and not a subtable
//	13     special: the end of the block
//	8-12   bits of the code; of a pointer: bits of the subtable's index
//	0-6    bits to consume: those of the code and the extra bits behind it
const (
	litBits  = 11
	distBits = 8
	preBits  = 7 // codes of the code lengths are no longer, so this table is all main part
	litMask  = 1<<litBits - 1

	// Most entries that complete codes of up to 15 bits take, for 288 and 32 symbols (what zlib's "enough"
	// computes), rounded up to a power of two so that a mask bounds every index.
	litSize  = 4096 // 2342
	distSize = 512  // 402

	isLiteral = 1 << 31
	isSpecial = 1 << 15
	noTable   = 1 << 14
	blockEnd  = 1 << 13
	invalid   = isSpecial | noTable
)

var (
	litEntries, distEntries, preEntries = entries()
	fixedLit                            [litSize]uint32
	fixedDist                           [distSize]uint32
)

// entries returns what each symbol means: entries without the length of the code. RFC 1951, 3.2.5.
func entries() (lit, dist, pre []uint32) {
	for s := range uint32(256) {
		lit = append(lit, isLiteral|s<<16)
	}
	lit = append(lit, isSpecial|noTable|blockEnd)
	base := uint32(3)
	for s := range 28 {
		extra := uint32(max(s/4-1, 0))
		lit = append(lit, base<<16|extra)
		base += 1 << extra
	}
	lit = append(lit, 258<<16, invalid, invalid)
	base = 1
	for s := range 30 {
		extra := uint32(max(s/2-1, 0))
		dist = append(dist, base<<16|extra)
		base += 1 << extra
	}
	dist = append(dist, invalid, invalid)
	for s := range uint32(19) {
		pre = append(pre, s<<16)
	}
	return lit, dist, pre
}

func init() {
	build(fixedLit[:], litBits, fixedLens[:], litEntries)
	build(fixedDist[:], distBits, bytes.Repeat([]byte{5}, 32), distEntries)
}

// fixedLens are the lengths of the fixed code. RFC 1951, 3.2.6.
var fixedLens = func() (lens [288]uint8) {
	for i := range lens {
		switch {
		case i < 144:
			lens[i] = 8
		case i < 256:
			lens[i] = 9
		case i < 280:
			lens[i] = 7
		default:
			lens[i] = 8
		}
	}
	return lens
}()

// build fills a table for the canonical code with these lengths, all below 16, and reports whether it is
// a code: complete, or without symbols, or with one symbol of one bit (RFC 1951, 3.2.7). tableBits is the
// length of the main part.
func build(table []uint32, tableBits int, lens []uint8, entries []uint32) bool {
	var count, next [17]int
	for _, n := range lens {
		count[n]++
	}
	used, left := len(lens)-count[0], 1
	for n := 1; n < 16; n++ {
		if left = 2*left - count[n]; left < 0 {
			return false
		}
		next[n+1] = next[n] + count[n]
	}
	if left > 0 {
		return incomplete(table[:1<<tableBits], lens, entries, used)
	}
	var sorted [288]uint16 // symbols by length of the code, then by number
	for s, n := range lens {
		if n > 0 {
			sorted[next[n]] = uint16(s)
			next[n]++
		}
	}
	fill(table, tableBits, count, sorted[:used], entries)
	return true
}

// incomplete fills a table for no code, or for one code of one bit, "0".
func incomplete(main []uint32, lens []uint8, entries []uint32, used int) bool {
	for i := range main {
		main[i] = invalid
	}
	if used == 0 {
		return true
	}
	for s, n := range lens {
		if n == 0 {
			continue
		}
		if used > 1 || n > 1 {
			return false
		}
		for i := 0; i < len(main); i += 2 {
			main[i] = entries[s] + 1<<8 + 1
		}
	}
	return true
}

// fill goes through the codes in order. The first bit of a code is the lowest one of the index, so the
// next code is found by adding 1 at the other end.
func fill(table []uint32, tableBits int, count [17]int, sorted []uint16, entries []uint32) {
	count[0] = 0
	n, left := 1, count[1] // length of the code; codes of that length still to come
	end := 2               // of what is filled so far: the table for codes of length n
	code, i := 0, 0
	for {
		for left == 0 {
			if n++; n > tableBits {
				subtables(table, tableBits, count, n, code, sorted[i:], entries)
				return
			}
			copy(table[end:2*end], table[:end])
			end *= 2
			left = count[n]
		}
		table[code] = entries[sorted[i]] + uint32(n)<<8 + uint32(n)
		i++
		left--
		if code == end-1 { // the last code; what is left of the main part repeats
			for ; end < 1<<tableBits; end *= 2 {
				copy(table[end:2*end], table[:end])
			}
			return
		}
		code = increment(code, n)
	}
}

// increment returns the code of n bits behind code, which is not all ones, both with the first bit lowest.
func increment(code, n int) int {
	bit := 1 << (bits.Len(uint(code^(1<<n-1))) - 1)
	return code&(bit-1) | bit
}

// subtables goes on with the codes longer than tableBits; n is the length of the first one.
func subtables(table []uint32, tableBits int, count [17]int, n, code int, sorted []uint16, entries []uint32) {
	main, end, start := 1<<tableBits-1, 1<<tableBits, 0
	prefix, left := -1, count[n]
	for i := 0; ; i++ {
		for left == 0 {
			n++
			left = count[n]
		}
		if code&main != prefix {
			prefix, start = code&main, end
			// as many bits as the rest of the codes with this prefix needs
			size := n - tableBits
			for space := left; space < 1<<size; size++ {
				space = 2*space + count[tableBits+size+1]
			}
			end += 1 << size
			table[prefix] = uint32(start)<<16 | isSpecial | uint32(size)<<8 | uint32(tableBits)
		}
		short := n - tableBits
		e := entries[sorted[i]] + uint32(short)<<8 + uint32(short)
		for j := start + code>>tableBits; j < end; j += 1 << short {
			table[j] = e
		}
		left--
		if code == 1<<n-1 {
			return
		}
		code = increment(code, n)
	}
}
