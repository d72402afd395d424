package zstd

import "encoding/binary"

const (
	hash3Bits = 15
	far3      = 1 << 16 // a match of three bytes from farther away than that does not pay
)

// candidate is a match that a parser may take, or the beginning of it.
type candidate struct {
	length   uint32
	distance uint32
}

// tree finds candidates: positions with the same hash are a binary tree, the latest one its root, ordered by the
// bytes that follow them.
type tree struct {
	progress
	depth    int
	nice     int // bytes that are compared
	hash     []uint32
	hashBits uint
	hash3    []uint32 // the latest position with the same three bytes
	children []uint32 // by position: those with lesser bytes, those with greater ones
}

func newTree(depth, nice, windowLog int) tree {
	hashBits := min(windowLog, 17)
	return tree{
		progress: newProgress(windowLog), depth: depth, nice: nice,
		hash: make([]uint32, 1<<hashBits), hashBits: uint(hashBits), hash3: make([]uint32, 1<<hash3Bits),
		children: make([]uint32, 2<<windowLog),
	}
}

// find appends the candidates at pos, each longer and farther than the one before, and makes pos one.
func (t *tree) find(out []candidate, pos int) []candidate {
	v := binary.LittleEndian.Uint32(t.src[pos:])
	p := uint32(pos) + t.base
	low := max(t.base, p-t.window+1) // the one a window ago has the same children as p
	limit := min(len(t.src)-pos, t.nice, t.most)
	longest := 2
	h3 := v << 8 * 0x9E3779B1 >> (32 - hash3Bits)
	c := t.hash3[h3]
	t.hash3[h3] = p
	if c >= low && p-c < far3 {
		if n := t.common(int(c-t.base), pos); n >= minMatch {
			longest = min(n, limit)
			out = append(out, candidate{uint32(n), p - c})
		}
	}
	h := v * 0x9E3779B1 >> (32 - t.hashBits)
	c = t.hash[h]
	t.hash[h] = p
	return t.descend(out, c, pos, low, limit, longest)
}

// descend goes down the tree of c and makes pos its root.
func (t *tree) descend(out []candidate, c uint32, pos int, low uint32, limit, longest int) []candidate {
	src, mask := t.src, uint32(len(t.children)/2-1)
	p := uint32(pos) + t.base
	less, more := 2*(p&mask), 2*(p&mask)+1 // where the next subtree of lesser, greater bytes belongs
	sameLess, sameMore := 0, 0             // bytes that all of these have in common with pos
	b := src[pos : pos+limit]
	for depth := t.depth; ; depth-- {
		if c < low || depth == 0 {
			t.children[less], t.children[more] = 0, 0
			return out
		}
		a := src[int(c-t.base):]
		n := min(sameLess, sameMore)
		for n+8 <= len(b) && binary.LittleEndian.Uint64(a[n:]) == binary.LittleEndian.Uint64(b[n:]) {
			n += 8
		}
		for n < len(b) && a[n] == b[n] {
			n++
		}
		if n > longest {
			longest = n
			length := n
			if n == limit {
				length = t.common(int(c-t.base), pos)
			}
			out = append(out, candidate{uint32(length), p - c})
		}
		pair := 2 * (c & mask)
		if n == limit {
			t.children[less], t.children[more] = t.children[pair], t.children[pair+1]
			return out
		}
		if a[n] < b[n] {
			t.children[less] = c
			less, sameLess = pair+1, n
			c = t.children[less]
		} else {
			t.children[more] = c
			more, sameMore = pair, n
			c = t.children[more]
		}
	}
}
