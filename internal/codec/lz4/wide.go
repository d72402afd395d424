package lz4

import "math/bits"

// copyWide copies n bytes from src[s:] to dst[d:], rounded up to 32.
func copyWide(dst []byte, d int, src []byte, s, n int) {
	for end := d + n; d < end; d, s = d+32, s+32 {
		copy16(dst, d, src, s)
		copy16(dst, d+16, src, s+16)
	}
}

// copyNear copies n bytes from dst[d-offset:] to dst[d:], bytes that it has written among them: offset is below 16. It
// writes up to 7 bytes more.
func copyNear(dst []byte, d, offset, n int) {
	end := d + n
	if offset >= 8 {
		for ; d < end; d += 8 {
			store64(dst, d, load64(dst, d-offset))
		}
		return
	}
	p := &patterns[offset&7]
	v := load64(dst, d-offset) & p.mask * p.times
	for ; d < end; d += p.step {
		store64(dst, d, v)
	}
}

// patterns has for each offset below 8: the bytes that the pattern has, the factor that repeats them in 8 bytes,
// and how many of these are whole patterns.
var patterns = [8]struct {
	mask, times uint64
	step        int
}{
	1: {1<<8 - 1, 0x0101010101010101, 8},
	2: {1<<16 - 1, 0x0001000100010001, 8},
	3: {1<<24 - 1, 1 | 1<<24 | 1<<48, 6},
	4: {1<<32 - 1, 1 | 1<<32, 8},
	5: {1<<40 - 1, 1 | 1<<40, 5},
	6: {1<<48 - 1, 1 | 1<<48, 6},
	7: {1<<56 - 1, 1 | 1<<56, 7},
}

// matchLength returns how many bytes at src[a:] and src[b:] are equal, up to end, where a < b and the first four are
// equal; there are 12 bytes at least.
func matchLength(src []byte, a, b, end int) int {
	n := 8
	if x := load64(src, a+4) ^ load64(src, b+4); x != 0 {
		n = bits.TrailingZeros64(x) >> 3
	} else {
		n += longLength(src, a+12, b+12, end)
	}
	return min(n+4, end-b)
}

func longLength(src []byte, a, b, end int) int {
	start := b
	for b <= end-8 {
		if x := load64(src, a) ^ load64(src, b); x != 0 {
			return b - start + bits.TrailingZeros64(x)>>3
		}
		a, b = a+8, b+8
	}
	for b < end && src[a] == src[b] {
		a, b = a+1, b+1
	}
	return b - start
}
