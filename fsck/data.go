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
	d := c.meta(in.NID)
	if !c.within(d, off, n) {
		c.add(DataRange, off, n, "inline bytes; the image ends at %d", c.space[d].size)
		return
	}
	kind := KindInline
	if in.IsDir() {
		kind = KindDirents
	}
	c.claimMeta(d, off, n, kind)
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
	if !in.IsDir() || in.Compressed() {
		c.claimData(device, off, n)
	}
}

// isAbsent tells whether a block beyond the end of the image belongs to a device that was not given.
func (c *checker) isAbsent(block uint64) bool { return c.absent[c.im.UnifiedDevice(block)] }

// chunkArray checks the chunk array of a file and every chunk (section 6).
func (c *checker) chunkArray(in *image.Inode) {
	array, n := c.im.Chunks(in)
	unit, d := in.Chunk.EntrySize(), c.meta(in.NID)
	if room := max(c.space[d].size-array, 0) / unit; n > room {
		c.add(ChunkArray, array, n, "entries of %d bytes; the image ends at %d", unit, c.space[d].size)
		n = room
	}
	if most := int(min(n, chunkBatch)); cap(c.chunks) < most {
		c.chunks = make([]disk.ChunkIndex, 0, most)
	}
	bad := 0
	for nr := int64(0); nr < n; {
		off := array + nr*unit
		if c.space[d].meta.has(uint64(off) / granule) {
			c.claimMeta(d, off, unit, KindChunks) // reports it
			return
		}
		entries, err := c.im.ChunkEntries(in, nr, c.chunks[:0:min(n-nr, chunkBatch)])
		if err != nil {
			c.fail(d, off, err)
			return
		}
		if !c.claimMeta(d, off, int64(len(entries))*unit, KindChunks) {
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
	if device >= len(c.im.Devices) {
		c.add(DataDevice, in.BodyOff(), entry.DeviceID, "device of chunk %d; the image has %d extra devices", nr, len(c.im.Devices)-1)
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
	if in.Size > maxTarget {
		return
	}
	if in.Compressed() {
		c.decodedTarget(in)
		return
	}
	for off := int64(0); off < in.Size; {
		e, err := c.im.Map(in, off, in.Size-off)
		e.Device = c.device(e.Device)
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
