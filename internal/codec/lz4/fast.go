package lz4

import "math"

const (
	fastBits = 13
	// fastSkip: every so many positions without a match (as a power of two), the step to the next one grows by a byte.
	fastSkip = 6
)

// fast is the search of the fast encoder: one candidate, the last position whose 5 bytes have the same hash.
type fast struct {
	// table has positions of the input, base added. What is below base is from inputs before and counts as nothing, so
	// there is no need to clear the table for each of them.
	table [1 << fastBits]uint32
	base  uint32
}

func newFast() *fast { return &fast{base: 1} }

// hash5 returns the hash of the lowest 5 bytes of v.
func hash5(v uint64) uint32 { return uint32(v << 24 * 889523592379 >> (64 - fastBits)) }

// restart makes everything that is in the table count as nothing, for an input of n bytes.
func (f *fast) restart(used, n int) {
	if uint64(f.base)+uint64(used)+uint64(n) > math.MaxUint32 {
		*f = fast{base: 1}
		return
	}
	f.base += uint32(used)
}

// encode fills b.
func (f *fast) encode(b *block, maxDistance int) {
	src := b.src
	limit := len(src) - matchLimit // of the start of a match
	f.restart(0, len(src))
	pos := 0
	defer func() { f.base += uint32(pos) + 1 }()
	for {
		from, ok := 0, false
		end := min(limit, b.anchor+b.room()) // literals up to here would fill the block
		for tries := 1 << fastSkip; pos <= end; tries++ {
			h := hash5(load64(src, pos))
			entry := f.table[h]
			f.table[h] = f.base + uint32(pos)
			if entry >= f.base {
				from = int(entry - f.base)
				if pos-from <= maxDistance && load32(src, from) == load32(src, pos) {
					ok = true
					break
				}
			}
			pos += tries >> fastSkip
		}
		if !ok {
			b.finish()
			return
		}
		start := pos
		for start > b.anchor && from > 0 && src[start-1] == src[from-1] {
			start, from = start-1, from-1
		}
		n := matchLength(src, from, start, len(src)-lastLiterals)
		if !b.sequence(start, start-from, n) {
			return
		}
		pos = start + n
		if pos <= limit {
			f.table[hash5(load64(src, pos-2))] = f.base + uint32(pos-2)
		}
	}
}
