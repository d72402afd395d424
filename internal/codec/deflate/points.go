package deflate

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"sort"
)

// Points is a list of checkpoints of the same data in the order in which they were taken, with their windows compressed:
// a reader of any range of gzip data begins at the checkpoint before it.
//
// The encoding, numbers as in encoding/binary's Uvarint, fixed ones little-endian:
//
//	"LGZP", version 1, number of points
//	for each point:
//	    In, Out        less those of the point before
//	    In-Block+1     0: between blocks
//	    Sum, Size      4 bytes each
//	    Reach
//	    len(Window), length of its compressed form; 0 0 if it is empty, n n if it is stored
//	    the Window, raw DEFLATE data
type Points struct {
	list []point
	enc  *Encoder // of Add
}

// point is a checkpoint whose Window has its compressed form and another length.
type point struct {
	Checkpoint
	length int
}

const pointsMagic = "LGZP\x01"

// minPoint is the least length of an encoded point; it bounds what a number of points may allocate.
const minPoint = 14

// Add appends a checkpoint, which lies behind the last one. Windows are compressed in 400 KiB of memory, which p keeps.
func (p *Points) Add(c Checkpoint) {
	if n := len(p.list); n > 0 && (c.In < p.list[n-1].In || c.Out < p.list[n-1].Out) || c.Block > c.In {
		panic(fmt.Sprintf("deflate: checkpoint at %d is added behind what follows it", c.Out))
	}
	n := len(c.Window)
	c.Window = p.pack(c.Window)
	p.list = append(p.list, point{c, n})
}

// pack compresses a window if that makes it shorter.
func (p *Points) pack(b []byte) []byte {
	if p.enc == nil {
		e, err := NewEncoder(Options{Level: 6})
		if err != nil {
			panic(err) // the level is one of its own
		}
		p.enc = e
	}
	out := make([]byte, len(b))
	if n, consumed := p.enc.FitDst(out, b); consumed == len(b) {
		return out[:n:n]
	}
	return b
}

// Len is the number of checkpoints.
func (p *Points) Len() int { return len(p.list) }

// Before returns the last checkpoint whose Out is not behind off, and false if there is none: then decoding begins with
// the data. A damaged Window is an error.
func (p *Points) Before(off int64) (c Checkpoint, ok bool, err error) {
	i := sort.Search(len(p.list), func(i int) bool { return p.list[i].Out > off })
	if i == 0 {
		return Checkpoint{}, false, nil
	}
	q := p.list[i-1]
	c = q.Checkpoint
	if q.length != len(c.Window) {
		c.Window = make([]byte, q.length)
		if err := Decode(c.Window, q.Window); err != nil {
			return Checkpoint{}, false, fmt.Errorf("deflate: window of the checkpoint at %d: %w", c.Out, err)
		}
	}
	return c, true, nil
}

// ReadAt reads decoded bytes of the gzip data in r from off on into b, beginning at the checkpoint before them. The
// error is io.EOF if the data ends before b is full.
func (p *Points) ReadAt(r io.ReaderAt, b []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, fmt.Errorf("deflate: read at %d: negative offset", off)
	}
	c, ok, err := p.Before(off)
	if err != nil {
		return 0, err
	}
	z := NewReader(io.NewSectionReader(r, 0, 1<<62))
	if ok {
		if z, err = Resume(c, r); err != nil {
			return 0, err
		}
	}
	skip := off - c.Out
	for buf := make([]byte, MinBuffer+inputSize); n < len(b); {
		data, err := z.Next(buf)
		drop := min(skip, int64(len(data)))
		skip -= drop
		n += copy(b[n:], data[drop:])
		if err != nil && n < len(b) {
			return n, err
		}
	}
	return n, nil
}

// AppendBinary appends the encoded list to b; the error is always nil.
func (p *Points) AppendBinary(b []byte) ([]byte, error) {
	b = append(b, pointsMagic...)
	b = binary.AppendUvarint(b, uint64(len(p.list)))
	var last point
	for _, q := range p.list {
		b = binary.AppendUvarint(b, uint64(q.In-last.In))
		b = binary.AppendUvarint(b, uint64(q.Out-last.Out))
		header := int64(0)
		if q.Block >= 0 {
			header = q.In - q.Block + 1
		}
		b = binary.AppendUvarint(b, uint64(header))
		b = binary.LittleEndian.AppendUint32(b, q.Sum)
		b = binary.LittleEndian.AppendUint32(b, q.Size)
		b = binary.AppendUvarint(b, uint64(q.Reach))
		b = binary.AppendUvarint(b, uint64(q.length))
		b = binary.AppendUvarint(b, uint64(len(q.Window)))
		b = append(b, q.Window...)
		last = q
	}
	return b, nil
}

// UnmarshalBinary reads what AppendBinary wrote. An error says where the list breaks its format.
func (p *Points) UnmarshalBinary(b []byte) error {
	b = bytes.Clone(b)
	d := decoding{b: b}
	if len(b) < len(pointsMagic) || string(b[:len(pointsMagic)]) != pointsMagic {
		return fmt.Errorf("deflate: list of checkpoints: %q: not one of version 1", b[:min(len(b), len(pointsMagic))])
	}
	d.pos = len(pointsMagic)
	n := d.number(uint64(len(b) / minPoint))
	list := make([]point, 0, n)
	var last point
	for range n {
		q := d.point(last)
		if d.bad {
			break
		}
		list = append(list, q)
		last = q
	}
	if d.bad || d.pos != len(b) {
		return fmt.Errorf("deflate: list of checkpoints: offset %d of %d: not a checkpoint", d.pos, len(b))
	}
	p.list = list
	return nil
}

// decoding reads numbers; bad stays set once one was wrong.
type decoding struct {
	b   []byte
	pos int
	bad bool
}

// number reads one that is most at most.
func (d *decoding) number(most uint64) uint64 {
	v, n := binary.Uvarint(d.b[d.pos:])
	if n <= 0 || v > most {
		d.bad = true
		return 0
	}
	d.pos += n
	return v
}

func (d *decoding) fixed() uint32 {
	if len(d.b)-d.pos < 4 {
		d.bad = true
		return 0
	}
	d.pos += 4
	return binary.LittleEndian.Uint32(d.b[d.pos-4:])
}

// maxOffset bounds places, so that sums of two do not overflow.
const maxOffset = 1 << 61

func (d *decoding) point(last point) (q point) {
	q.In = last.In + int64(d.number(uint64(maxOffset-last.In)))
	q.Out = last.Out + int64(d.number(uint64(maxOffset-last.Out)))
	q.Block = -1
	if h := int64(d.number(uint64(q.In + 1))); h > 0 {
		q.Block = q.In - h + 1
	}
	q.Sum, q.Size = d.fixed(), d.fixed()
	q.Reach = int(d.number(History))
	q.length = int(d.number(uint64(q.Reach)))
	n := int(d.number(uint64(min(q.length, len(d.b)-d.pos))))
	if d.bad || n > len(d.b)-d.pos || (n == 0) != (q.length == 0) {
		d.bad = true
		return q
	}
	q.Window = d.b[d.pos : d.pos+n : d.pos+n]
	d.pos += n
	return q
}
