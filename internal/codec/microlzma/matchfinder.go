package microlzma

import (
	"encoding/binary"
	"math/bits"
)

// match is one that the source has at a position: the nearest one of its length.
type match struct{ length, dist uint32 } // dist is the distance - 1

const (
	hash2Bits = 10
	hash3Bits = 16
	hash4Min  = 16 // bits of the hash of 4 bytes, which grow with the source and the dictionary
	hash4Max  = 22
	hashBytes = 4

	// lastNumber ends the numbers of positions: before it the tables are cleared and numbers start again.
	lastNumber = 1<<32 - 1
)

// matchFinder finds matches by hashes of 2, 3 and 4 bytes, which lead to the last position with the same
// bytes, and from there through chains of positions, or through binary trees of them ordered by what
// follows, of the same hash of 4 bytes.
//
// Positions are numbered through all sources, so that entries of former ones are known by being less than
// base: nothing is cleared between sources, and they leave no trace in what is found.
type matchFinder struct {
	src     []byte
	next    int    // the first position that is in no table yet
	base    uint32 // number of src[0], never 0
	maxDist int
	nice    int // a match of this length ends the search
	depth   int // positions of chain or tree that are looked at
	hash2   [1 << hash2Bits]uint32
	hash3   [1 << hash3Bits]uint32
	hash4   []uint32
	shift4  uint
	chain   []uint32 // by position, modulo its length: the position before with the same hash
	tree    []uint32 // the same for trees, see tree.go: two entries for a position
	useTree bool
	mask    int // length of chain or tree - 1

	matches [maxMatch]match // of the last find
	count   int
}

// start prepares for another source.
func (f *matchFinder) start(src []byte, dict int) {
	reach := bits.Len(uint(min(len(src), dict) - 1))
	hash := min(max(reach-1, hash4Min), hash4Max)
	f.shift4 = uint(32 - hash)
	f.mask = 1<<reach - 1
	f.maxDist = min(dict, f.mask)
	f.number(len(src))
	f.src, f.next, f.count = src, 0, 0
	if len(f.hash4) < 1<<hash {
		f.hash4 = make([]uint32, 1<<hash)
	}
	if f.useTree && len(f.tree) < 2*(f.mask+1) {
		f.tree = make([]uint32, 2*(f.mask+1))
	}
	if !f.useTree && len(f.chain) <= f.mask {
		f.chain = make([]uint32, f.mask+1)
	}
}

// number sets base to a multiple of the length of chain or tree, which is the least one above the numbers that were used.
func (f *matchFinder) number(n int) {
	size := uint64(f.mask) + 1
	base := (uint64(f.base) + uint64(f.next) + size - 1) &^ (size - 1)
	if f.base == 0 || base+uint64(n) >= lastNumber {
		base = size
		clear(f.hash2[:])
		clear(f.hash3[:])
		clear(f.hash4)
	}
	f.base = uint32(base)
}

// find puts positions up to at into the tables and returns the matches there, longer and farther ones last. They
// are good until the next call.
func (f *matchFinder) find(at int) []match {
	if f.next > at {
		return f.matches[:f.count]
	}
	for f.next < at {
		f.skip()
	}
	f.count = 0
	i := f.next
	f.next++
	if len(f.src)-i < hashBytes {
		return nil
	}
	limit := min(f.nice, len(f.src)-i)
	head, best := f.heads(i, limit)
	if best == limit {
		f.insert(i, limit, head)
	} else if f.useTree {
		f.searchTree(i, limit, max(best, 3), head)
	} else {
		f.searchChain(i, limit, max(best, 3), head)
	}
	if n := f.count; n > 0 && f.matches[n-1].length == uint32(f.nice) {
		m := &f.matches[n-1]
		m.length = uint32(common(f.src, i-int(m.dist)-1, i, f.nice, min(maxMatch, len(f.src)-i)))
	}
	return f.matches[:f.count]
}

// skip is find for nobody.
func (f *matchFinder) skip() {
	i := f.next
	f.next++
	if len(f.src)-i < hashBytes {
		return
	}
	v := binary.LittleEndian.Uint32(f.src[i:])
	pos := f.base + uint32(i)
	f.hash2[hash2(v)] = pos
	f.hash3[hash3(v)] = pos
	h := &f.hash4[hash4(v)>>f.shift4]
	head := *h
	*h = pos
	f.insert(i, min(f.nice, len(f.src)-i), head)
}

func hash2(v uint32) uint32 { return v << 16 * 2654435761 >> (32 - hash2Bits) }
func hash3(v uint32) uint32 { return v << 8 * 2654435761 >> (32 - hash3Bits) }
func hash4(v uint32) uint32 { return v * 2654435761 }

// heads replaces the entries of the hashes and looks at those of 2 and 3 bytes. It returns the one of 4 bytes and
// the length of the longest match so far.
func (f *matchFinder) heads(i, limit int) (head uint32, best int) {
	v := binary.LittleEndian.Uint32(f.src[i:])
	pos := f.base + uint32(i)
	p2, p3, p4 := &f.hash2[hash2(v)], &f.hash3[hash3(v)], &f.hash4[hash4(v)>>f.shift4]
	d2, d3 := pos-*p2, pos-*p3
	head = *p4
	*p2, *p3, *p4 = pos, pos, pos
	reach := uint32(min(i, f.maxDist))
	if d2 <= reach && binary.LittleEndian.Uint16(f.src[i-int(d2):]) == uint16(v) {
		best = common(f.src, i-int(d2), i, 2, limit)
		f.add(best, d2)
	}
	if d3 != d2 && d3 <= reach && best < limit && (binary.LittleEndian.Uint32(f.src[i-int(d3):])^v)<<8 == 0 {
		if n := common(f.src, i-int(d3), i, 3, limit); n > best {
			best = n
			f.add(best, d3)
		}
	}
	return head, best
}

// insert puts a position into chain or tree.
func (f *matchFinder) insert(i, limit int, head uint32) {
	if f.useTree {
		f.searchTree(i, limit, limit, head)
	} else {
		f.chain[i&f.mask] = head
	}
}

// add notes a match.
func (f *matchFinder) add(length int, d uint32) {
	f.matches[f.count] = match{uint32(length), d - 1}
	f.count++
}

// searchChain looks for matches longer than best along the chain from head.
func (f *matchFinder) searchChain(i, limit, best int, head uint32) {
	src, chain, pos := f.src, f.chain, f.base+uint32(i)
	chain[i&f.mask] = head
	reach := uint32(min(i, f.maxDist))
	for depth := f.depth; depth > 0; depth-- {
		d := pos - head
		if d > reach {
			return
		}
		at := i - int(d)
		head = chain[at&f.mask]
		if src[at+best] != src[i+best] {
			continue
		}
		if n := common(src, at, i, 0, limit); n > best {
			best = n
			f.add(n, d)
			if n == limit {
				return
			}
		}
	}
}

// common returns how many bytes at a and b, a before b, are the same, up to limit; n of them are known to be.
func common(src []byte, a, b, n, limit int) int {
	for n < limit && len(src)-b-n >= 16 {
		x, y := (*[16]byte)(src[a+n:]), (*[16]byte)(src[b+n:])
		if d := binary.LittleEndian.Uint64(x[:8]) ^ binary.LittleEndian.Uint64(y[:8]); d != 0 {
			return min(n+bits.TrailingZeros64(d)>>3, limit)
		}
		if d := binary.LittleEndian.Uint64(x[8:]) ^ binary.LittleEndian.Uint64(y[8:]); d != 0 {
			return min(n+8+bits.TrailingZeros64(d)>>3, limit)
		}
		n += 16
	}
	for n < limit && src[a+n] == src[b+n] {
		n++
	}
	return min(n, limit)
}
