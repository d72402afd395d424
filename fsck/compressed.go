package fsck

import (
	"bytes"
	"errors"
	"math"
	"slices"

	"github.com/laminafs/lamina/internal/disk"
	"github.com/laminafs/lamina/internal/image"
	"github.com/laminafs/lamina/internal/zmap"
)

const (
	// maxIndex bounds the bytes of indexes that are looked at: in a sparse file they cost no space. It is enough
	// for half a terabyte in blocks of 4 KiB.
	maxIndex = 1 << 30
	// maxRatio is how many times as large as the image its directories may be if they are compressed: a few
	// bytes can stand for megabytes of entries. Those of real images shrink to a tenth at most.
	maxRatio = 64
	// minDecoded is what any image may have.
	minDecoded = 1 << 20
)

// compressed checks the index of a compressed inode, every entry of it, and claims what it leads to
// (sections 7.3 to 7.7).
func (c *checker) compressed(in *image.Inode) {
	d := c.meta(in.NID)
	off := disk.Align(in.BodyOff(), disk.MapHeaderSize)
	if !c.within(d, off, disk.MapHeaderSize) {
		c.add(CompressedHeader, off, nil, "the map header is beyond the end at %d", c.space[d].size)
		return
	}
	m, err := c.im.CompressedMap(in)
	if err != nil {
		c.claimMeta(d, off, disk.MapHeaderSize, KindIndex)
		c.object(CompressedHeader, d, off, err)
		return
	}
	h, _ := m.Header()
	c.mapHeader(in, &h, off)
	switch n := m.IndexEnd() - off; {
	case n < 0 || !c.within(d, off, n):
		c.claimMeta(d, off, disk.MapHeaderSize, KindIndex)
		c.add(CompressedHeader, off, max(n, 0), "bytes of index; the image ends at %d", c.space[d].size)
	case n > maxIndex-c.rep.Stats.IndexBytes:
		c.claimMeta(d, off, disk.MapHeaderSize, KindIndex)
		c.missed.indexes++
	case c.claimMeta(d, off, n, KindIndex): // else two files have one index
		c.index(in, m, d)
	}
}

// mapHeader checks what a reader ignores.
func (c *checker) mapHeader(in *image.Inode, h *disk.MapHeader, off int64) {
	if _, whole := h.WholeFragment(); whole {
		return
	}
	if odd := h.Advise &^ disk.AdviseKnown; odd != 0 && !h.Advise.UsesExtents(in.Layout()) {
		c.add(CompressedHeader, off+4, hex(odd), "unknown bits of h_advise")
	}
	if h.Advise.UsesExtents(in.Layout()) && !c.has48() {
		c.once("extents", SuperFeature, off+4, hex(h.Advise), "encoded extents without 48BIT")
	}
}

// object reports what the reader objects to.
func (c *checker) object(code Code, device int, off int64, err error) {
	var f *disk.FormatError
	switch {
	case errors.As(err, &f):
		c.addAt(c.where, code, device, f.Off, f.Got, "%s: %s", f.Field, f.Why)
	case errors.Is(err, errors.ErrUnsupported):
		c.addAt(c.where, code, device, off, nil, "%v: EOPNOTSUPP", err)
	default:
		c.fail(device, off, err)
	}
}

// index checks the extents that an index means, and then its entries one by one.
func (c *checker) index(in *image.Inode, m *zmap.Map, device int) {
	bad, said := 0, ""
	report := func(err error) bool {
		if said == err.Error() {
			return true // by both passes
		}
		said = err.Error()
		c.object(CompressedIndex, device, in.BodyOff(), err)
		if bad++; bad == maxBadChunks {
			c.add(CompressedIndex, in.BodyOff(), nil, "the rest of the index is left out after %d bad entries", bad)
		}
		return bad < maxBadChunks
	}
	for e, err := range m.From(0) {
		if bad >= maxBadChunks || err != nil && !report(err) || c.err != nil {
			return
		}
		if err == nil && !c.encoded(in, device, &e) {
			bad++
		}
	}
	m.Check(report)
}

// encoded checks and claims an extent of a compressed file, and tells whether nothing is wrong with it.
func (c *checker) encoded(in *image.Inode, device int, z *zmap.Extent) bool {
	errors := c.rep.Errors
	switch {
	case z.Kind == zmap.Hole:
		c.rep.Stats.Holes = addClamped(c.rep.Stats.Holes, z.Len)
	case z.Kind == zmap.Fragment:
		c.fragment(in, z)
	case z.Inline:
		c.rep.Stats.Pclusters++
		if !c.within(device, z.Pos, z.PLen) {
			c.add(DataRange, z.Pos, z.PLen, "bytes of an inline pcluster; the image ends at %d", c.space[device].size)
			break
		}
		c.claimMeta(device, z.Pos, z.PLen, KindInline)
		c.decode(in, z, device, z.Pos)
	default:
		c.rep.Stats.Pclusters++
		e, err := c.im.Encoded(in, z)
		if err != nil {
			c.unmapped(in, uint64(z.Pos>>c.bits), err)
			break
		}
		if c.absent[e.Device] {
			c.missed.absent++
			break
		}
		if e.Device == 0 && e.Pos < disk.SuperOffset+disk.SuperSize { // mostly the index is a hole of the file
			c.add(CompressedIndex, in.BodyOff(), e.Pos, "a pcluster on the superblock")
			break
		}
		if c.extent(in, e.Device, e.Pos, z.PLen); c.within(e.Device, e.Pos, z.PLen) {
			c.decode(in, z, e.Device, e.Pos)
		}
	}
	return c.rep.Errors == errors
}

// fragment checks that the packed inode has what a file wants of it (section 7.7).
func (c *checker) fragment(in *image.Inode, z *zmap.Extent) {
	c.rep.Stats.Fragments++
	packed, err := c.im.Packed()
	switch {
	case err != nil: // reported with the packed inode
	case packed == nil:
		c.add(FragmentRange, in.BodyOff(), z.Pos, "the file lies in a packed inode that the image lacks")
	case in.NID == packed.NID:
		c.add(SuperPacked, in.BodyOff(), z.Pos, "the packed inode lies in itself")
	case z.Pos > packed.Size-z.Len:
		c.add(FragmentRange, in.BodyOff(), z.Pos, "%d bytes there; the packed inode ends at %d", z.Len, packed.Size)
	}
}

// decodedBlocks is blocks for a compressed directory.
func (c *checker) decodedBlocks(s *dirScan) (complete bool) {
	complete = true
	limit := max(minDecoded, maxRatio*min(c.space[0].size, math.MaxInt64/maxRatio))
	for off := int64(0); off < s.in.Size && c.err == nil; off += c.bs {
		n := min(c.bs, s.in.Size-off)
		s.lastBlock = off+n == s.in.Size
		if c.decoded += n; c.decoded > limit {
			c.once("directories", DirBlock, s.in.Off, c.decoded, "bytes of compressed directories: more than 64 times the image, the rest is left out")
			return false
		}
		c.buf = slices.Grow(c.buf[:0], int(n))[:n]
		if err := c.im.ReadAt(s.in, c.buf, off); err != nil {
			c.undecoded(s.in, err)
			return false
		}
		if !c.dirents(s, nowhere, off, c.buf) {
			complete = false
			if s.bad++; s.bad == maxBadBlocks {
				c.add(DirBlock, s.in.Off, s.in.Size-off, "bytes of the directory are left out after %d bad blocks", s.bad)
				return false
			}
		}
	}
	return complete
}

// decodedTarget is target for a compressed symbolic link.
func (c *checker) decodedTarget(in *image.Inode) {
	b := make([]byte, in.Size)
	if err := c.im.ReadAt(in, b, 0); err != nil {
		c.undecoded(in, err)
	} else if bytes.IndexByte(b, 0) >= 0 {
		c.add(SymlinkTarget, in.Off, b, "the target has a NUL")
	}
}

// undecoded reports metadata that cannot be decoded. A damaged index was reported before.
func (c *checker) undecoded(in *image.Inode, err error) {
	if _, e := c.im.CompressedMap(in); e != nil {
		c.known(in.Off, err)
		return
	}
	c.object(CompressedData, nowhere, in.Off, err)
}
