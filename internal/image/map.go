package image

import (
	"encoding/binary"
	"iter"
	"math"

	"github.com/laminafs/lamina/internal/disk"
)

// Kind tells how the bytes of an Extent are stored.
type Kind uint8

// The kinds of extents.
const (
	Hole    Kind = iota // no bytes, reads as zeros
	Data                // as they are, on a device
	Inline              // as they are, in the metadata behind the inode
	Encoded             // a pcluster, which has to be decoded; also one that stores its bytes
	Packed              // in the packed inode
)

// Extent is a run of bytes of an inode that is stored in one piece.
type Extent struct {
	Logical   int64 // offset in the file
	Len       int64 // never beyond the end of the file
	Pos       int64 // offset on the device or in the packed inode, 0 for a hole
	Stored    int64 // bytes on the device; 0 for a hole and what is packed
	Device    int   // index of Image.Devices or MetaboxDevice, 0 for a hole
	Algorithm disk.Algorithm
	Plain     bool // of Encoded: stored without any algorithm
	Kind      Kind
}

// mapBatch bounds the chunk entries that one Map looks at; the page they are in does so, too.
const mapBatch = 1 << 14

// Map returns the extent that holds byte off of the inode, 0 <= off < Size (erofs_map_blocks in
// fs/erofs/data.c). It starts at off. Of a chunk-based file it covers the chunks that follow on each
// other, but no more than want bytes ask for. It is not for compressed inodes, which have CompressedMap.
func (im *Image) Map(i *Inode, off, want int64) (Extent, error) {
	if off < 0 || off >= i.Size {
		return Extent{}, i.bad("offset", off, "outside the file")
	}
	switch i.Layout() {
	case disk.FlatPlain, disk.FlatInline:
		return im.mapFlat(i, off)
	case disk.ChunkBased:
		return im.mapChunks(i, off, want)
	}
	return Extent{}, i.bad("layout", i.Layout().String(), "has an index")
}

func (im *Image) mapFlat(i *Inode, off int64) (e Extent, err error) {
	e = Extent{Logical: off, Len: i.Size - off, Stored: i.Size - off}
	if i.Layout() == disk.FlatPlain && i.Start == disk.NullAddr48 {
		e.Stored = 0
		return e, nil
	}
	full := i.Size // what lies in blocks
	if i.Layout() == disk.FlatInline {
		full = (i.Size - 1) &^ (im.BlockSize() - 1)
	}
	if off >= full {
		e.Kind, e.Pos, e.Device = Inline, i.BodyOff()+off-full, MetaDevice(i.NID)
		if (i.BodyOff()&(im.BlockSize()-1))+i.Size-full > im.BlockSize() {
			return e, i.bad("inline data", i.Size-full, "crosses a block boundary")
		}
		return e, nil
	}
	e.Kind, e.Len, e.Stored = Data, full-off, full-off
	e.Device, e.Pos, err = im.locate(0, i.Start, off, e.Len)
	return e, i.at(err)
}

// at gives an error of locate its place.
func (i *Inode) at(err error) error {
	if f, ok := err.(*disk.FormatError); ok {
		return i.bad(f.Field, f.Got, f.Why)
	}
	return err
}

// ChunkBits returns log2 of the chunk size in bytes of a chunk-based inode, at most 47.
func (im *Image) ChunkBits(i *Inode) uint8 { return im.bits + i.Chunk.Bits() }

// Chunks returns where the chunk array of a chunk-based inode starts, and how many entries it has.
func (im *Image) Chunks(i *Inode) (off, n int64) {
	off = disk.Align(i.BodyOff(), i.Chunk.EntrySize())
	if i.Size > 0 {
		n = (i.Size-1)>>im.ChunkBits(i) + 1
	}
	return off, n
}

// ChunkEntries reads the chunk array from number nr on into dst[:cap(dst)], fewer at its end or before an
// entry that cannot be read, but at least one. 4-byte entries become 8-byte ones of device 0.
func (im *Image) ChunkEntries(i *Inode, nr int64, dst []disk.ChunkIndex) ([]disk.ChunkIndex, error) {
	dst = dst[:0]
	_, total := im.Chunks(i)
	for len(dst) < cap(dst) && (len(dst) == 0 || nr < total) {
		b, err := im.chunkBytes(i, nr, int64(cap(dst)-len(dst)))
		if err != nil {
			if len(dst) > 0 {
				break
			}
			return nil, err
		}
		for unit := int(i.Chunk.EntrySize()); len(b) > 0; b = b[unit:] {
			dst = append(dst, i.chunkEntry(b))
			nr++
		}
	}
	return dst, nil
}

func (im *Image) mapChunks(i *Inode, off, want int64) (Extent, error) {
	bits := im.ChunkBits(i)
	nr := off >> bits
	entries, err := im.chunkBytes(i, nr, min(max(want-1, 0)>>bits+2, mapBatch))
	if err != nil {
		return Extent{}, err
	}
	first := i.chunkEntry(entries)
	e, err := im.chunk(i, &first)
	if err != nil {
		return e, err
	}
	skip := off - nr<<bits
	if e.Kind == Data {
		e.Pos += skip
	}
	e.Logical, e.Len = off, 1<<bits-skip
	for unit := i.Chunk.EntrySize(); int64(len(entries)) > unit; {
		entries = entries[unit:]
		next := i.chunkEntry(entries)
		c, err := im.chunk(i, &next)
		if err != nil || !c.follows(&e) {
			break
		}
		e.Len += 1 << bits
	}
	if e.Len = min(e.Len, i.Size-off); e.Kind == Data {
		e.Stored = e.Len
	}
	return e, nil
}

// chunkBytes returns up to most entries of the chunk array from number nr on, at least one, as many as
// there are in one page of the cache.
func (im *Image) chunkBytes(i *Inode, nr, most int64) ([]byte, error) {
	array, total := im.Chunks(i)
	unit := i.Chunk.EntrySize()
	if nr < 0 || nr >= total || nr > (math.MaxInt64-array)/unit-1 {
		return nil, i.bad("chunk number", nr, "outside the file")
	}
	w, err := im.Meta(i.NID)
	if err != nil {
		return nil, err
	}
	at := array + nr*unit
	n := min(most, total-nr, w.room(at)/unit)
	b, err := w.Read(at, n*unit, "chunk array")
	if err != nil && n > 1 {
		return w.Read(at, unit, "chunk array")
	}
	return b, err
}

// chunkEntry decodes the first entry of b; a 4-byte one becomes an 8-byte one of device 0.
func (i *Inode) chunkEntry(b []byte) (c disk.ChunkIndex) {
	if i.Chunk&disk.ChunkIndexes == 0 {
		return disk.ChunkIndex{StartLo: binary.LittleEndian.Uint32(b)}
	}
	c.Decode((*[disk.ChunkIndexSize]byte)(b))
	return c
}

// chunk tells where one chunk is.
func (im *Image) chunk(i *Inode, c *disk.ChunkIndex) (e Extent, err error) {
	block, hole := c.Block(i.Chunk)
	if hole {
		return e, nil
	}
	e.Kind = Data
	e.Device, e.Pos, err = im.locate(c.DeviceID, block, 0, 1<<im.ChunkBits(i))
	return e, i.at(err)
}

// Extents yields the extents of the whole inode; adjacent ones are joined unless they are Encoded or Packed.
// The first error ends it.
func (im *Image) Extents(i *Inode) iter.Seq2[Extent, error] {
	if i.Compressed() {
		return im.compressedExtents(i)
	}
	return func(yield func(Extent, error) bool) {
		var last Extent
		for off := int64(0); off < i.Size; {
			e, err := im.Map(i, off, math.MaxInt64)
			if err != nil {
				if last.Len == 0 || yield(last, nil) {
					yield(Extent{}, err)
				}
				return
			}
			off += e.Len
			if last.Len > 0 && e.follows(&last) {
				last.Len += e.Len
				last.Stored += e.Stored
				continue
			}
			if last.Len > 0 && !yield(last, nil) {
				return
			}
			last = e
		}
		if last.Len > 0 {
			yield(last, nil)
		}
	}
}

func (e *Extent) follows(last *Extent) bool {
	return e.Kind == last.Kind && e.Device == last.Device && (e.Kind == Hole || e.Pos == last.Pos+last.Len)
}

// ReadAt fills p with the bytes of the inode from off on; off+len(p) must not exceed its size.
func (im *Image) ReadAt(i *Inode, p []byte, off int64) error {
	if i.Compressed() && len(p) > 0 {
		return im.readCompressed(i, p, off)
	}
	for len(p) > 0 {
		e, err := im.Map(i, off, int64(len(p)))
		if err != nil {
			return err
		}
		n := min(e.Len, int64(len(p)))
		switch e.Kind {
		case Hole:
			clear(p[:n])
		case Inline:
			var b []byte
			b, err = im.Window(e.Device).Read(e.Pos, n, "inline data")
			copy(p, b)
		case Data:
			err = im.Devices[e.Device].Window.Fill(p[:n], e.Pos, "data")
		}
		if err != nil {
			return err
		}
		p, off = p[n:], off+n
	}
	return nil
}
