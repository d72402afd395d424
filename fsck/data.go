package fsck

import (
	"bytes"
	"slices"

	"github.com/laminafs/lamina/internal/disk"
	"github.com/laminafs/lamina/internal/image"
)

const (
	// maxTarget is the longest target of a symbolic link: PATH_MAX of Linux less the NUL.
	maxTarget = 4095
	// chunkBatch is how many chunk entries are read at a time; more do not make it faster.
	chunkBatch = 4096
	// minZeroRun is how many entries of zero in a row are no chunk array but a hole of a sparse file: no
	// file has its data on the superblock that often.
	minZeroRun = 256
	// maxBadChunks is how many bad chunks of a file are reported before the rest is given up.
	maxBadChunks = 64
	// maxIndex bounds the bytes of compression indexes that are claimed in an image. They are not read
	// yet, so in a sparse file they could cost more memory than the image has bytes.
	maxIndex = 1 << 30
)

// flat checks a file in one run of blocks with or without an inline tail (section 2.1). Data of a
// directory is claimed when its entries are read.
func (c *checker) flat(in *image.Inode) {
	if in.Size == 0 {
		if in.Layout() == disk.FlatInline {
			c.add(InodeSpecial, in.Off, in.Layout(), "layout of an empty file")
		}
		return
	}
	tail := c.tailLen(in)
	if tail > 0 {
		c.tail(in, tail)
	}
	if in.Size == tail {
		return
	}
	e, err := c.im.Map(in, 0, in.Size)
	switch {
	case err != nil:
		c.unmapped(in, in.Start, err)
	case e.Kind == image.Hole:
		if !c.has48() {
			c.once("hole", SuperFeature, in.Off, nil, "a file that is one hole without 48BIT")
		}
		c.rep.Stats.Holes = addClamped(c.rep.Stats.Holes, e.Len)
	case e.Kind == image.Data:
		c.extent(in, e.Device, e.Pos, e.Len)
	}
}

// tailLen returns how many bytes of a file lie behind its inode.
func (c *checker) tailLen(in *image.Inode) int64 {
	if in.Layout() != disk.FlatInline || in.Size <= 0 {
		return 0
	}
	return (in.Size-1)&(c.bs-1) + 1
}

func (c *checker) tail(in *image.Inode, n int64) {
	off := in.BodyOff()
	if at := off & (c.bs - 1); at+n > c.bs {
		c.add(DataInline, off, n, "inline bytes cross a block boundary")
		return
	} else if at == 0 {
		c.add(DataTail, off, n, "inline bytes are in another block than the end of their inode")
	}
	if !c.within(0, off, n) {
		c.add(DataRange, off, n, "inline bytes; the image ends at %d", c.space[0].size)
		return
	}
	kind := KindInline
	if in.IsDir() {
		kind = KindDirents
	}
	c.claimMeta(0, off, n, kind)
}

// unmapped reports blocks that are on no device.
func (c *checker) unmapped(in *image.Inode, block uint64, err error) {
	if isCorrupt(err) {
		c.add(DataRange, in.Off+0x10, block, "%s", why(err))
		return
	}
	c.missed.absent++
}

// extent checks and claims n bytes of the data of a file.
func (c *checker) extent(in *image.Inode, device int, off, n int64) {
	size := c.space[device].size
	if device == 0 && off >= size && c.isAbsent(uint64(off>>c.bits)) {
		c.missed.absent++
		return
	}
	switch end := off + n; {
	case !c.within(device, off, n):
		c.addAt(c.where, DataRange, device, off, n, "bytes of data; the device ends at %d", size)
		n = max(min(end, size)-off, 0)
	case end > size&^(c.bs-1):
		c.addAt(c.where, DataShortBlock, device, off, n, "bytes of data; the last block of the device is short")
	}
	if !in.IsDir() {
		c.claimData(device, off, n)
	}
}

// isAbsent tells whether a block beyond the end of the image belongs to a device that was not given.
func (c *checker) isAbsent(block uint64) bool { return c.absent[c.im.UnifiedDevice(block)] }

// chunkArray checks the chunk array of a file and every chunk (section 6).
func (c *checker) chunkArray(in *image.Inode) {
	array, n := c.im.Chunks(in)
	unit := in.Chunk.EntrySize()
	if room := max(c.space[0].size-array, 0) / unit; n > room {
		c.add(ChunkArray, array, n, "entries of %d bytes; the image ends at %d", unit, c.space[0].size)
		n = room
	}
	if most := int(min(n, chunkBatch)); cap(c.chunks) < most {
		c.chunks = make([]disk.ChunkIndex, 0, most)
	}
	bad := 0
	for nr := int64(0); nr < n; {
		off := array + nr*unit
		if c.space[0].meta.has(uint64(off) / granule) {
			c.claimMeta(0, off, unit, KindChunks) // reports it
			return
		}
		entries, err := c.im.ChunkEntries(in, nr, c.chunks[:0:min(n-nr, chunkBatch)])
		if err != nil {
			c.fail(0, off, err)
			return
		}
		if !c.claimMeta(0, off, int64(len(entries))*unit, KindChunks) {
			return
		}
		if len(entries) >= minZeroRun && !slices.ContainsFunc(entries, func(e disk.ChunkIndex) bool { return e != disk.ChunkIndex{} }) {
			c.add(ChunkArray, off, n-nr, "entries are left out: at least %d are zero, so this is a hole of the file", len(entries))
			return
		}
		for k := range entries {
			if !c.chunk(in, nr+int64(k), &entries[k]) {
				if bad++; bad == maxBadChunks {
					c.add(DataRange, array, n-nr, "entries of the chunk array are left out after %d bad ones", bad)
					return
				}
			}
		}
		nr += int64(len(entries))
	}
}

// chunk checks chunk nr of a file and tells whether its data can be read.
func (c *checker) chunk(in *image.Inode, nr int64, entry *disk.ChunkIndex) bool {
	bits := c.im.ChunkBits(in)
	n := min(int64(1)<<bits, in.Size-nr<<bits)
	c.rep.Stats.Chunks++
	block, hole := entry.Block(in.Chunk)
	if hole {
		c.rep.Stats.Holes = addClamped(c.rep.Stats.Holes, n)
		return true
	}
	device := c.im.DeviceOf(entry.DeviceID)
	if device >= len(c.space) {
		c.add(DataDevice, in.BodyOff(), entry.DeviceID, "device of chunk %d; the image has %d extra devices", nr, len(c.space)-1)
		return false
	}
	if c.absent[device] {
		c.missed.absent++
		return true
	}
	errors := c.rep.Errors
	if e, err := c.im.Chunk(in, entry); err != nil {
		c.unmapped(in, block, err)
	} else {
		c.extent(in, e.Device, e.Pos, n)
	}
	return c.rep.Errors == errors
}

// target checks that the target of a symbolic link is what it says: Linux cuts it at a NUL.
func (c *checker) target(in *image.Inode) {
	if in.Size > maxTarget || isCompressed(in) {
		return
	}
	for off := int64(0); off < in.Size; {
		e, err := c.im.Map(in, off, in.Size-off)
		if err != nil || e.Kind != image.Hole && !c.within(e.Device, e.Pos, e.Len) {
			return // reported where it was claimed
		}
		if e.Kind == image.Hole {
			c.add(SymlinkTarget, in.Off, nil, "the target has a hole")
			return
		}
		b := c.read(e.Device, e.Pos, e.Len, "symbolic link")
		if b == nil {
			return
		}
		if bytes.IndexByte(b, 0) >= 0 {
			c.addAt(c.where, SymlinkTarget, e.Device, e.Pos, b, "the target has a NUL")
			return
		}
		off += e.Len
	}
}

func isCompressed(in *image.Inode) bool {
	return in.Layout() == disk.CompressedFull || in.Layout() == disk.CompressedCompact
}

// compressed checks the map header of a compressed file and claims its index; what the index says is
// not checked yet (section 7.3).
func (c *checker) compressed(in *image.Inode) {
	if in.IsDir() {
		c.missed.dirs++
		c.partial = true
	} else if in.IsSymlink() {
		c.missed.links++
	} else {
		c.missed.files++
	}
	off := disk.Align(in.BodyOff(), disk.MapHeaderSize)
	if !c.within(0, off, disk.MapHeaderSize) {
		c.add(CompressedHeader, off, nil, "the map header is beyond the end at %d", c.space[0].size)
		return
	}
	b := c.read(0, off, disk.MapHeaderSize, "map header")
	if b == nil {
		return
	}
	var h disk.MapHeader
	h.Decode((*[disk.MapHeaderSize]byte)(b))
	if _, whole := h.WholeFragment(); whole {
		c.claimMeta(0, off, disk.MapHeaderSize, KindIndex)
		c.fragment(in, off)
		return
	}
	n, ok := c.mapHeader(in, &h, off)
	if !ok {
		c.claimMeta(0, off, disk.MapHeaderSize, KindIndex)
	} else if !c.within(0, off, n) {
		c.add(CompressedHeader, off, n, "bytes of index; the image ends at %d", c.space[0].size)
	} else {
		n = min(n, maxIndex-c.rep.Stats.IndexBytes)
		c.claimMeta(0, off, max(n, disk.MapHeaderSize), KindIndex)
	}
}

// fragment checks that there is a packed inode for a file that lies in it.
func (c *checker) fragment(in *image.Inode, off int64) {
	if c.sb.Incompat&disk.HasFragments == 0 || c.packed == 0 {
		c.add(CompressedHeader, off, nil, "the file lies in a packed inode that the image lacks")
	} else if in.NID == c.packed {
		c.add(SuperPacked, off, nil, "the packed inode lies in itself")
	}
}

// mapHeader checks a map header at off and returns how long it is with its index and inline tail.
func (c *checker) mapHeader(in *image.Inode, h *disk.MapHeader, off int64) (n int64, ok bool) {
	l := in.Layout()
	if odd := h.Advise &^ disk.AdviseKnown; odd != 0 && !h.Advise.UsesExtents(l) {
		c.add(CompressedHeader, off+4, hex(odd), "unknown bits of h_advise")
	}
	if h.Advise&disk.AdviseFragment != 0 {
		c.fragment(in, off)
	}
	if h.Advise.UsesExtents(l) && h.Advise.RecordSize() >= disk.Extent16Size {
		start, r := disk.Align(off+disk.MapHeaderSize, h.Advise.RecordSize()), h.Advise.RecordSize()
		count := h.ExtentCount()
		if count > uint64(c.space[0].size/r) {
			c.add(CompressedHeader, off, count, "extents of %d bytes do not fit the image", r)
			return 0, false
		}
		return start + int64(count)*r - off, true
	}
	if a := h.Head1(); !h.Advise.UsesExtents(l) && !c.sb.Algorithms().Has(a) {
		c.add(CompressedHeader, off+6, a, "the superblock does not have this algorithm")
	}
	bits := h.LclusterBits(c.bits)
	if l == disk.CompressedCompact && bits > disk.CompactMaxLclusterBits {
		c.add(CompressedHeader, off+7, bits, "lclusterbits of a compact index are at most 14")
		return 0, false
	}
	total := (in.Size + 1<<bits - 1) >> bits
	if in.Size > c.maxCompressed(bits) {
		c.add(CompressedHeader, in.Off+8, in.Size, "the index of a file of this size does not fit the image")
		return 0, false
	}
	return c.indexLen(h, l, off, total), true
}

// maxCompressed bounds the size of a file whose index of at least a byte for every lcluster is in the
// image: it keeps sums below 1<<63.
func (c *checker) maxCompressed(lclusterBits uint8) int64 {
	return clamp(uint64(min(c.space[0].size, 1<<30)) << lclusterBits)
}

// indexLen returns the length of a map header at off with the index of total lclusters behind it.
func (c *checker) indexLen(h *disk.MapHeader, l disk.Layout, off, total int64) int64 {
	start, size := off+disk.MapHeaderSize, int64(0)
	switch {
	case h.Advise.UsesExtents(l):
		r := h.Advise.RecordSize()
		if start = disk.Align(start, r); r == disk.Extent4Size {
			start += disk.ExtentBaseSize
		}
		return start + total*r - off
	case l == disk.CompressedFull:
		start, size = start+disk.FullIndexPad, total*disk.LclusterSize
	default:
		size = disk.ShapeCompact(start, uint64(total), h.Advise&disk.AdviseCompacted2B != 0).Size()
	}
	if h.Advise&disk.AdviseInline != 0 {
		size += int64(h.IdataSize())
	}
	return start + size - off
}
