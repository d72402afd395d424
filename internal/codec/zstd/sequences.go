package zstd

import (
	"math"
	"math/bits"
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
type codeCount [3][matchCodes]uint32

// sequencesEncoder encodes the sequences of one block after the other.
type sequencesEncoder struct {
	fresh, last [3]fseTable
	valid       [3]bool // last is of the last block that had sequences
	mode        [3]uint8
	some        bool
}

// append appends the section.
func (e *sequencesEncoder) append(dst []byte, seqs []sequence, codes []coded, count *codeCount) []byte {
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
	at := len(dst)
	w := bitWriter{dst: append(dst, 0)}
	var tables [3]*fseTable
	for i := range tables {
		tables[i] = e.table(&w, i, count[i][:])
	}
	w.dst[at] = e.mode[literalLength]<<6 | e.mode[offset]<<4 | e.mode[matchLength]<<2
	writeSequences(&w, &tables, seqs, codes)
	return w.dst
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
			return &e.fresh[kind]
		}
	} else {
		start := len(w.dst)
		if c := e.own(w, kind, used, count); c < cost {
			e.mode[kind] = tableMode
			return &e.fresh[kind]
		}
		w.dst = w.dst[:start]
	}
	if e.mode[kind] == repeatMode {
		return &e.last[kind]
	}
	return &predefined[kind]
}

// own writes the best table for the codes and returns what it and they take, in 1/256 bits.
func (e *sequencesEncoder) own(w *bitWriter, kind, used int, count []uint32) int {
	limit := uint(maxFSELog)
	if kind == offset {
		limit--
	}
	start, t := len(w.dst), &e.fresh[kind]
	var best, norm [maxFSESymbols]int16
	least, bestLog := math.MaxInt, uint(0)
	for log := max(uint(bits.Len(uint(used))), minFSELog); log <= limit; log++ {
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

// writeSequences writes the last one first. RFC 8878, 3.1.1.3.2.1.2.
func writeSequences(w *bitWriter, tables *[3]*fseTable, seqs []sequence, codes []coded) {
	ll, of, ml := tables[literalLength], tables[offset], tables[matchLength]
	last := len(seqs) - 1
	c := codes[last]
	l, o, m := ll.start(c.code[literalLength]), of.start(c.code[offset]), ml.start(c.code[matchLength])
	writeExtra(w, seqs[last], c)
	for i := last - 1; i >= 0; i-- {
		c = codes[i]
		o = of.next(w, o, c.code[offset])
		m = ml.next(w, m, c.code[matchLength])
		l = ll.next(w, l, c.code[literalLength])
		w.flush()
		writeExtra(w, seqs[i], c)
	}
	ml.end(w, m)
	of.end(w, o)
	ll.end(w, l)
	w.close()
}

func writeExtra(w *bitWriter, s sequence, c coded) {
	l, o, m := c.code[literalLength], c.code[offset], c.code[matchLength]
	w.put(uint64(s.literals-literalBase[l]), uint(literalBits[l]))
	w.put(uint64(s.match-matchBase[m]), uint(matchBits[m]))
	w.flush()
	w.put(uint64(c.value-1<<o), uint(o))
	w.flush()
}
