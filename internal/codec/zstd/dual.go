package zstd

import "math/bits"

// haste is how little a dual parser looks.
type haste struct {
	skip uint // after 1<<skip literals in a row every second byte is looked at, and so on
	more bool // matches get more positions into the tables
}

// dual is the fastest parser. It remembers the latest position with the same eight bytes and the latest one with the
// same four or five, no others, and takes what they give; where it is not eight it looks for eight at the next byte.
type dual struct {
	progress
	haste
	long  [1 << longBits]uint32
	short [1 << shortBits]uint32
	prime uint64 // of the hash of a few bytes
}

const (
	longBits, shortBits = 16, 15

	longPrime = 0xCF1BBCDCB7A56463
	fivePrime = 0xCF1BBCDCBB << 24 // of the lowest five bytes
	fourPrime = 0x9E3779B1 << 32

	// dualMargin is the bytes at the end of a source where it looks for nothing, so that it can load everywhere else.
	dualMargin = 16
)

func newDual(h haste, windowLog int) *dual {
	d := &dual{progress: newProgress(windowLog), haste: h, prime: fivePrime}
	if windowLog <= 15 { // in a small source four bytes are all that there often is
		d.prime = fourPrime
	}
	return d
}

func (d *dual) reset(src []byte) {
	if d.restart(src) {
		clear(d.long[:])
		clear(d.short[:])
	}
}

func (d *dual) parse(n, _ int) {
	end := len(d.src) - dualMargin
	for len(d.seqs) < n && d.pos-d.anchor < d.most {
		if d.pos >= end {
			d.pos = len(d.src)
			return
		}
		from, pos := d.find(min(end, d.anchor+d.most))
		if d.pos = pos; from >= 0 {
			d.take(from)
			for len(d.seqs) < n && d.pos < end && d.again() {
			}
		}
	}
}

// find looks for a match from pos on, up to end, and returns where it is and of what; from is negative if there is none.
func (d *dual) find(end int) (from, pos int) {
	src, base, window, prime, skip := d.src, d.base, d.window, d.prime, d.skip
	long, short := &d.long, &d.short
	repeat := int(d.last[0])
	for pos = d.pos; pos < end; pos += 1 + (pos-d.anchor)>>(skip&63) {
		v := load64(src, pos)
		hl, hs := v*longPrime>>(64-longBits), v*prime>>(64-shortBits)
		p := uint32(pos) + base
		low := max(base, p-window)
		cl, cs := long[hl], short[hs]
		long[hl], short[hs] = p, p
		if q := pos + 1 - repeat; q >= 0 && load32(src, q) == uint32(v>>8) {
			return q, pos + 1
		}
		if cl >= low && load64(src, int(cl-base)) == v {
			return int(cl - base), pos
		}
		if cs >= low && load32(src, int(cs-base)) == uint32(v) {
			next := load64(src, pos+1)
			h := next * longPrime >> (64 - longBits)
			c := long[h]
			long[h] = p + 1
			if c > low && load64(src, int(c-base)) == next {
				return int(c - base), pos + 1
			}
			return int(cs - base), pos
		}
	}
	return -1, min(pos, d.anchor+d.most, len(d.src))
}

// take appends the match of pos with from, of four bytes at least, which may turn out to start earlier.
func (d *dual) take(from int) {
	src, start, distance := d.src, d.pos, uint32(d.pos-from)
	length := 4 + d.same(from+4, start+4)
	first := d.anchor
	if distance == d.last[0] {
		first++ // without literals the last distance is of no use
	}
	for start > first && from > 0 && length < d.most && src[start-1] == src[from-1] {
		start--
		from--
		length++
	}
	d.append(start, length, distance)
}

// same returns how many bytes at q and at pos are the same, but with 4 more no more than most.
func (d *dual) same(q, pos int) (n int) {
	src := d.src
	most := min(d.most-4, len(src)-pos)
	for n+8 <= most {
		if x := load64(src, q+n) ^ load64(src, pos+n); x != 0 {
			return n + bits.TrailingZeros64(x)>>3
		}
		n += 8
	}
	for n < most && src[q+n] == src[pos+n] {
		n++
	}
	return n
}

// append appends a match and makes some of its positions candidates.
func (d *dual) append(start, length int, distance uint32) {
	d.seqs = append(d.seqs, sequence{uint32(start - d.anchor), uint32(length), distance})
	d.last.encode(distance, start > d.anchor)
	end, old := start+length, d.pos
	d.pos, d.anchor = end, end
	if d.more && end < len(d.src)-dualMargin {
		d.insert(old + 2)
		d.insert(end - 2)
	}
}

func (d *dual) insert(pos int) {
	v := load64(d.src, pos)
	p := uint32(pos) + d.base
	d.long[v*longPrime>>(64-longBits)] = p
	d.short[v*d.prime>>(64-shortBits)] = p
}

// again takes a match right behind one, of the distance before the last.
func (d *dual) again() bool {
	src, distance := d.src, d.last[1]
	q := d.pos - int(distance)
	if q < 0 || load32(src, q) != load32(src, d.pos) {
		return false
	}
	d.append(d.pos, 4+d.same(q+4, d.pos+4), distance)
	return true
}
