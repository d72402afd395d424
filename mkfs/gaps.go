package mkfs

import "math/bits"

// gaps is the free space between inodes, each piece within one block: what an inline tail left because all of it
// must lie in one block. Smaller inodes go there. Sizes are counted in slots of 32 bytes.
type gaps struct {
	bySize [][]int64 // first slots of the gaps of a size; the last in is the first out
	have   []uint64  // bit n: there is a gap of size n
}

// put adds n slots at a slot.
func (g *gaps) put(slot, n int64) {
	if n <= 0 {
		return
	}
	for int64(len(g.bySize)) <= n {
		g.bySize = append(g.bySize, nil)
		if len(g.have)*64 < len(g.bySize) {
			g.have = append(g.have, 0)
		}
	}
	g.bySize[n] = append(g.bySize[n], slot)
	g.have[n/64] |= 1 << (n % 64)
}

// take returns n slots of the smallest gap that has as many.
func (g *gaps) take(n int64) (slot int64, ok bool) {
	if n >= int64(len(g.bySize)) {
		return 0, false
	}
	word := g.have[n/64] &^ (1<<(n%64) - 1)
	i := n / 64
	for word == 0 {
		if i++; i == int64(len(g.have)) {
			return 0, false
		}
		word = g.have[i]
	}
	size := i*64 + int64(bits.TrailingZeros64(word))
	list := g.bySize[size]
	slot, list = list[len(list)-1], list[:len(list)-1]
	g.bySize[size] = list
	if len(list) == 0 {
		g.have[size/64] &^= 1 << (size % 64)
	}
	g.put(slot+n, size-n)
	return slot, true
}
