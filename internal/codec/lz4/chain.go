package lz4

import "math"

const (
	headBits = 15
	// swapProbes is how many places of a match are tried for one whose chain is shorter.
	swapProbes = 16
)

// match says that src[start:start+n] equals what is distance bytes before.
type match struct{ start, distance, n int }

func (m match) end() int { return m.start + m.n }

// chain finds the longest of many candidates: all positions whose 4 bytes have the same hash are linked, newest first.
//
// Positions have base added, which grows from one input to the next by so much that what is left of the inputs before is
// too far away for a match: there is no need to clear 256 KiB for each of them.
type chain struct {
	head [1 << headBits]uint32 // by hash: the newest position
	prev [1 << 16]uint16       // by position, its low 16 bits: how far back the one before is, 1<<16-1 at most

	src  []byte
	base uint32
	next int // src[:next] is in head and prev
	end  int // where matches must end: src without the last literals
	last int // where they must start at the latest

	maxDistance uint32
	tries       int
}

// reset prepares c for the input src.
func (c *chain) reset(src []byte) {
	c.base += uint32(c.next) + MaxDistance
	if c.base <= MaxDistance || uint64(c.base)+uint64(len(src)) > math.MaxUint32-MaxDistance {
		clear(c.head[:])
		c.base = MaxDistance + 1
	}
	c.src, c.next = src, 0
	c.end, c.last = len(src)-lastLiterals, len(src)-matchLimit
}

func hash4(v uint32) uint32 { return v * 2654435761 >> (32 - headBits) }

// insert puts the positions before pos into the chains.
func (c *chain) insert(pos int) {
	src, base := c.src, c.base
	for p := c.next; p < pos; p++ {
		h := &c.head[hash4(load32(src, p))]
		at := base + uint32(p)
		c.prev[uint16(at)] = uint16(min(at-*h, MaxDistance))
		*h = at
	}
	c.next = max(c.next, pos)
}

// longest returns the longest match that contains pos and starts at low or behind, of more than least bytes; n is 0 if
// there is none. It follows one chain for c.tries steps. least is 3 or more, and pos at most c.last.
func (c *chain) longest(pos, low, least int) (best match) {
	c.insert(pos)
	src, end := c.src, c.end
	if low+least >= end {
		return best
	}
	value := load32(src, pos)
	here := c.base + uint32(pos)
	distance := here - c.head[hash4(value)]
	// What is longer than least has the 4 bytes at tail.
	tail := max(low+least-3, pos)
	tailValue := load32(src, tail)
	link := here // what the chain links is the positions distance before it
	farthest := min(c.maxDistance, uint32(pos))
	for tries := c.tries; tries > 0 && distance <= farthest; tries-- {
		d := int(distance)
		if load32(src, tail-d) == tailValue && load32(src, pos-d) == value {
			n := matchLength(src, pos-d, pos, end)
			start := pos
			for start > low && start > d && load8(src, start-1) == load8(src, start-1-d) {
				start--
			}
			if n += pos - start; n > least {
				least = n
				best = match{start, d, n}
				if low+least >= end {
					break
				}
				tail = max(low+least-3, pos)
				tailValue = load32(src, tail)
				if low == pos && n <= d {
					link = here + c.rarest(here-distance, n)
				}
			}
		}
		distance += uint32(c.prev[uint16(link-distance)])
	}
	return best
}

// rarest returns which 4 of the n bytes at a position, all before the input's next, have the longest link.
//
// Whatever is longer than these n bytes contains them all: any of their chains leads to it.
func (c *chain) rarest(at uint32, n int) (k uint32) {
	most := c.prev[uint16(at)]
	step := uint32(n/swapProbes + 1)
	for i := step; i <= uint32(n-minMatch); i += step {
		if p := c.prev[uint16(at+i)]; p > most {
			most, k = p, i
		}
	}
	return k
}
