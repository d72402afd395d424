package mkfs

import (
	"encoding/binary"
	"iter"

	"github.com/laminafs/lamina/internal/compress"
	"github.com/laminafs/lamina/internal/disk"
)

// mapped is where the bytes of a compressed file are: what its index says, but for the runs. Those are kept in
// a short form until the metadata is written, one behind the other in compressor.runs:
//
//	flags (1 byte: stored, second algorithm, partial, position given)
//	decoded length, stored length in bytes (varints)
//	position (varint), if the run does not begin where the one before it ends
//
// Stored runs of many blocks are one; the index has them block by block.
type mapped struct {
	compress.Map
	runs   int64 // offset
	runsN  int
	method int8
	blocks int64 // used ones of the image, for st_blocks
}

const (
	runStored = 1 << iota
	runSecond
	runPartial
	runElsewhere
)

// appendRun appends the short form of a run; end is where the one before it ended.
func appendRun(b []byte, r compress.Run, end int64) []byte {
	var flags byte
	set := func(bit byte, is bool) {
		if is {
			flags |= bit
		}
	}
	set(runStored, r.Stored)
	set(runSecond, r.Second)
	set(runPartial, r.Partial)
	set(runElsewhere, r.Pos != end)
	b = binary.AppendUvarint(append(b, flags), uint64(r.Len))
	b = binary.AppendUvarint(b, uint64(r.PLen))
	if r.Pos != end {
		b = binary.AppendUvarint(b, uint64(r.Pos))
	}
	return b
}

// runsOf yields the runs in b. Stored ones are cut into blocks of bs bytes unless bs is 0.
func runsOf(b []byte, bs int64) iter.Seq[compress.Run] {
	return func(yield func(compress.Run) bool) {
		var end int64
		number := func() int64 {
			v, n := binary.Uvarint(b)
			b = b[n:]
			return int64(v)
		}
		for len(b) > 0 {
			flags := b[0]
			b = b[1:]
			r := compress.Run{
				Stored: flags&runStored != 0, Second: flags&runSecond != 0, Partial: flags&runPartial != 0,
				Len: number(), PLen: number(), Pos: end,
			}
			if flags&runElsewhere != 0 {
				r.Pos = number()
			}
			end = r.Pos + r.PLen
			for r.Stored && bs > 0 && r.PLen > bs {
				first := r
				first.Len, first.PLen = bs, bs
				if !yield(first) {
					return
				}
				r.Len, r.PLen, r.Pos = r.Len-bs, r.PLen-bs, r.Pos+bs
			}
			if !yield(r) {
				return
			}
		}
	}
}

// commit places the results of a piece: the next bytes of the file that came next.
func (k *compressor) commit(pt *part, piece *compress.Piece) error {
	p, w := pt.p, k.w
	if p.comp == nil && isStored(piece) {
		return k.commitStored(pt, piece.Src)
	}
	m := p.comp
	if m == nil {
		m = k.begin(p, piece.Method)
		if pt.off > 0 { // what came before was stored in blocks
			k.add(m, compress.Run{Len: pt.off, Pos: p.block << w.bits, PLen: pt.off, Stored: true})
		}
	}
	if piece.Method == compress.Store {
		panic("mkfs: a file with two methods")
	}
	pos := w.data.pos()
	w.data.write(piece.Out)
	for _, e := range piece.Extents {
		k.add(m, compress.Run{Len: int64(e.Len), Pos: pos, PLen: int64(e.PLen), Stored: e.Stored})
		pos += int64(e.PLen)
	}
	if e := &piece.Inline; e.Len > 0 {
		var err error
		if p.tail, err = w.tails.add(piece.InlineOut); err != nil {
			return err
		}
		p.tailN = int32(e.PLen)
		m.Inline, m.InlineLen, m.InlineStored = int64(e.PLen), int64(e.Len), e.Stored
		m.Count++
	}
	w.top = max(w.top, disk.Blocks(w.data.pos(), w.bits))
	if pt.last {
		if err := k.end(m); err != nil {
			return err
		}
	}
	return w.data.failed()
}

// isStored tells whether compressing a piece has gained nothing.
func isStored(p *compress.Piece) bool {
	for _, e := range p.Extents {
		if !e.Stored {
			return false
		}
	}
	return p.Inline.Len == 0 || p.Inline.Stored
}

// commitStored places a piece of a file that is stored as it is so far.
func (k *compressor) commitStored(pt *part, src []byte) error {
	w := k.w
	if pt.last {
		if n := w.tailOf(pt.p.size); n > 0 {
			tail := src[int64(len(src))-n:]
			var err error
			if pt.p.tail, err = w.tails.add(tail); err != nil {
				return err
			}
			pt.p.tailN = int32(n)
			src = src[:int64(len(src))-n]
		}
	}
	if len(src) > 0 {
		w.data.align(w.bs) // it is not only behind extents at any byte
		if pt.off == 0 {
			pt.p.block = w.data.pos() >> w.bits
		}
		w.data.write(src)
		w.data.align(w.bs)
		w.top = max(w.top, w.data.pos()>>w.bits)
	}
	return w.data.failed()
}

// begin makes p a compressed file.
func (k *compressor) begin(p *place, method int) *mapped {
	m := &mapped{method: int8(method)}
	m.Size, m.BlockBits, m.First = p.size, k.w.bits, k.c.methods()[method].Algorithm.Disk()
	p.comp = m
	k.used |= 1 << method
	k.cur, k.curAt = k.cur[:0], 0
	return m
}

// add adds the next run of the file.
func (k *compressor) add(m *mapped, r compress.Run) {
	switch {
	case k.c.Index == IndexExtents:
		m.Count++
	case r.Stored:
		m.Count += disk.Blocks(r.PLen, m.BlockBits)
	default:
		m.Count++
		m.Big = m.Big || r.PLen > k.w.bs
	}
	m.Scattered = m.Scattered || r.Partial || len(k.cur) > 0 && r.Pos != k.curAt
	k.cur, k.curAt = appendRun(k.cur, r, k.curAt), r.Pos+r.PLen
	m.blocks += disk.Blocks(r.PLen, m.BlockBits)
}

// end completes the file.
func (k *compressor) end(m *mapped) (err error) {
	m.runsN = len(k.cur)
	m.runs, err = k.runs.add(k.cur)
	return err
}

// form chooses the form of the index of a file.
func (k *compressor) form(m *mapped) compress.Form {
	return m.Form(k.c.Index == IndexFull, k.c.Index == IndexExtents)
}

// appendIndex appends the map header and the index of p to the bytes of its inode and xattrs.
func (k *compressor) appendIndex(b []byte, p *place, f compress.Form) ([]byte, error) {
	m := p.comp
	runs, err := k.runs.get(m.runs, m.runsN)
	if err != nil {
		return b, err
	}
	var bs int64
	if f != compress.FormExtents {
		bs = k.w.bs
	}
	b = append(b, make([]byte, -len(b)&(disk.MapHeaderSize-1))...)
	return m.Append(b, f, runsOf(runs, bs)), nil
}
