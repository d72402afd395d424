package deflate

import "math/bits"

// huffman makes codes of bounded length.
type huffman struct {
	keys, temp [288]uint32 // frequency<<16 | symbol
	nodes      [288]uint32
}

// lengths sets lens to the lengths of the codes for symbols of these frequencies, below 1<<16 each: 0 for
// unused ones, up to limit for others.
func (h *huffman) lengths(lens []uint8, freq []uint16, limit int) {
	clear(lens)
	keys := h.sorted(freq)
	switch len(keys) {
	case 0:
		return
	case 1:
		lens[keys[0]&0xFFFF] = 1
		return
	}
	var count [288]int
	h.depths(keys, &count)
	bound(&count, len(keys), limit)
	i := 0
	for n := limit; n > 0; n-- {
		for range count[n] {
			lens[keys[i]&0xFFFF] = uint8(n)
			i++
		}
	}
}

// sorted returns the used symbols by frequency, then by number.
func (h *huffman) sorted(freq []uint16) []uint32 {
	var low, high [256]uint16
	n, all := 0, uint16(0)
	for s, f := range freq {
		if f != 0 {
			h.keys[n] = uint32(f)<<16 | uint32(s)
			n++
			low[f&0xFF]++
			high[f>>8]++
			all |= f
		}
	}
	radix(h.temp[:n], h.keys[:n], &low, 16)
	if all < 256 {
		return h.temp[:n]
	}
	radix(h.keys[:n], h.temp[:n], &high, 24)
	return h.keys[:n]
}

// radix sorts by eight bits, of which count has the numbers of.
func radix(dst, src []uint32, count *[256]uint16, shift uint) {
	at := uint16(0)
	for i, n := range count {
		count[i] = at
		at += n
	}
	for _, k := range src {
		b := byte(k >> shift)
		dst[count[b]] = k
		count[b]++
	}
}

// depths counts the leaves of Huffman's tree by depth. Moffat, Katajainen: In-place calculation of
// minimum-redundancy codes, 1995: an array holds weights of leaves, then of inner nodes, then their
// parents, then their depths.
func (h *huffman) depths(keys []uint32, count *[288]int) {
	a, n := h.nodes[:len(keys)], len(keys)
	for i, k := range keys {
		a[i] = k >> 16
	}
	root, leaf := 0, 0
	for next := range n - 1 {
		sum := uint32(0)
		for range 2 {
			if leaf >= n || root < next && a[root] < a[leaf] {
				sum += a[root]
				a[root] = uint32(next)
				root++
			} else {
				sum += a[leaf]
				leaf++
			}
		}
		a[next] = sum
	}
	a[n-2] = 0
	for i := n - 3; i >= 0; i-- {
		a[i] = a[a[i]] + 1
	}
	free, depth := 1, 0 // nodes of this depth
	for i := n - 2; free > 0; depth++ {
		inner := 0
		for ; i >= 0 && a[i] == uint32(depth); i-- {
			inner++
		}
		count[depth] = free - inner
		free = 2 * inner
	}
}

// bound moves leaves up to the limit. Each round makes a leaf above it an inner node, whose second child
// is one of the leaves that are too deep.
func bound(count *[288]int, n, limit int) {
	excess := -1 << limit // of Kraft's sum, by the weight of the deepest leaf
	for d := limit + 1; d < n; d++ {
		count[limit] += count[d]
	}
	for d := 1; d <= limit; d++ {
		excess += count[d] << (limit - d)
	}
	for ; excess > 0; excess-- {
		d := limit - 1
		for count[d] == 0 {
			d--
		}
		count[d]--
		count[d+1] += 2
		count[limit]--
	}
}

// canonical sets codes to the canonical code with these lengths, the first bit lowest.
func canonical(codes []uint16, lens []uint8) {
	var count, next [17]uint16
	for _, n := range lens {
		count[n]++
	}
	count[0] = 0
	for n := 1; n < 16; n++ {
		next[n+1] = (next[n] + count[n]) << 1
	}
	for s, n := range lens {
		if n > 0 {
			codes[s] = bits.Reverse16(next[n]) >> (16 - n)
			next[n]++
		}
	}
}
