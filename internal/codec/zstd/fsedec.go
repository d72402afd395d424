package zstd

import "math/bits"

// readNorm reads the description of a table of 1<<maxLog cells at most, for len(norm) symbols at most: RFC 8878, 4.1.1.
// It returns how many symbols the table has and the length of the description.
func readNorm(norm []int16, src []byte, maxLog uint) (log uint, symbols, size int, err error) {
	in := forward{src: src}
	log = uint(in.peek(4)) + minFSELog
	in.pos += 4
	if log > maxLog {
		return 0, 0, 0, corrupt("size of a table")
	}
	remaining, threshold, n := 1<<log+1, 1<<log, log+1
	s := 0
	for remaining > 1 && s < len(norm) {
		most := 2*threshold - 1 - remaining
		v := int(in.peek(n))
		c := v & (threshold - 1)
		if c < most {
			in.pos += int(n) - 1
		} else {
			if c = v; c >= threshold {
				c -= most
			}
			in.pos += int(n)
		}
		c--
		remaining -= max(c, -c)
		norm[s] = int16(c)
		s++
		if c == 0 {
			zeros := in.zeros(len(norm) - s)
			clear(norm[s : s+zeros])
			s += zeros
		}
		for remaining < threshold {
			n--
			threshold >>= 1
		}
	}
	size = (in.pos + 7) / 8
	switch {
	case size > len(src):
		return 0, 0, 0, errShort
	case remaining != 1:
		return 0, 0, 0, corrupt("description of a table")
	}
	return log, s, size, nil
}

// forward reads bits from the first one of src on, the lowest one of a byte first; zeros behind its end.
type forward struct {
	src []byte
	pos int
}

// peek returns the next n bits, n up to 16.
func (f *forward) peek(n uint) (v uint) {
	at := f.pos >> 3
	for i := range min(max(len(f.src)-at, 0), 3) {
		v |= uint(f.src[at+i]) << (8 * i)
	}
	return v >> (f.pos & 7) & (1<<n - 1)
}

// zeros reads how many of up to most symbols more have no cells.
func (f *forward) zeros(most int) (n int) {
	for n < most {
		v := int(f.peek(2))
		f.pos += 2
		n += v
		if v < 3 {
			break
		}
	}
	return min(n, most)
}

// seqEntry is a state of the decoder of one of the three codes of sequences.
type seqEntry struct {
	extra uint8  // bits behind the code
	bits  uint8  // bits of the next state
	next  uint16 // what these are added to
	base  uint32 // what the extra bits are added to
}

// seqTable decodes one of the three codes of sequences.
type seqTable struct {
	log     uint
	entries [1 << maxFSELog]seqEntry // by state
}

func (t *seqTable) at(state uint) seqEntry { return t.entries[state&(1<<maxFSELog-1)] }

// build makes the table of norm, whose sum is 1<<log, for codes of these values.
func (t *seqTable) build(norm []int16, log uint, of *seqValues) {
	t.log = log
	var cells [1 << maxFSELog]uint8
	var next [codeSpace]uint16
	size := 1 << log
	spread(norm, cells[:size])
	for s, n := range norm {
		next[s%codeSpace] = uint16(max(n, -n))
	}
	base, extra := of.base, of.extra
	entries := t.entries[:size]
	for i, s := range cells[:size] {
		s %= codeSpace
		x := next[s]
		next[s]++
		n := log + 1 - uint(bits.Len16(x))
		entries[i] = seqEntry{extra[s], uint8(n), x<<(n&15) - uint16(size), base[s]}
	}
}

// copy copies what is used of another one.
func (t *seqTable) copy(of *seqTable) {
	t.log = of.log
	copy(t.entries[:1<<t.log], of.entries[:])
}

// buildOne makes the table of a single code.
func (t *seqTable) buildOne(s uint8, of *seqValues) {
	t.log = 0
	t.entries[0] = seqEntry{of.extra[s], 0, 0, of.base[s]}
}

// seqValues is what codes stand for.
type seqValues struct {
	codes  int
	maxLog uint
	base   *[codeSpace]uint32
	extra  *[codeSpace]uint8
}

var seqCodes = [3]seqValues{
	literalLength: {literalCodes, maxFSELog, &literalBase, &literalBits},
	offset:        {offsetCodes, maxFSELog - 1, &offsetBase, &offsetBits},
	matchLength:   {matchCodes, maxFSELog, &matchBase, &matchBits},
}

// plainValues is for codes that stand for themselves.
var plainValues = func() seqValues {
	v := seqValues{base: new([codeSpace]uint32), extra: new([codeSpace]uint8)}
	for i := range v.base {
		v.base[i] = uint32(i)
	}
	return v
}()
