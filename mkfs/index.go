package mkfs

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/laminafs/lamina/internal/disk"
	"github.com/laminafs/lamina/tree"
)

// IndexWriter makes a tar index: an EROFS image of metadata only, whose files are extents of an untouched
// tar, device 1. The index works in two forms with the same bytes: as a file of its own, mounted with
// device=TAR, or with the tar appended behind it, mounted alone (a flattened device).
//
// Blocks have 512 bytes, as records of tar have. What is not aligned to them, pieces of sparse files
// mostly, is copied into the index.
type IndexWriter struct {
	w *Writer
}

// Tar describes the untouched tar of an index.
type Tar struct {
	Size   int64
	Digest []byte // SHA-256 of its bytes, which is the diffID; becomes the tag of the device
}

// indexBlock is the block size of a tar index.
const indexBlock = 512

// NewIndex returns an IndexWriter that makes an index in f. Options that place data (chunks, blob device,
// alignment, deduplication) do not go with it.
func NewIndex(f File, o Options) (*IndexWriter, error) {
	if o.BlockSize == 0 {
		o.BlockSize = indexBlock
	}
	var errs []error
	if o.BlockSize != indexBlock {
		errs = append(errs, fmt.Errorf("mkfs: options: block size %d: a tar index has blocks of 512 bytes", o.BlockSize))
	}
	if o.ChunkSize != 0 || o.DataDevice != nil || o.LargeAlign != 0 || o.Dedupe || o.Compression != nil || o.Bases != nil || o.Devices != nil || o.Keep != 0 {
		errs = append(errs, errors.New("mkfs: options: a tar index places no data: no chunk size, blob, alignment, deduplication, compression, bases, devices or image to keep"))
	}
	if err := errors.Join(append(errs, o.Validate())...); err != nil {
		return nil, err
	}
	w, err := newWriter(f, o)
	if err != nil {
		return nil, err
	}
	w.slots = []deviceSlot{{}}
	w.start()
	return &IndexWriter{w}, nil
}

// Put implements tree.Spool. It reads r only for files that it has to copy or take the fingerprint of.
func (x *IndexWriter) Put(f tree.File, r io.Reader) (tree.Content, error) {
	if x.w.err != nil {
		return nil, x.w.err
	}
	c := x.extents(f)
	if c == nil {
		return x.w.Put(f, r)
	}
	p := x.w.newPlace(f.Size)
	p.chunk = c
	if x.w.o.Fingerprints && f.Data == nil {
		r, sum := x.w.prints.of(r)
		if _, err := io.CopyN(io.Discard, r, f.Size); err != nil {
			x.w.err = short(err)
			return nil, x.w.err
		}
		p.print = sum()
	}
	x.w.count(&f)
	return p, nil
}

// extents maps the file onto the tar; nil if it cannot, or if the map would be longer than the data.
func (x *IndexWriter) extents(f tree.File) *chunks {
	if f.Size == 0 || f.Pos%indexBlock != 0 || f.Pos < 0 {
		return nil
	}
	data := f.Data
	if data == nil {
		data = []tree.Extent{{Off: 0, Len: f.Size}}
	}
	bits, ok := commonUnit(f.Size, data)
	if !ok {
		return nil
	}
	c := &chunks{bits: bits}
	unit := int64(indexBlock) << bits
	if count := (f.Size-1)/unit + 1; count*disk.ChunkIndexSize > f.DataLen()+unit && count > 1 {
		return nil
	}
	pos := f.Pos
	for _, e := range data {
		if e.Len > 0 {
			x.w.addRun(c, run{first: e.Off / unit, count: (e.Len-1)/unit + 1, block: pos / indexBlock, device: 1})
		}
		pos += e.Len
	}
	return c
}

// commonUnit returns the largest chunk size, as log2 of blocks of 512 bytes, whose multiples all extents
// start and end at; the end of the file counts as one.
func commonUnit(size int64, data []tree.Extent) (bits uint8, ok bool) {
	var all int64
	for _, e := range data {
		all |= e.Off
		if e.Off+e.Len != size {
			all |= e.Off + e.Len
		}
	}
	if all&(indexBlock-1) != 0 {
		return 0, false
	}
	for bits < uint8(disk.ChunkBitsMask) && int64(indexBlock)<<bits < size && all>>(bits+9)&1 == 0 {
		bits++
	}
	return bits, true
}

// SetUUID sets the UUID of the file system any time before Finish.
func (x *IndexWriter) SetUUID(u [16]byte) { x.w.SetUUID(u) }

// Finish writes the metadata of t and the superblock and ends the IndexWriter; see Writer.Finish.
func (x *IndexWriter) Finish(t *tree.Tree, tar Tar) (Summary, error) {
	x.w.slots[0] = deviceSlot{blocks: disk.Blocks(tar.Size, x.w.bits), tag: hex.EncodeToString(tar.Digest)}
	return x.w.Finish(t)
}

// Close ends the IndexWriter without an index if Finish was not called.
func (x *IndexWriter) Close() error { return x.w.Close() }
