package zstd

import (
	"math"
	"math/bits"
)

const (
	minFSELog     = 5
	maxFSELog     = 9
	maxFSESymbols = 53
)

// transition is how the state changes with a symbol.
type transition struct {
	bits  uint32 // added to the state, bits 16 and up are the number of bits that are written
	state int32  // added to the rest of the state, the index of the next one in states
}

// fseTable encodes with finite state entropy, RFC 8878, 4.1. Its states are 1<<log to 2<<log - 1; with log 0 it is
// for one symbol that takes no bits.
type fseTable struct {
	log     uint
	norm    [maxFSESymbols]int16 // cells of a symbol; -1 is one cell at the end of the table
	symbols int                  // length of norm
	states  [1 << maxFSELog]uint16
	symbol  [maxFSESymbols]transition
}

// build makes the table of norm, whose sum is 1<<log.
func (t *fseTable) build(norm []int16, log uint) {
	t.log, t.symbols = log, copy(t.norm[:], norm)
	clear(t.norm[len(norm):])
	size := 1 << log
	var cells [1 << maxFSELog]uint8
	var next [maxFSESymbols]int
	total := 0
	for s, n := range norm {
		next[s] = total
		switch {
		case n == -1:
			n = 1
			fallthrough
		case n == 1:
			t.symbol[s] = transition{uint32(log<<16) - uint32(size), int32(total - 1)}
		case n > 1:
			out := log - uint(bits.Len16(uint16(n-1))) + 1
			t.symbol[s] = transition{uint32(out<<16) - uint32(n)<<out, int32(total) - int32(n)}
		}
		total += int(n)
	}
	spread(norm, cells[:size])
	for i, s := range cells[:size] {
		t.states[next[s]] = uint16(size + i)
		next[s]++
	}
}

// spread gives symbols their cells. RFC 8878, 4.1.1.
func spread(norm []int16, cells []uint8) {
	top, mask := len(cells)-1, len(cells)-1
	for s, n := range norm {
		if n == -1 {
			cells[top] = uint8(s)
			top--
		}
	}
	at, step := 0, len(cells)>>1+len(cells)>>3+3
	for s, n := range norm {
		for range n {
			cells[at] = uint8(s)
			at = (at + step) & mask
			for at > top {
				at = (at + step) & mask
			}
		}
	}
}

// buildOne makes the table of a single symbol.
func (t *fseTable) buildOne(s int) {
	t.log, t.symbols = 0, s+1
	clear(t.norm[:])
	t.norm[s] = 1
	t.symbol[s] = transition{0, 0}
	t.states[0], t.states[1] = 1, 1
}

// start returns a state for the symbol that is encoded first.
func (t *fseTable) start(s uint8) uint32 {
	tr := t.symbol[s]
	n := (tr.bits + 1<<15) >> 16
	return uint32(t.states[int32((n<<16-tr.bits)>>n)+tr.state])
}

// next writes what leads from the state for s back to the state, and returns the one for s.
func (t *fseTable) next(w *bitWriter, state uint32, s uint8) uint32 {
	tr := t.symbol[s]
	n := (state + tr.bits) >> 16
	w.put(uint64(state&(1<<n-1)), uint(n))
	return uint32(t.states[int32(state>>n)+tr.state])
}

// end writes the last state, which is the first to be read.
func (t *fseTable) end(w *bitWriter, state uint32) {
	w.put(uint64(state&(1<<t.log-1)), t.log)
}

// cost returns how long symbols get, in 1/256 bits; false if the table lacks one of them.
func (t *fseTable) cost(count []uint32) (cost int, ok bool) {
	for s, n := range count {
		if n == 0 {
			continue
		}
		switch c := t.norm[s]; {
		case c == 0:
			return 0, false
		case c < 0:
			cost += int(n) * int(t.log) << 8
		default:
			cost += int(n) * (int(t.log)<<8 - log2(uint32(c)))
		}
	}
	return cost, true
}

// fseLog returns a table size for n symbols, used of them different.
func fseLog(n, used int, limit uint) uint {
	log := max(bits.Len(uint(n))-3, bits.Len(uint(used)), 5)
	return min(uint(log), limit)
}

// normalize sets norm to cells of a table of 1<<log for symbols that occur so often: at least one for each, and
// such that the symbols take the fewest bits.
func normalize(norm []int16, count []uint32, log uint) {
	total := 0
	for _, n := range count {
		total += int(n)
	}
	left := 1 << log
	for s, n := range count {
		norm[s] = 0
		if n > 0 {
			norm[s] = int16(max((int(n)<<log+total/2)/total, 1))
			left -= int(norm[s])
		}
	}
	for ; left > 0; left-- {
		norm[cheapest(norm, count, 1)]++
	}
	for ; left < 0; left++ {
		norm[cheapest(norm, count, -1)]--
	}
}

// cheapest returns the symbol for which a cell more or less does most good, or least harm.
func cheapest(norm []int16, count []uint32, by int16) (symbol int) {
	best := math.MinInt
	for s, n := range count {
		if n == 0 || norm[s]+by < 1 {
			continue
		}
		if gain := int(n) * (log2(uint32(norm[s]+by)) - log2(uint32(norm[s]))); gain > best {
			best, symbol = gain, s
		}
	}
	return symbol
}

// writeNorm writes the description of a table. RFC 8878, 4.1.1.
func writeNorm(w *bitWriter, norm []int16, log uint) {
	w.put(uint64(log-5), 4)
	remaining, threshold, n := 1<<log+1, 1<<log, log+1
	for s := 0; remaining > 1; {
		c := int(norm[s])
		s++
		most := 2*threshold - 1 - remaining
		remaining -= max(c, -c)
		v, width := c+1, n
		if v >= threshold {
			v += most
		}
		if v < most {
			width--
		}
		w.put(uint64(v), width)
		w.flush()
		for remaining < threshold {
			n--
			threshold >>= 1
		}
		if c == 0 {
			s = writeZeros(w, norm, s)
		}
	}
}

// writeZeros writes how many symbols from s on have no cells and returns the one behind them.
func writeZeros(w *bitWriter, norm []int16, s int) int {
	run := 0
	for norm[s+run] == 0 {
		run++
	}
	s += run
	for ; run >= 3; run -= 3 {
		w.put(3, 2)
		w.flush()
	}
	w.put(uint64(run), 2)
	return s
}
