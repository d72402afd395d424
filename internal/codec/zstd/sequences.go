package zstd

import (
	"math"
	"math/bits"
	"slices"
)

// The three codes of a sequence, in the order of their tables.
const (
	literalLength = iota
	offset
	matchLength
)

// Modes of their tables. RFC 8878, 3.1.1.3.2.1.
const (
	predefinedMode = iota
	oneMode
	tableMode
	repeatMode
)

// sequence is some literals and a match.
type sequence struct {
	literals uint32
	match    uint32
	distance uint32
}

func (s sequence) size() int { return int(s.literals) + int(s.match) }

// coded is a sequence in codes.
type coded struct {
	code  [3]uint8
	value uint32 // what stands for the distance
}

// repeats are the last three distances. RFC 8878, 3.1.1.5.
type repeats [3]uint32

// encode returns what stands for a distance, and makes it the last one.
func (r *repeats) encode(distance uint32, afterLiterals bool) uint32 {
	if afterLiterals {
		switch distance {
		case r[0]:
			return 1
		case r[1]:
			r[0], r[1] = r[1], r[0]
			return 2
		case r[2]:
			r[0], r[1], r[2] = r[2], r[0], r[1]
			return 3
		}
	} else {
		switch distance {
		case r[1]:
			r[0], r[1] = r[1], r[0]
			return 1
		case r[2]:
			r[0], r[1], r[2] = r[2], r[0], r[1]
			return 2
		case r[0] - 1:
			r[0], r[1], r[2] = r[0]-1, r[0], r[1]
			return 3
		}
	}
	r[0], r[1], r[2] = distance, r[0], r[1]
	return distance + 3
}

// encode returns the codes of a sequence.
func (s sequence) encode(r *repeats) (c coded) {
	c.value = r.encode(s.distance, s.literals > 0)
	c.code = [3]uint8{literalCodeOf(s.literals), uint8(highBit(c.value)), matchCodeOf(s.match)}
	return c
}

// codeCount counts codes.
type codeCount [3][codeSpace]uint32

// sequencesEncoder encodes the sequences of one block after the other.
type sequencesEncoder struct {
	fresh, last [3]*fseTable
	valid       [3]bool // last is of the last block that had sequences
	mode        [3]uint8
	tables      [3]*fseTable // that plan has chosen
	head        []byte       // modes and descriptions of the tables
	thorough    bool         // tries tables of every size
	some        bool
}

// plan chooses tables for the codes that count counts.
func (e *sequencesEncoder) plan(count *codeCount) {
	w := bitWriter{dst: append(e.head[:0], 0)}
	for i := range e.tables {
		e.tables[i] = e.table(&w, i, count[i][:])
	}
	e.head = w.dst
	e.head[0] = e.mode[literalLength]<<6 | e.mode[offset]<<4 | e.mode[matchLength]<<2
}

// append appends the section of sequences, as planned for them or for more that begin with them.
func (e *sequencesEncoder) append(dst []byte, seqs []sequence, codes []coded) []byte {
	n := len(seqs)
	switch {
	case n < 128:
		dst = append(dst, byte(n))
	case n < 0x7F00:
		dst = append(dst, byte(n>>8+128), byte(n))
	default:
		dst = append(dst, 255, byte(n-0x7F00), byte((n-0x7F00)>>8))
	}
	e.some = n > 0
	if n == 0 {
		return dst
	}
	return appendSequences(append(dst, e.head...), &e.tables, seqs, codes)
}

// commit tells that the block with the sequences that were appended last is written.
func (e *sequencesEncoder) commit() {
	if !e.some {
		return
	}
	for i, m := range e.mode {
		if m == tableMode {
			e.fresh[i], e.last[i] = e.last[i], e.fresh[i]
		}
		e.valid[i] = m == tableMode || m == repeatMode
	}
}

// table chooses a table for the codes that count counts, and writes it if it has to be.
func (e *sequencesEncoder) table(w *bitWriter, kind int, count []uint32) *fseTable {
	used, top := 0, 0
	for s, c := range count {
		if c > 0 {
			used++
			top = s
		}
	}
	count = count[:top+1]
	best, cost := tableMode, math.MaxInt
	if top < predefined[kind].symbols {
		if c, ok := predefined[kind].cost(count); ok {
			best, cost = predefinedMode, c
		}
	}
	if e.valid[kind] && top < e.last[kind].symbols {
		if c, ok := e.last[kind].cost(count); ok && c < cost {
			best, cost = repeatMode, c
		}
	}
	e.mode[kind] = uint8(best)
	if used == 1 {
		if best == tableMode || cost > 8<<8 {
			e.mode[kind] = oneMode
			e.fresh[kind].buildOne(top)
			w.dst = append(w.dst, byte(top))
			return e.fresh[kind]
		}
	} else {
		start := len(w.dst)
		if c := e.own(w, kind, used, count); c < cost {
			e.mode[kind] = tableMode
			return e.fresh[kind]
		}
		w.dst = w.dst[:start]
	}
	if e.mode[kind] == repeatMode {
		return e.last[kind]
	}
	return &predefined[kind]
}

// own writes the best table for the codes and returns what it and they take, in 1/256 bits.
func (e *sequencesEncoder) own(w *bitWriter, kind, used int, count []uint32) int {
	limit := uint(maxFSELog)
	if kind == offset {
		limit--
	}
	start, t := len(w.dst), e.fresh[kind]
	var best, norm [maxFSESymbols]int16
	least, bestLog := math.MaxInt, uint(0)
	first := max(uint(bits.Len(uint(used))), minFSELog)
	if !e.thorough {
		first = max(first, min(uint(bits.Len(uint(total(count))))-2, limit))
		limit = first
	}
	for log := first; log <= limit; log++ {
		normalize(norm[:len(count)], count, log)
		writeNorm(w, norm[:len(count)], log)
		w.pad()
		t.log, t.norm = log, norm
		cost, _ := t.cost(count)
		cost += (len(w.dst) - start) << 11
		w.dst = w.dst[:start]
		if cost < least {
			least, best, bestLog = cost, norm, log
		}
	}
	writeNorm(w, best[:len(count)], bestLog)
	w.pad()
	t.build(best[:len(count)], bestLog)
	return least
}

// appendSequences appends the last one first. RFC 8878, 3.1.1.3.2.1.2.
func appendSequences(dst []byte, tables *[3]*fseTable, seqs []sequence, codes []coded) []byte {
	const most = 12 // bytes of a sequence
	dst = slices.Grow(dst, most*len(seqs)+16)
	out, at := dst[:cap(dst)], len(dst)
	ll, of, ml := tables[literalLength], tables[offset], tables[matchLength]
	last := len(seqs) - 1
	c := codes[last]
	l, o, m := ll.start(c.code[literalLength]), of.start(c.code[offset]), ml.start(c.code[matchLength])
	w := bitWriter{}
	w.bits, w.count = extra(seqs[last], c)
	for i := last - 1; i >= 0; i-- {
		at = w.store(out, at)
		c = codes[i]
		o = of.next(&w, o, c.code[offset])
		m = ml.next(&w, m, c.code[matchLength])
		l = ll.next(&w, l, c.code[literalLength])
		bits, n := extra(seqs[i], c)
		if w.count+n > 64 {
			at = w.store(out, at)
		}
		w.put(bits, n)
	}
	w.dst = out[:w.store(out, at)]
	ml.end(&w, m)
	of.end(&w, o)
	ll.end(&w, l)
	w.close()
	return w.dst
}

// extra returns the extra bits of a sequence, at most 52.
func extra(s sequence, c coded) (bits uint64, n uint) {
	l, m, o := c.code[literalLength]%codeSpace, c.code[matchLength]%codeSpace, uint(c.code[offset]&31)
	lb, mb := uint(literalBits[l]&31), uint(matchBits[m]&31)
	bits = uint64(s.literals-literalBase[l]) | uint64(s.match-matchBase[m])<<lb
	return bits | uint64(c.value-1<<o)<<((lb+mb)&63), lb + mb + o
}
