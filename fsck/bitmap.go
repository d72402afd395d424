package fsck

import (
	"iter"
	"maps"
	"math/bits"
	"slices"
)

// bitmap is a sparse set of numbers: leaves of leafBits numbers, made where a number was added. A
// dense set costs a bit for each number, a scattered one at most 150 bytes.
type bitmap struct {
	leaves  map[uint64]uint32 // number/leafBits -> 1-based place in slab
	slab    list[leaf]
	lastKey uint64
	last    *leaf // of lastKey; nil before the first use
}

const (
	leafShift = 10
	leafBits  = 1 << leafShift
)

type leaf [leafBits / 64]uint64

// leaf returns the leaf of a key; nil if there is none and make is false.
func (b *bitmap) leaf(key uint64, create bool) *leaf {
	if b.last != nil && b.lastKey == key {
		return b.last
	}
	i := b.leaves[key]
	if i == 0 {
		if !create {
			return nil
		}
		if b.leaves == nil {
			b.leaves = map[uint64]uint32{}
		}
		b.slab.append(leaf{})
		i = uint32(b.slab.len())
		b.leaves[key] = i
	}
	b.lastKey, b.last = key, b.slab.at(int(i-1))
	return b.last
}

// has tells whether n is in the set.
func (b *bitmap) has(n uint64) bool {
	l := b.leaf(n>>leafShift, false)
	return l != nil && l[n%leafBits/64]&(1<<(n%64)) != 0
}

// add puts n into the set and tells whether it is new.
func (b *bitmap) add(n uint64) bool {
	w := &b.leaf(n>>leafShift, true)[n%leafBits/64]
	old := *w
	*w |= 1 << (n % 64)
	return *w != old
}

// claim adds lo, lo+1, … up to hi, hi excluded, and stops in front of the first number that is in the
// set already, which it returns; hi if there is none. So the sum of all claims is linear in what is
// claimed, however much they overlap.
func (b *bitmap) claim(lo, hi uint64) (stop uint64) {
	for lo < hi {
		l := b.leaf(lo>>leafShift, true)
		at := lo % 64
		n := min(64-at, hi-lo) // numbers within this word
		w := &l[lo%leafBits/64]
		taken := *w >> at
		if n = min(n, uint64(bits.TrailingZeros64(taken))); n > 0 {
			*w |= (1<<n - 1) << at
			lo += n
		}
		if lo < hi && l == b.leaf(lo>>leafShift, true) && b.has(lo) {
			return lo
		}
	}
	return hi
}

// intervals yields the set as maximal intervals [lo, hi), ascending.
func (b *bitmap) intervals() iter.Seq2[uint64, uint64] {
	return func(yield func(lo, hi uint64) bool) {
		var lo, hi uint64 // the interval being built; empty if lo == hi
		for _, key := range slices.Sorted(maps.Keys(b.leaves)) {
			l := b.leaf(key, false)
			for i, w := range l {
				base := key<<leafShift + uint64(i)*64
				for w != 0 {
					from := uint64(bits.TrailingZeros64(w))
					n := uint64(bits.TrailingZeros64(^(w >> from)))
					if base+from != hi {
						if lo != hi && !yield(lo, hi) {
							return
						}
						lo = base + from
					}
					hi = base + from + n
					if from+n == 64 {
						break
					}
					w &^= (1<<n - 1) << from
				}
			}
		}
		if lo != hi {
			yield(lo, hi)
		}
	}
}

// list is a slice that grows without moving what it holds.
type list[T any] struct {
	chunks [][]T
	n      int
}

const listChunk = 1024

func (l *list[T]) len() int { return l.n }

func (l *list[T]) at(i int) *T { return &l.chunks[i/listChunk][i%listChunk] }

func (l *list[T]) append(v T) {
	if l.n%listChunk == 0 {
		l.chunks = append(l.chunks, make([]T, 0, min(listChunk, max(16, l.n))))
	}
	c := &l.chunks[l.n/listChunk]
	*c = append(*c, v)
	l.n++
}
