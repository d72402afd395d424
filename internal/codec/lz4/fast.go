package lz4

import "math/bits"

const (
	fastBits = 13
	// fastSkip: every so many positions without a match (as a power of two), the step to the next one grows by a byte.
	fastSkip = 6
)

// fast is the search of the fast encoder: one candidate, the last position whose 5 bytes have the same hash.
type fast struct {
	// table has the low 16 bits of positions: two that are 64 KiB apart look the same, but then their bytes are compared
	// anyway, and a table that stays in the fastest cache is worth more.
	table [1 << fastBits]uint16
}

// hash5 returns the hash of the lowest 5 bytes of v.
func hash5(v uint64) uint32 { return uint32(v << 24 * 889523592379 >> (64 - fastBits)) }

// encode fills b.
func (f *fast) encode(b *block, maxDistance int) {
	clear(f.table[:])
	src := b.src
	limit := len(src) - matchLimit // of the start of a match
	pos := 0
	for {
		end := min(limit, b.anchor+b.room()) // literals up to here would fill the block
		start, distance := f.find(src, pos, end, uint32(maxDistance))
		if distance == 0 {
			b.finish()
			return
		}
		n := 8 + minMatch
		if x := load64(src, start+minMatch) ^ load64(src, start+minMatch-distance); x != 0 {
			n = bits.TrailingZeros64(x)>>3 + minMatch
		} else {
			n += longLength(src, start+n-distance, start+n, limit+matchLimit-lastLiterals)
		}
		pos = min(start+n, limit+matchLimit-lastLiterals)
		for start > b.anchor && start > distance && load8(src, start-1) == load8(src, start-1-distance) {
			start--
		}
		if !b.sequence(start, distance, pos-start) {
			return
		}
	}
}

// find returns the first match that starts at pos or behind, up to end; without one the distance is 0.
func (f *fast) find(src []byte, pos, end int, maxDistance uint32) (start, distance int) {
	for tries := 1 << fastSkip; pos <= end; tries++ {
		v := load64(src, pos)
		entry := &f.table[hash5(v)]
		distance := uint32(uint16(pos) - *entry)
		*entry = uint16(pos)
		if load32(src, pos-int(distance)) == uint32(v) && distance-1 < maxDistance {
			return pos, int(distance)
		}
		pos += tries >> fastSkip
	}
	return pos, 0
}
