package microlzma

import (
	"encoding/binary"
	"math/bits"
)

// The trees: tree[2*i] and tree[2*i+1] are the roots of the positions before i, of the same hash, whose bytes are less and
// greater than those at i. i is modulo the length of the tree.

// searchTreeInGo looks for matches longer than best in the tree whose root is head, and makes the position its new root.
func (f *matchFinder) searchTreeInGo(i, limit, best int, head uint32) {
	src, tree, mask, pos := f.src, f.tree, f.mask, f.base+uint32(i)
	less, greater := &tree[i&mask*2], &tree[i&mask*2+1]
	var nLess, nGreater int
	reach := uint32(min(i, f.maxDist))
	for depth := f.depth; depth > 0; depth-- {
		d := pos - head
		if d > reach {
			break
		}
		at := i - int(d)
		node := tree[at&mask*2:][:2]
		n := min(nLess, nGreater)
		if src[at+n] == src[i+n] {
			n++
			if d := diff8(src, at+n, i+n); d != 0 {
				n = min(n+bits.TrailingZeros64(d)>>3, limit)
			} else {
				n = common(src, at, i, n, limit)
			}
			if n > best {
				best = n
				f.add(n, d)
			}
			if n == limit {
				*less, *greater = node[0], node[1]
				return
			}
		}
		if src[at+n] < src[i+n] {
			*less, less, nLess = head, &node[1], n
			head = node[1]
		} else {
			*greater, greater, nGreater = head, &node[0], n
			head = node[0]
		}
	}
	*less, *greater = 0, 0
}

// diff8 returns which bits of the 8 bytes at a and b differ; none, if there are no 8 bytes.
func diff8(src []byte, a, b int) uint64 {
	if len(src)-b < 8 {
		return 0
	}
	return binary.LittleEndian.Uint64(src[a:]) ^ binary.LittleEndian.Uint64(src[b:])
}
