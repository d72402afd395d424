package zstd

import (
	"encoding/binary"
	"slices"
)

const (
	maxHuffLog = 11 // RFC 8878, 4.2.1
	// weightLog is the most for the table that encodes weights.
	weightLog     = 6
	maxTreeFSE    = 127 // length of weights in FSE
	maxPlainTree  = 128 // weights without FSE
	maxTreeLength = 1 + maxTreeFSE
)

// huffTable is a Huffman code of literals. RFC 8878, 4.2.
type huffTable struct {
	lens  [256]uint8
	codes [256]uint32 // length<<16 | code
	used  int
	valid bool
	keys  [256]uint32 // scratch: frequency<<8 | symbol
	temp  [256]uint32
}

// build makes the code for literals that occur so often, fewer than 1<<18 in all; it makes none for a single one.
func (t *huffTable) build(count *[256]uint32) {
	keys := t.sorted(count)
	t.used, t.valid = len(keys), len(keys) > 1
	if !t.valid {
		return
	}
	var leaves [256]int
	t.depths(keys, &leaves)
	boundDepths(&leaves, len(keys))
	clear(t.lens[:])
	i := 0
	for n := maxHuffLog; n > 0; n-- {
		for range leaves[n] {
			t.lens[keys[i]&0xFF] = uint8(n)
			i++
		}
	}
}

// sorted returns the used symbols by frequency, then by number.
func (t *huffTable) sorted(count *[256]uint32) []uint32 {
	n, all := 0, uint32(0)
	for s, f := range count {
		if f != 0 {
			t.keys[n] = f<<8 | uint32(s)
			n++
			all |= f
		}
	}
	a, b := t.keys[:n], t.temp[:n]
	for shift := uint(8); all != 0; shift += 8 {
		var at [256]uint16
		for _, k := range a {
			at[k>>shift&0xFF]++
		}
		sum := uint16(0)
		for i, c := range at {
			at[i] = sum
			sum += c
		}
		for _, k := range a {
			b[at[k>>shift&0xFF]] = k
			at[k>>shift&0xFF]++
		}
		a, b = b, a
		all >>= 8
	}
	return a
}

// depths counts the leaves of Huffman's tree by depth. Moffat, Katajainen: In-place calculation of
// minimum-redundancy codes, 1995: an array holds weights of leaves, then of inner nodes, then their
// parents, then their depths.
func (t *huffTable) depths(keys []uint32, leaves *[256]int) {
	var nodes [256]uint32
	n := len(keys)
	a := nodes[:n]
	for i, k := range keys {
		a[i] = k >> 8
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
		leaves[depth] = free - inner
		free = 2 * inner
	}
}

// boundDepths moves leaves up to maxHuffLog. Each round makes a leaf above it an inner node, whose second child
// is one of the leaves that are too deep.
func boundDepths(leaves *[256]int, n int) {
	excess := -1 << maxHuffLog // of Kraft's sum, by the weight of the deepest leaf
	for d := maxHuffLog + 1; d < n; d++ {
		leaves[maxHuffLog] += leaves[d]
	}
	for d := 1; d <= maxHuffLog; d++ {
		excess += leaves[d] << (maxHuffLog - d)
	}
	for ; excess > 0; excess-- {
		d := maxHuffLog - 1
		for leaves[d] == 0 {
			d--
		}
		leaves[d]--
		leaves[d+1] += 2
		leaves[maxHuffLog]--
	}
}

// assign sets the codes: the longest ones come first, and those of a length by symbol.
func (t *huffTable) assign() {
	var next [maxHuffLog + 2]uint16
	for _, n := range t.lens {
		next[n]++
	}
	next[0] = 0
	at := uint16(0)
	for n := maxHuffLog; n > 0; n-- {
		count := next[n]
		next[n] = at
		at = (at + count) >> 1
	}
	for s, n := range t.lens {
		if n > 0 {
			t.codes[s] = uint32(n)<<16 | uint32(next[n])
			next[n]++
		}
	}
}

// cost returns the length of literals in bits; false if the code lacks one of them.
func (t *huffTable) cost(count *[256]uint32) (cost int, ok bool) {
	for s, n := range count {
		if n > 0 && t.lens[s] == 0 {
			return 0, false
		}
		cost += int(n) * int(t.lens[s])
	}
	return cost, true
}

// appendTree appends the description of the code, RFC 8878, 4.2.1; false if it has none.
func (t *huffTable) appendTree(dst []byte) ([]byte, bool) {
	longest, last := uint8(0), 0
	for s, n := range t.lens {
		if n > 0 {
			last = s
		}
		longest = max(longest, n)
	}
	var weights [256]uint8 // of all symbols but the last one
	for s := range last {
		if t.lens[s] > 0 {
			weights[s] = longest + 1 - t.lens[s]
		}
	}
	start := len(dst)
	dst = append(dst, 0)
	if out, ok := appendWeights(dst, weights[:last]); ok && len(out)-start <= 1+(last+1)/2 || last > maxPlainTree {
		n := len(out) - start - 1
		if !ok || n > maxTreeFSE {
			return dst[:start], false
		}
		out[start] = uint8(n)
		return out, true
	}
	dst[start] = uint8(127 + last)
	for s := 0; s < last; s += 2 {
		dst = append(dst, weights[s]<<4|weights[s+1])
	}
	return dst, true
}

// appendWeights appends weights in FSE, with two states that take turns; false if that does not work.
func appendWeights(dst []byte, weights []uint8) ([]byte, bool) {
	var count [maxHuffLog + 1]uint32
	used := 0
	for _, n := range weights {
		if count[n] == 0 {
			used++
		}
		count[n]++
	}
	if used < 2 || len(weights) < 3 {
		return dst, false
	}
	top := maxHuffLog
	for count[top] == 0 {
		top--
	}
	var norm [maxHuffLog + 1]int16
	log := fseLog(len(weights), used, weightLog)
	normalize(norm[:top+1], count[:top+1], log)
	var table fseTable
	table.build(norm[:top+1], log)
	w := bitWriter{dst: dst}
	writeNorm(&w, norm[:top+1], log)
	w.pad()
	n := len(weights)
	var states [2]uint32
	states[(n-1)&1] = table.start(weights[n-1])
	states[n&1] = table.start(weights[n-2])
	for i := n - 3; i >= 0; i-- {
		states[i&1] = table.next(&w, states[i&1], weights[i])
		w.flush()
	}
	table.end(&w, states[1])
	table.end(&w, states[0])
	w.close()
	return w.dst, true
}

// appendStream appends literals, the last one first.
func (t *huffTable) appendStream(dst, literals []byte) []byte {
	dst = slices.Grow(dst, len(literals)*maxHuffLog/8+16)
	out := dst[:cap(dst)]
	at, bits, count := len(dst), uint64(0), uint(0) // the next count bits
	for len(literals)&3 != 0 {
		c := t.codes[literals[len(literals)-1]]
		bits |= uint64(c&0xFFFF) << (count & 63)
		count += uint(c >> 16)
		literals = literals[:len(literals)-1]
	}
	for len(literals) >= 4 {
		four := literals[len(literals)-4:]
		a, b, c, d := t.codes[four[3]], t.codes[four[2]], t.codes[four[1]], t.codes[four[0]]
		binary.LittleEndian.PutUint64(out[at:], bits)
		at += int(count >> 3)
		bits >>= count &^ 7 & 63
		count &= 7
		bits |= uint64(a&0xFFFF) << (count & 63)
		count += uint(a >> 16)
		bits |= uint64(b&0xFFFF) << (count & 63)
		count += uint(b >> 16)
		bits |= uint64(c&0xFFFF) << (count & 63)
		count += uint(c >> 16)
		bits |= uint64(d&0xFFFF) << (count & 63)
		count += uint(d >> 16)
		literals = literals[:len(literals)-4]
	}
	w := bitWriter{dst: out[:at], bits: bits, count: count}
	w.close()
	return w.dst
}
