package zstd

import "errors"

// errFull tells that dst is full and the block has more.
var errFull = errors.New("zstd: no room")

// errShort is for a part of a block that is behind its end.
const errShort = CorruptError("length of a block is wrong")

func corrupt(what string) error { return CorruptError(what + " is wrong") }

// What a table is.
const (
	noTable = iota
	predefinedTable
	ownTable
)

// blockDecoder decodes one block after the other.
type blockDecoder struct {
	tree   huffDecoder
	tables [3]uint8 // what is in those of loop
	lit    [maxBlock + copySlack]byte
	loop   seqLoop
}

// reset starts a frame with this window.
func (d *blockDecoder) reset(window int) {
	d.tree.valid = false
	d.tables = [3]uint8{}
	l := &d.loop
	l.rep, l.window, l.op, l.old = [3]int{1, 4, 8}, window, 0, 0
}

// limit is how many bytes a block may have, compressed or not. RFC 8878, 3.1.1.2.4.
func (d *blockDecoder) limit() int { return min(maxBlock, d.loop.window) }

// compressed decodes the compressed block src[at:] to where its loop is. There are headroom bytes and more before it.
// RFC 8878, 3.1.1.3.
func (d *blockDecoder) compressed(src []byte, at int) error {
	l := &d.loop
	l.end = l.op + d.limit()
	at, err := d.readLiterals(src, at)
	if err != nil {
		return err
	}
	if at, err = l.readCount(src, at); err != nil {
		return err
	}
	if l.n == 0 && at < len(src) {
		return corrupt("end of a block")
	}
	if l.n > 0 {
		if at, err = d.readTables(src, at); err != nil {
			return err
		}
		if err := d.readSequences(src, at); err != nil {
			return err
		}
	}
	return l.literals(l.litEnd - l.litPos)
}

// littleEndian returns n bytes of b, up to five, as many as there are of them.
func littleEndian(b []byte, n int) (v uint64) {
	for i, c := range b[:min(n, len(b))] {
		v |= uint64(c) << (8 * i)
	}
	return v
}

// readLiterals decodes the section of literals and returns where it ends. RFC 8878, 3.1.1.3.1.
func (d *blockDecoder) readLiterals(src []byte, at int) (end int, err error) {
	if at >= len(src) {
		return 0, errShort
	}
	kind, format := src[at]&3, src[at]>>2&3
	if kind >= huffLiterals {
		return d.readCoded(src, at, kind, format)
	}
	header := [4]int{1, 2, 1, 3}[format]
	n := int(littleEndian(src[at:], header) >> [4]int{3, 4, 3, 4}[format])
	if at += header; n > d.limit() {
		return 0, corrupt("number of literals")
	}
	l := &d.loop
	l.lit, l.litPos, l.litEnd = d.lit[:], 0, n
	if kind == oneLiteral {
		if at >= len(src) {
			return 0, errShort
		}
		fill(d.lit[:n], src[at])
		return at + 1, nil
	}
	if n > len(src)-at {
		return 0, errShort
	}
	if len(src)-at-n >= copySlack {
		l.lit, l.litPos, l.litEnd = src, at, at+n
	} else {
		copy(d.lit[:n], src[at:])
	}
	return at + n, nil
}

// readCoded decodes literals in a Huffman code. RFC 8878, 3.1.1.3.1.
func (d *blockDecoder) readCoded(src []byte, at int, kind, format byte) (end int, err error) {
	header, width := [4]int{3, 3, 4, 5}[format], [4]int{10, 10, 14, 18}[format]
	h := littleEndian(src[at:], header) >> 4
	n, size := int(h&(1<<width-1)), int(h>>width)
	if at += header; at > len(src) || size > len(src)-at {
		return 0, errShort
	}
	if n > d.limit() {
		return 0, corrupt("number of literals")
	}
	end = at + size
	if kind == huffLiterals {
		if at, err = d.tree.readTree(src[:end], at); err != nil {
			return 0, err
		}
	}
	if !d.tree.valid {
		return 0, corrupt("Huffman code of the block before")
	}
	d.loop.lit, d.loop.litPos, d.loop.litEnd = d.lit[:], 0, n
	if format == 0 {
		return end, d.tree.one(d.lit[:n], src[:end], at)
	}
	return end, d.tree.four(d.lit[:n], src[:end], at)
}

func fill(b []byte, c byte) {
	if len(b) > 0 {
		b[0] = c
		overlap(b, 1, 1, len(b)-1)
	}
}

// readCount reads the number of sequences. RFC 8878, 3.1.1.3.2.1.
func (l *seqLoop) readCount(src []byte, at int) (end int, err error) {
	if at >= len(src) {
		return 0, errShort
	}
	size := 1
	switch b := int(src[at]); {
	case b < 128:
		l.n = b
	case b < 255:
		size = 2
		l.n = (b-128)<<8 + int(littleEndian(src[at+1:], 1))
	default:
		size = 3
		l.n = 0x7F00 + int(littleEndian(src[at+1:], 2))
	}
	if at += size; at > len(src) {
		return 0, errShort
	}
	return at, nil
}

// readTables reads the tables of the three codes. RFC 8878, 3.1.1.3.2.1.
func (d *blockDecoder) readTables(src []byte, at int) (end int, err error) {
	if at >= len(src) {
		return 0, errShort
	}
	modes := src[at]
	at++
	if modes&3 != 0 {
		return 0, corrupt("reserved bit of a block")
	}
	for i, shift := range [3]int{literalLength: 6, offset: 4, matchLength: 2} {
		values, table := &seqCodes[i], &d.loop.tables[i]
		switch modes >> shift & 3 {
		case predefinedMode:
			if d.tables[i] != predefinedTable {
				d.tables[i] = predefinedTable
				table.copy(&predefinedSeq[i])
			}
		case oneMode:
			if at >= len(src) {
				return 0, errShort
			}
			if int(src[at]) >= values.codes {
				return 0, corrupt("code of a sequence")
			}
			d.tables[i] = ownTable
			table.buildOne(src[at], values)
			at++
		case tableMode:
			var norm [maxFSESymbols]int16
			log, symbols, size, err := readNorm(norm[:values.codes], src[at:], values.maxLog)
			if err != nil {
				return 0, err
			}
			at += size
			d.tables[i] = ownTable
			table.build(norm[:symbols], log, values)
		default:
			if d.tables[i] == noTable {
				return 0, corrupt("table of the block before")
			}
		}
	}
	return at, nil
}

// readSequences executes the sequences in src[at:].
func (d *blockDecoder) readSequences(src []byte, at int) error {
	in, err := newBackward(src, at)
	if err != nil {
		return err
	}
	l := &d.loop
	for _, i := range [3]int{literalLength, offset, matchLength} {
		t := &l.tables[i]
		l.entries[i] = t.at(in.take(t.log))
	}
	l.src, l.start, l.left = src, at, in.left
	return l.sequences()
}
