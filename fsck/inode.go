package fsck

import (
	"github.com/laminafs/lamina/internal/disk"
	"github.com/laminafs/lamina/internal/image"
)

// Type bits of modes, as in inode(7).
const (
	typeMask    = 0o170000
	typeDir     = 0o040000
	typeRegular = 0o100000
	typeSymlink = 0o120000
)

// observeEvery is how many inodes pass between two calls of Observe.
const observeEvery = 4096

// inode checks the inode of c.where with everything that belongs to it, but the entries of a
// directory. It tells whether in says truly what kind of file it is.
func (c *checker) inode(nid uint64) (in image.Inode, ok bool) {
	c.where.gen++
	off, ok := c.inodeOff(nid)
	if !ok || c.err != nil {
		return in, false
	}
	if c.rep.Stats.Inodes++; c.rep.Stats.Inodes%observeEvery == 0 {
		c.observe(PhaseInodes)
	}
	in, ok, err := c.head(nid, off)
	if !ok {
		return in, false
	}
	c.claimMeta(c.meta(nid), off, in.HeadSize(), KindInode)
	c.times(&in)
	c.ino(&in)
	c.xattrArea(&in)
	if err != nil {
		return in, false
	}
	c.rep.Stats.countInode(&in, c.where.dir >= 0)
	c.body(&in)
	return in, true
}

// inodeOff returns where an inode is, if it is in the image.
func (c *checker) inodeOff(nid uint64) (off int64, ok bool) {
	switch {
	case nid&disk.MetaboxNID == 0:
	case c.sb.Incompat&disk.HasMetabox == 0:
		c.add(InodeMetabox, -1, nid, "the image has no metabox")
		return 0, false
	case c.box == 0: // reported with the metabox itself
		c.missed.metabox++
		c.partial = true
		return 0, false
	}
	d := c.meta(nid)
	off, err := c.im.InodeOff(nid)
	if err != nil || !c.within(d, off, disk.InodeCompactSize) {
		c.add(InodeRange, -1, nid, "the image or metabox ends at %d", c.space[d].size)
		return 0, false
	}
	return off, true
}

// head checks the 32 or 64 bytes of an inode. ok tells whether it can be interpreted at all, err what
// the reader says to it.
func (c *checker) head(nid uint64, off int64) (in image.Inode, ok bool, err error) {
	d := c.meta(nid)
	b := c.read(d, off, disk.InodeCompactSize, "inode")
	if b == nil {
		return in, false, nil
	}
	format := disk.Format(uint16(b[0]) | uint16(b[1])<<8)
	if odd := format &^ disk.FormatKnown; odd != 0 {
		c.add(InodeFormat, off, hex(odd), "unknown bits of i_format")
		return in, false, nil
	}
	if format.Layout() > disk.ChunkBased {
		c.add(InodeFormat, off, uint8(format.Layout()), "unknown layout")
		return in, false, nil
	}
	if format.Extended() && !c.within(d, off, disk.InodeExtendedSize) {
		c.add(InodeRange, off, nid, "an extended inode of 64 bytes; the image ends at %d", c.space[d].size)
		return in, false, nil
	}
	if in, err = c.im.Inode(nid); in.Format != format {
		c.fail(d, off, err)
		return in, false, nil
	}
	if format.Extended() {
		c.extended(d, off)
	} else {
		c.compact(off, &in, (*[disk.InodeCompactSize]byte)(b))
	}
	if in.Size < 0 {
		c.add(InodeSize, off+8, uint64(in.Size), "i_size has its top bit set")
	}
	if disk.FileTypeOf(uint32(in.Mode)) == disk.FileUnknown {
		c.add(InodeMode, off+4, octal(in.Mode), "no file type")
	}
	if bad := in.Chunk &^ disk.ChunkKnown; bad != 0 {
		c.add(ChunkFormatBad, off+0x10, hex(bad), "unknown bits of the chunk format")
	}
	return in, true, err
}

func (c *checker) compact(off int64, in *image.Inode, b *[disk.InodeCompactSize]byte) {
	var d disk.InodeCompact
	d.Decode(b)
	if d.Reserved != 0 {
		c.add(InodeReserved, off+0x1C, hex(d.Reserved), "must be 0")
	}
	if d.Mtime != 0 && !c.has48() {
		c.add(InodeTime, off+0x0C, d.Mtime, "i_mtime without 48BIT: Linux adds it to the epoch since 6.15 only")
	}
	if d.Format&disk.FormatNlink1 != 0 && !c.has48() {
		c.once("nlink1", SuperFeature, off, hex(d.Format), "NLINK_1 or DOT_OMITTED without 48BIT")
	}
	c.chunkFeature(in, off, d.U)
}

func (c *checker) extended(device int, off int64) {
	b := c.read(device, off, disk.InodeExtendedSize, "inode")
	if b == nil {
		return
	}
	var d disk.InodeExtended
	d.Decode((*[disk.InodeExtendedSize]byte)(b))
	if !isZero(d.Reserved[:]) {
		c.add(InodeReserved, off+0x30, nil, "bytes that must be 0")
	}
	if d.Nb != 0 && !c.has48() {
		c.once("nb", SuperFeature, off+6, d.Nb, "high address bits without 48BIT")
	}
	isDir := d.Mode&typeMask == typeDir
	if d.Format&disk.FormatDotOmitted != 0 && isDir && !c.has48() {
		c.once("nlink1", SuperFeature, off, hex(d.Format), "DOT_OMITTED without 48BIT")
	}
	if d.Format&disk.FormatNlink1 != 0 && !isDir {
		c.add(InodeReserved, off, hex(d.Format), "bit 4 of i_format means nothing in an extended inode of no directory")
	}
	if d.Format.Layout() == disk.ChunkBased {
		c.chunkFeature(&image.Inode{Format: d.Format}, off, d.U)
	}
}

// chunkFeature checks what makes a chunk-based inode: the feature bit and the unused half of i_u.
func (c *checker) chunkFeature(in *image.Inode, off int64, u uint32) {
	if in.Layout() != disk.ChunkBased {
		return
	}
	if c.sb.Incompat&disk.HasChunkedFile == 0 {
		c.once("chunk", SuperFeature, off, in.Layout(), "chunk-based inodes without CHUNKED_FILE")
	}
	if u>>16 != 0 {
		c.add(InodeReserved, off+0x12, hex(u>>16), "must be 0")
	}
	if disk.ChunkFormat(u)&disk.Chunk48Bit != 0 && !c.has48() {
		c.once("chunk48", SuperFeature, off+0x10, hex(u), "48-bit chunks without 48BIT")
	}
}

func (c *checker) has48() bool { return c.sb.Incompat&disk.Has48Bit != 0 }

func (c *checker) times(in *image.Inode) {
	if in.Format.Extended() && in.Nsec >= second {
		c.add(InodeTime, in.Off+0x28, in.Nsec, "i_mtime_nsec: a second has 1000000000")
	}
}

// ino checks the serial number for 32-bit programs. It is a note: Linux makes its own from the NID.
func (c *checker) ino(in *image.Inode) {
	if in.Ino == 0 && in.NID&disk.MetaboxNID != 0 {
		return // it is left out where it would cost: no such number compresses better
	}
	if !c.inos.add(uint64(in.Ino)) || in.Ino == 0 {
		c.once("ino", InodeIno, in.Off+0x14, in.Ino, "zero, or another inode has it; it is not the only one")
	}
}

// body checks what follows the xattrs of an inode, and where its data is.
func (c *checker) body(in *image.Inode) {
	switch in.Mode & typeMask {
	case typeDir, typeRegular:
	case typeSymlink:
		if in.Size == 0 || in.Size > maxTarget {
			c.add(SymlinkSize, in.Off+8, in.Size, "a target has 1 to %d bytes", maxTarget)
		}
	default:
		if in.Size != 0 || in.Layout() != disk.FlatPlain {
			c.add(InodeSpecial, in.Off, in.Size, "bytes in layout %v; this type of file has no data", in.Layout())
		}
		return
	}
	switch in.Layout() {
	case disk.FlatPlain, disk.FlatInline:
		c.flat(in)
	case disk.ChunkBased:
		c.chunkArray(in)
	default:
		c.compressed(in)
	}
	if in.IsSymlink() {
		c.target(in)
	}
}
