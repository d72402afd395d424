package mkfs

import (
	"fmt"
	"io"
	"math"

	"github.com/laminafs/lamina/internal/disk"
	"github.com/laminafs/lamina/tree"
)

// Device is a file that an image refers to for what lies there, mostly an image itself. Whoever mounts the
// image gives it as a device.
type Device struct {
	Data io.ReaderAt // must stay as it is, as long as an image refers to it
	Size int64       // of Data in bytes
	Tag  string      // free text, at most 64 bytes
}

// Located is a Content whose bytes, or some of them, lie in whole blocks of a device of Options.Devices, or of the
// image of Options.Keep. The Writer refers to those and reads only the others.
type Located interface {
	tree.Content
	Located() (Location, error)
}

// Location is where the bytes of a file are.
type Location struct {
	Device int     // counted from 1; 0 is the image that is kept
	Pieces []Piece // bytes that are there as they are in the file, ascending; what is in no piece is read
	Chunk  int64   // size of the chunks that the file consists of there, 0: none. Files may share chunks.
}

// Piece is a range of a file whose bytes begin at byte Pos of a device.
type Piece struct {
	Off, Len, Pos int64
}

// validateReferred reports contradictions through bad.
func (o *Options) validateReferred(bad func(string, ...any)) {
	if len(o.Devices) > 0 && (o.DataDevice != nil || o.Bases != nil) {
		bad("devices do not go with a data device or bases")
	}
	if o.Keep != 0 && (o.DataDevice != nil || o.Bases != nil || o.Keep < 0) {
		bad("an image of %d bytes is kept: not with a data device or bases", o.Keep)
	}
	for i := range o.Devices {
		if d := &o.Devices[i]; d.Size < 0 || len(d.Tag) > len(disk.Device{}.Tag) {
			bad("device %d: %d bytes, tag %q: more than 64 bytes of tag, or a negative size", i+1, d.Size, d.Tag)
		}
	}
	if n := len(o.Devices); n >= 1<<16 {
		bad("%d devices: more than 65535", n)
	}
}

// deviceSlots makes the device table of Options.Devices.
func (w *Writer) deviceSlots() (list []deviceSlot) {
	for _, d := range w.o.Devices {
		list = append(list, deviceSlot{tag: d.Tag, blocks: disk.Blocks(d.Size, w.bits)})
	}
	return list
}

// deviceData returns what a device that is not written holds, nil for the image and the blob.
func (w *Writer) deviceData(device uint16) io.ReaderAt {
	switch {
	case device == 0:
	case w.use != nil:
		return w.o.Bases.list[device-1].Data
	case len(w.o.Devices) > 0:
		return w.o.Devices[device-1].Data
	}
	return nil
}

// refer places a file of which something is on a device. It returns nil if no whole block is.
//
//	all in one piece, in the image            ─► its blocks
//	all in one piece, but for an inline tail  ─► its blocks, in the unified address space, and the tail here
//	else                                      ─► chunks; blocks that are in no piece are copied
func (w *Writer) refer(n *tree.Node, l Located) (*place, error) {
	at, err := l.Located()
	if err != nil {
		return nil, err
	}
	device, list := at.Device, at.Pieces
	if list, err = w.usable(device, list, n.Size); err != nil || len(list) == 0 {
		return nil, err
	}
	shared := device == 0 && at.Chunk >= w.bs // keeps its chunks: what is shared in an image begins and ends alike
	if w.comp != nil {
		if err := w.comp.drain(); err != nil { // what is copied is written where the data ends
			return nil, err
		}
	}
	p := w.newPlace(n.Size)
	tail := w.referredTail(n, l, list)
	switch {
	case len(list) == 1 && list[0].Off == 0 && list[0].Len+tail == n.Size && !shared && (device == 0 || tail > 0):
		err = w.referFlat(p, l, uint16(device), list[0].Pos, tail)
	case shared:
		err = w.referChunks(p, l, uint16(device), list, at.Chunk>>w.bits)
	default:
		err = w.referChunks(p, l, uint16(device), list, math.MaxInt64)
	}
	if err == nil && w.o.Fingerprints && l.Data() == nil {
		r, sum := w.prints.of(io.NewSectionReader(l, 0, n.Size))
		_, err = io.Copy(io.Discard, r)
		p.print = sum()
	}
	w.count(&tree.File{Size: n.Size, Data: l.Data()})
	return p, err
}

// usable cuts pieces to whole blocks, the last one of a file included, and drops what then is empty.
func (w *Writer) usable(device int, list []Piece, size int64) (out []Piece, err error) {
	limit := w.o.Keep
	if device > 0 && device <= len(w.o.Devices) {
		limit = w.o.Devices[device-1].Size
	} else if device != 0 || w.o.Keep == 0 {
		return nil, fmt.Errorf("device %d: there is none", device)
	}
	at := int64(0)
	for _, p := range list {
		if p.Off < at || p.Pos < 0 || p.Len < 0 || p.Len > size-p.Off || p.Len > limit-p.Pos {
			return nil, fmt.Errorf("device %d: %d bytes at %d: not in its %d bytes", device, p.Len, p.Pos, limit)
		}
		at = p.Off + p.Len
		if (p.Off|p.Pos)&(w.bs-1) != 0 {
			continue
		}
		if at < size {
			p.Len &^= w.bs - 1
		}
		if p.Len > 0 {
			out = append(out, p)
		}
	}
	return out, nil
}

// referredTail returns the length of the inline tail of a file, 0 if it has none: it must be in no piece, and fit
// behind the inode for sure.
func (w *Writer) referredTail(n *tree.Node, l Located, list []Piece) int64 {
	tail, last := n.Size&(w.bs-1), list[len(list)-1]
	room := w.bs - disk.InodeExtendedSize - disk.XattrHeaderSize
	if !w.o.DropXattrs {
		for _, x := range n.Xattrs {
			room -= disk.Align(int64(disk.XattrEntrySize+len(x.Name)+len(x.Value)), disk.XattrAlign)
		}
	}
	if w.o.Fingerprints {
		room -= 64
	}
	if w.o.InlineMax > 0 {
		room = min(room, int64(w.o.InlineMax))
	}
	if w.o.Inline == InlineNone || tail > room || last.Off+last.Len > n.Size-tail || l.Data() != nil {
		return 0
	}
	return tail
}

// referFlat places a file whose blocks follow each other from byte pos of a device on.
func (w *Writer) referFlat(p *place, l Located, device uint16, pos, tail int64) (err error) {
	p.device, p.block = device, pos>>w.bits
	p.tailN = int32(tail)
	end := p.block + p.blocksOf()
	w.top, w.referred = max(w.top, end), w.referred+p.size-tail
	if device == 0 {
		w.lowest = min(w.lowest, pos)
	}
	if tail == 0 {
		return nil
	}
	b := w.scratch[:tail]
	if _, err := l.ReadAt(b, p.size-tail); err != nil && err != io.EOF {
		return err
	}
	p.tail, err = w.tails.add(b)
	return err
}

// referChunks places a file by chunks of at most so many blocks.
func (w *Writer) referChunks(p *place, l Located, device uint16, list []Piece, most int64) error {
	var runs chunks // counted in blocks
	at := int64(0)
	for _, e := range append(list, Piece{Off: p.size}) {
		if err := w.copyGap(&runs, l, at, e.Off, p.size); err != nil {
			return err
		}
		if e.Len > 0 {
			w.addRun(&runs, run{first: e.Off >> w.bits, count: disk.Blocks(e.Len, w.bits), block: e.Pos >> w.bits, device: device})
			w.referred += e.Len
			if device == 0 {
				w.lowest = min(w.lowest, e.Pos)
			}
		}
		at = e.Off + e.Len
	}
	p.chunk = coarsest(runs.runs, disk.Blocks(p.size, w.bits), most)
	return nil
}

// copyGap copies the blocks of a file between two offsets that have data.
func (w *Writer) copyGap(c *chunks, l Located, at, end, size int64) error {
	data := l.Data()
	if data == nil {
		data = []tree.Extent{{Off: 0, Len: size}}
	}
	for _, e := range data {
		from := max(at, e.Off&^(w.bs-1))
		to := min(end, disk.Align(e.Off+e.Len, w.bs))
		if from >= to || e.Len == 0 {
			continue
		}
		w.data.align(w.bs)
		w.addRun(c, run{first: from >> w.bits, count: disk.Blocks(to-from, w.bits), block: w.data.pos() >> w.bits})
		if err := w.copyIn(io.NewSectionReader(l, from, to-from), min(to, size)-from); err != nil {
			return err
		}
		w.data.align(w.bs)
		at = to
	}
	return nil
}

// coarsest makes chunks of ascending runs that are counted in blocks: the largest that they are made of, of at most so
// many blocks. The file has blocks of them; those in no run are holes.
func coarsest(runs []run, blocks, most int64) *chunks {
	var all int64
	for _, r := range runs {
		all |= r.first
		if end := r.first + r.count; end < blocks {
			all |= end
		}
	}
	c := &chunks{runs: runs}
	for c.bits < uint8(disk.ChunkBitsMask) && int64(1)<<c.bits < min(blocks, most) && all>>c.bits&1 == 0 {
		c.bits++
	}
	for i := range c.runs {
		r := &c.runs[i]
		r.first >>= c.bits
		r.count = (r.count-1)>>c.bits + 1
	}
	return c
}

// checkKept refuses to write a header over data of the image that is kept.
func (w *Writer) checkKept() error {
	if w.o.Keep > 0 && w.header > w.lowest {
		return fmt.Errorf("mkfs: image that is kept: it has data at %d, which the new superblock and its tables (%d bytes) need", w.lowest, w.header)
	}
	return nil
}
