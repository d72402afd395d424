package mkfs

import (
	"fmt"

	"github.com/laminafs/lamina/internal/compress"
	"github.com/laminafs/lamina/internal/disk"
	"github.com/laminafs/lamina/tree"
)

// Metabox says how metadata is compressed: inodes with their extended attributes, indexes and tails are the contents
// of one inode, the metabox, which is compressed like a file. It needs Linux 6.17 and makes an image of the 48-bit
// layout.
type Metabox struct {
	// Method compresses it; nil means Compression.Method. It may have the algorithm of a method of data, with another
	// level.
	Method *Method
	// PclusterSize is the largest length of a compressed extent of it in bytes, a multiple of the block size; 0 means a
	// block. What is decoded to read one inode grows with it.
	PclusterSize int
}

func (m *Metabox) pcluster(bs int) int { return max(m.PclusterSize, bs) }

// metaboxMethod returns the own method of the metabox, with the dictionary that its algorithm has for data.
func (c *Compression) metaboxMethod() Method {
	m := *c.Metabox.Method
	for _, d := range c.dataMethods() {
		if d.Algorithm.Disk() == m.Algorithm.Disk() {
			m.DictSize = d.DictSize
		}
	}
	return m
}

// validateMetabox reports contradictions of a metabox.
func (c *Compression) validateMetabox(o *Options, pcluster func(string, int), bad func(string, ...any)) {
	if c.Metabox == nil {
		return
	}
	pcluster("metabox pcluster size", c.Metabox.PclusterSize)
	if o.Bases != nil || len(o.Devices) > 0 {
		bad("a metabox and extra devices: indexes in it say where these begin, which is behind it")
	}
	if c.Metabox.Method == nil {
		return
	}
	m := c.metaboxMethod()
	if d := c.Metabox.Method.DictSize; d != 0 && d != m.DictSize {
		bad("metabox: dictionary of %d bytes: data is compressed by %s with another one, and an image has one", d, m.Algorithm)
	}
	if err := m.check(o); err != nil {
		bad("metabox: %v", err)
	}
}

// boxed tells whether metadata goes into a metabox.
func (w *Writer) boxed() bool { return w.comp != nil && w.comp.c.Metabox != nil }

// packsDirectories tells whether directories go into the packed inode.
func (k *compressor) packsDirectories() bool { return k != nil && k.c.Directories }

// box is the metabox while it is being written: bytes in the order of their places, which the workers compress
// segment by segment. Its pclusters go where Writer.data is.
type box struct {
	k    *compressor
	p    *place
	open *batch
	sent int64
	err  error
}

// newBox returns an empty metabox of a size to come.
func (k *compressor) newBox(size int64) *box {
	p := k.w.newPlace(size)
	method := 0
	if k.c.Metabox.Method != nil {
		method = len(k.methods) - 1
	}
	p.comp = k.begin(method)
	p.comp.Size = size
	return &box{k: k, p: p}
}

// pos returns how much there is.
func (b *box) pos() int64 {
	if b.open == nil {
		return b.sent
	}
	return b.sent + int64(len(b.open.src))
}

// room returns space for at least one byte and at most n.
func (b *box) room(n int64) []byte {
	if b.open == nil {
		b.open = b.k.batch()
	}
	have := b.open.src
	return have[len(have):cap(have)][:min(int64(cap(have)-len(have)), n)]
}

// grow takes n bytes that were put into room.
func (b *box) grow(n int) {
	o := b.open
	if o.src = o.src[:len(o.src)+n]; len(o.src) == cap(o.src) {
		b.send()
	}
}

func (b *box) write(p []byte) {
	for len(p) > 0 {
		n := copy(b.room(int64(len(p))), p)
		p = p[n:]
		b.grow(n)
	}
}

func (b *box) zero(n int64) {
	for n > 0 {
		r := b.room(n)
		clear(r)
		n -= int64(len(r))
		b.grow(len(r))
	}
}

// send hands a segment to the workers. The first error is kept, as with a file; what comes then is dropped, but counts.
func (b *box) send() {
	k, o := b.k, b.open
	if b.open = nil; o == nil {
		return
	}
	pt := part{p: b.p, off: b.sent}
	b.sent += int64(len(o.src))
	pt.last = b.sent == b.p.size
	if b.err != nil {
		k.release(o)
		return
	}
	o.job.Pieces = append(o.job.Pieces, compress.Piece{
		Src: o.src, Method: int(b.p.comp.method), Pcluster: k.c.Metabox.pcluster(int(k.w.bs)),
	})
	o.parts = append(o.parts, pt)
	for len(k.waiting) >= k.most && b.err == nil {
		b.err = k.commitOldest()
	}
	k.start(o)
}

// failed returns the error of a segment once there is one, as that of an output.
func (b *box) failed() error { return b.err }

// close waits until all of it is written.
func (b *box) close() error {
	b.send()
	if b.err != nil {
		return b.err
	}
	if b.sent != b.p.size {
		panic(fmt.Sprintf("mkfs: metabox of %d bytes, planned %d", b.sent, b.p.size))
	}
	return b.k.drain()
}

// node returns an inode that no directory leads to.
func (p *place) node() *tree.Node {
	return &tree.Node{Mode: tree.TypeRegular, Size: p.size, Content: p}
}

// packDirectories puts the directories that are planned there into the packed inode. Their bytes hold numbers of
// inodes, so those are planned before; where they are is known only then.
func (w *Writer) packDirectories(p *plan) error {
	var buf []byte
	for i := range p.items {
		it := &p.items[i]
		if it.shape&inPacked == 0 {
			continue
		}
		it.block = w.comp.packed.place.size
		d := p.encoder(i)
		for left := it.size; left > 0; left -= w.bs {
			buf = d.block(buf[:0], w.bs)
			if left > w.bs {
				buf = append(buf, make([]byte, w.bs-int64(len(buf)))...)
			}
			w.comp.pack(buf)
			if w.derivesUUID() {
				w.ident.Write(buf)
			}
			if err := w.comp.commitMore(); err != nil {
				return err
			}
		}
	}
	return nil
}

// appendPackedIndex appends what leads to a directory in the packed inode.
func appendPackedIndex(b []byte, off int64) []byte {
	b = append(b, make([]byte, -len(b)&(disk.MapHeaderSize-1))...)
	h := disk.WholeFragmentHeader(uint64(off))
	start := len(b)
	b = append(b, make([]byte, packedIndexSize)...)
	h.Encode((*[disk.MapHeaderSize]byte)(b[start:]))
	return b
}

// packedIndexSize is the length of that.
const packedIndexSize = disk.MapHeaderSize + disk.FullIndexPad
