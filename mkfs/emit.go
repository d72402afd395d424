package mkfs

import (
	"cmp"
	"fmt"
	"io"
	"iter"
	"math"
	"slices"

	"github.com/laminafs/lamina/internal/compress"
	"github.com/laminafs/lamina/internal/disk"
	"github.com/laminafs/lamina/tree"
)

// emitter writes what a plan says.
type emitter struct {
	*plan
	w   *Writer
	out *output // the image: blocks
	ino stream  // where inodes go: the image, or the metabox
	buf []byte
}

// stream is where bytes go in the order of their places.
type stream interface {
	pos() int64
	write(b []byte)
	zero(n int64)
	failed() error // the error of writing once there is one
}

// emit writes all metadata behind the data; only the superblock is missing then.
func (w *Writer) emit(p *plan) error {
	e := emitter{plan: p, w: w, out: w.meta, ino: w.meta}
	w.progress.InodesAll = int64(len(p.inodes))
	e.at(e.out, p.base)
	if p.boxed {
		return e.emitBoxed()
	}
	e.sharedXattrs()
	e.out.align(w.bs)
	e.out.zero(disk.SlotSize)
	if err := e.allInodes(); err != nil {
		return err
	}
	e.out.align(w.bs)
	if err := e.blocks(); err != nil {
		return err
	}
	e.out.align(max(w.bs, w.o.SizeAlign))
	e.at(e.out, p.end)
	return nil
}

// emitBoxed writes the metadata of an image with a metabox.
func (e *emitter) emitBoxed() error {
	w := e.w
	if e.dirs+e.late > 0 {
		if err := e.blocks(); err != nil {
			return err
		}
	}
	box := w.comp.newBox(e.boxSize)
	e.ino = box
	e.sharedXattrs()
	if err := e.allInodes(); err != nil {
		return err
	}
	if err := box.close(); err != nil {
		return err
	}
	e.at(box, e.boxSize)
	return e.emitOuter(box)
}

// sharedXattrs writes the attributes that inodes share.
func (e *emitter) sharedXattrs() {
	for _, a := range e.x.order {
		e.buf = e.x.append(e.buf[:0], a)
		e.ino.write(e.buf)
	}
}

// allInodes writes the inodes with what is behind them.
func (e *emitter) allInodes() error {
	w, done := e.w, 0
	for i := range e.inOrder() {
		if err := e.inode(i, e.inodes[i]); err != nil {
			return err
		}
		if err := e.ino.failed(); err != nil {
			return err
		}
		if done++; w.o.Observe != nil && done&0xffff == 0 {
			w.progress.Inodes = int64(done)
			w.o.Observe(w.progress)
		}
	}
	w.progress.Inodes = w.progress.InodesAll
	return nil
}

// blocks writes directories and late contents.
func (e *emitter) blocks() error {
	e.at(e.out, e.dirBlock<<e.w.bits)
	for i, n := range e.inodes {
		if n.IsDir() {
			e.dirBlocks(i)
		}
	}
	e.at(e.out, e.lateBlock<<e.w.bits)
	for i, n := range e.inodes {
		if e.items[i].shape&late != 0 {
			if err := e.lateContent(n); err != nil {
				return err
			}
		}
	}
	return nil
}

// inOrder yields the numbers of the inodes in the order of their places.
func (p *plan) inOrder() iter.Seq[int] {
	return func(yield func(int) bool) {
		if !p.filled {
			for i := 0; i < len(p.inodes) && yield(i); i++ {
			}
			return
		}
		order := make([]int32, len(p.inodes))
		for i := range order {
			order[i] = int32(i)
		}
		slices.SortFunc(order, func(a, b int32) int { return cmp.Compare(p.items[a].nid, p.items[b].nid) })
		for _, i := range order {
			if !yield(int(i)) {
				return
			}
		}
	}
}

// at asserts that emission is where the plan says.
func (e *emitter) at(out stream, off int64) {
	if out.pos() != off {
		panic(fmt.Sprintf("mkfs: emission at %d, planned %d", out.pos(), off))
	}
}

func (e *emitter) inode(i int, n *tree.Node) error {
	it := &e.items[i]
	start := e.origin + int64(it.nid)*disk.SlotSize
	if gap := start - e.ino.pos(); gap > 0 {
		e.ino.zero(gap)
	}
	e.at(e.ino, start)
	in, err := e.fields(i, n)
	if err != nil {
		return err
	}
	e.buf = in.append(e.buf[:0], it.shape&extended != 0)
	if it.icount != 0 {
		head := len(e.buf)
		list, print := e.w.attributes(n)
		if e.buf, err = e.x.area(e.buf, list, print, e.sharedBase()); err != nil {
			return err
		}
		if int64(len(e.buf)-head) != disk.XattrAreaSize(it.icount) {
			panic("mkfs: xattr area does not have the planned length")
		}
	}
	if c, ok := n.Content.(*place); ok && c.comp != nil && n.IsRegular() {
		if e.buf, err = e.w.comp.appendIndex(e.buf, c, it.form); err != nil {
			return err
		}
	}
	if it.shape&inPacked != 0 {
		e.buf = appendPackedIndex(e.buf, it.block)
	}
	if it.shape&inline != 0 {
		if err := e.inlineTail(i, n); err != nil {
			return err
		}
	}
	e.ino.write(e.buf)
	if c, ok := n.Content.(*place); ok && c.chunk != nil && n.IsRegular() {
		e.chunkIndex(c)
	}
	return nil
}

// sharedBase returns what to add to the id of a shared xattr: ids count from xattr_blkaddr.
func (e *emitter) sharedBase() uint32 {
	if e.boxed {
		return 0 // from the beginning of the metabox
	}
	return uint32((e.base - e.xattrBlock<<e.w.bits) / disk.XattrAlign)
}

// inlineTail appends the tail of a directory, symbolic link or regular file to buf.
func (e *emitter) inlineTail(i int, n *tree.Node) error {
	switch n.Type() {
	case tree.TypeSymlink:
		e.buf = append(e.buf, n.Target...)
	case tree.TypeRegular:
		c := n.Content.(*place)
		t, err := e.w.tails.get(c.tail, int(c.tailN))
		if err != nil {
			return err
		}
		e.buf = append(e.buf, t...)
	case tree.TypeDir:
		d := e.encoder(i)
		head := len(e.buf)
		for range e.items[i].size>>e.w.bits + 1 {
			e.buf = d.block(e.buf[:head], e.w.bs)
		}
	}
	return nil
}

// dirBlocks writes the blocks of a directory that are not behind its inode.
func (e *emitter) dirBlocks(i int) {
	size := e.items[i].size
	if e.items[i].shape&inPacked != 0 {
		return
	}
	full := size >> e.w.bits
	if size&(e.w.bs-1) > 0 && e.items[i].shape&inline == 0 {
		full++
	}
	if full == 0 {
		return
	}
	e.at(e.out, (e.dirBlock+e.items[i].block)<<e.w.bits)
	d := e.encoder(i)
	for range full {
		e.buf = d.block(e.buf[:0], e.w.bs)
		e.out.write(e.buf)
		e.out.align(e.w.bs)
	}
}

// lateContent writes a long symbolic link, or a file whose tail did not fit behind its inode.
func (e *emitter) lateContent(n *tree.Node) error {
	if n.Type() == tree.TypeSymlink {
		e.out.write([]byte(n.Target))
	} else {
		r := io.NewSectionReader(n.Content, 0, n.Size)
		buf := make([]byte, min(n.Size, 64<<10))
		if _, err := io.CopyBuffer(writerOnly{e.out}, r, buf); err != nil {
			return err
		}
	}
	e.out.align(e.w.bs)
	return nil
}

type writerOnly struct{ o *output }

func (w writerOnly) Write(b []byte) (int, error) { w.o.write(b); return len(b), nil }

// fields computes what the inode says.
func (e *emitter) fields(i int, n *tree.Node) (*inodeFields, error) {
	it := &e.items[i]
	in := &inodeFields{icount: it.icount, mode: n.Mode, nlink: max(n.Links(), 1), ino: uint32(i + 1)}
	if e.boxed {
		in.ino = 0 // it compresses better, and Linux makes its own from the NID
	}
	in.uid, in.gid = e.w.owner(n)
	in.sec, in.nsec = e.w.time(n)
	if e.boxed && it.shape&extended == 0 && e.hasCompactTime(in.sec, in.nsec) {
		in.later = uint32(in.sec - e.epoch)
	}
	in.layout = disk.FlatPlain
	if it.shape&inline != 0 {
		in.layout = disk.FlatInline
	}
	switch n.Type() {
	case tree.TypeChar, tree.TypeBlock:
		in.u = n.Rdev
	case tree.TypeDir:
		in.size = it.size
		if it.shape&inPacked != 0 {
			in.layout = compress.FormFragment.Layout()
			break
		}
		in.setBlock(e.dirBlock+it.block, it.size >= e.w.bs || it.shape&inline == 0)
	case tree.TypeSymlink:
		in.size = int64(len(n.Target))
		in.setBlock(e.lateBlock+it.block, it.shape&late != 0)
	case tree.TypeRegular:
		in.size = n.Size
		c := n.Content.(*place)
		switch {
		case c.chunk != nil:
			in.layout = disk.ChunkBased
			in.u = uint32(disk.ChunkIndexes) | uint32(c.chunk.bits)
			if e.wide {
				in.u |= uint32(disk.Chunk48Bit)
			}
		case c.comp != nil:
			in.layout, in.u = it.form.Layout(), uint32(c.comp.blocks)
		case it.shape&late != 0:
			in.setBlock(e.lateBlock+it.block, true)
		case c.device != 0:
			in.setBlock(e.w.behind(e.end, int(c.device)-1)+c.block, true)
		default:
			in.setBlock(c.block, c.blocksOf() > 0)
		}
	}
	if in.wide != 0 && !e.wide {
		return nil, fmt.Errorf("mkfs: block address beyond 32 bits without the 48-bit layout")
	}
	return in, nil
}

// inodeFields is what both forms of inodes hold.
type inodeFields struct {
	layout   disk.Layout
	icount   uint16
	mode     uint32
	wide     uint16 // startblk_hi
	u        uint32
	size     int64
	uid, gid uint32
	nlink    uint32
	sec      int64
	nsec     uint32
	later    uint32 // of a compact inode: seconds behind the epoch
	ino      uint32
}

// setBlock sets the start block; without blocks it is "none", which readers ignore for lack of data.
func (in *inodeFields) setBlock(block int64, have bool) {
	if !have {
		in.u = math.MaxUint32
		if in.size == 0 {
			in.u = 0
		}
		return
	}
	in.u, in.wide = uint32(block), uint16(block>>32)
}

func (in *inodeFields) append(b []byte, ext bool) []byte {
	if !ext {
		c := disk.InodeCompact{
			Format: disk.MakeFormat(false, in.layout), XattrICount: in.icount, Mode: uint16(in.mode),
			Mtime: in.later, Nb: uint16(in.nlink), Size: uint32(in.size), U: in.u, Ino: in.ino,
			UID: uint16(in.uid), GID: uint16(in.gid),
		}
		b = append(b, make([]byte, disk.InodeCompactSize)...)
		c.Encode((*[disk.InodeCompactSize]byte)(b[len(b)-disk.InodeCompactSize:]))
		return b
	}
	x := disk.InodeExtended{
		Format: disk.MakeFormat(true, in.layout), XattrICount: in.icount, Mode: uint16(in.mode),
		Nb: in.wide, Size: uint64(in.size), U: in.u, Ino: in.ino, UID: in.uid, GID: in.gid,
		Mtime: in.sec, MtimeNsec: in.nsec, Nlink: in.nlink,
	}
	b = append(b, make([]byte, disk.InodeExtendedSize)...)
	x.Encode((*[disk.InodeExtendedSize]byte)(b[len(b)-disk.InodeExtendedSize:]))
	return b
}

// chunkIndex writes the chunk array of a file behind its inode and xattrs.
func (e *emitter) chunkIndex(p *place) {
	e.ino.zero(-e.ino.pos() & (disk.ChunkIndexSize - 1))
	next, count := int64(0), (p.size-1)>>(p.chunk.bits+e.w.bits)+1
	var b [disk.ChunkIndexSize]byte
	put := func(c disk.ChunkIndex) {
		c.Encode(&b)
		e.ino.write(b[:])
		next++
	}
	for _, r := range p.chunk.runs {
		for next < r.first {
			put(disk.HoleIndex())
		}
		device := e.w.deviceID(r.device)
		for k := range r.count {
			block := r.block + k<<p.chunk.bits
			put(disk.ChunkIndex{StartHi: uint16(block >> 32), StartLo: uint32(block), DeviceID: device})
		}
	}
	for next < count {
		put(disk.HoleIndex())
	}
}
