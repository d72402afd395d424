package mkfs

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/maphash"
	"io"

	"github.com/laminafs/lamina/internal/disk"
)

// Base is a file whose blocks an image may refer to instead of holding them itself: an EROFS image, its
// extra device, a tar for images with blocks of 512 bytes, or anything else that is there anyway. Whoever
// mounts the image gives it as a device.
type Base struct {
	Data io.ReaderAt // must stay as it is, as long as an image refers to it
	Size int64       // of Data in bytes
}

// Bases knows the blocks of some files. It does not change: any number of Writers, in any number of
// goroutines, may use it at the same time.
//
// Those of NewBases see blocks, not files: nothing in a base is parsed, so a hostile one can at most have nothing in
// common with the image. Inline tails of a base begin at no block and are not found. Those of NewFileBases see files of
// images, compressed ones as well.
type Bases struct {
	bits  uint8
	list  []baseFile
	index blockIndex // empty if files are known
	files *baseFiles // nil: blocks are known
}

// baseFile is a base as it was when it was read.
type baseFile struct {
	Base
	digest [sha256.Size]byte
	first  int64 // number of its first block among those of all bases
	blocks int64 // whole ones
}

// BaseMax bounds the number of bases of an image, as each is a file to open for a mount.
const BaseMax = 64

// baseBlocks bounds the blocks of all bases together: 256 GiB with blocks of 4 KiB, for which the index
// takes 2 GiB of memory.
const baseBlocks = 1 << 26

// NewBases reads the files in list to their ends, for images with blocks of blockSize bytes; 0 means 4096. It
// takes 16 to 32 bytes of memory for each block. A file that ends before its size is an error.
func NewBases(blockSize int, list ...Base) (*Bases, error) {
	b, err := newBases(blockSize, list)
	if err != nil {
		return nil, err
	}
	var all int64
	for i := range b.list {
		all += b.list[i].blocks
	}
	b.index.init(all)
	for i := range b.list {
		if err := b.read(&b.list[i]); err != nil {
			return nil, fmt.Errorf("mkfs: base %d: %w", i+1, err)
		}
	}
	return b, nil
}

// newBases returns bases of which nothing is known.
func newBases(blockSize int, list []Base) (*Bases, error) {
	o := Options{BlockSize: blockSize}
	if err := o.Validate(); err != nil {
		return nil, err
	}
	b := &Bases{}
	b.bits, _ = disk.Log2(o.blockSize())
	if len(list) > BaseMax {
		return nil, fmt.Errorf("mkfs: %d bases: more than %d", len(list), BaseMax)
	}
	var all int64
	for i, f := range list {
		if f.Size < 0 || f.Size>>b.bits > baseBlocks-all {
			return nil, fmt.Errorf("mkfs: base %d: %d bytes: more than %d blocks of all bases", i+1, f.Size, baseBlocks)
		}
		b.list = append(b.list, baseFile{Base: f, first: all, blocks: f.Size >> b.bits})
		all += f.Size >> b.bits
	}
	return b, nil
}

// validate reports contradictions through bad.
func (b *Bases) validate(o *Options, bad func(string, ...any)) {
	if int64(o.blockSize()) != 1<<b.bits {
		bad("block size %d: the bases were read in blocks of %d", o.blockSize(), 1<<b.bits)
	}
	if o.ChunkSize != 0 || o.DataDevice != nil || o.LargeAlign != 0 {
		bad("bases do not go with a chunk size, a data device or an alignment")
	}
	switch c := o.Compression; {
	case c == nil && b.files != nil:
		bad("bases of which the files are known are for images with compression")
	case c != nil && b.files == nil:
		bad("bases of which the blocks are known are for images without compression")
	case c != nil && b.files.dense && c.Index != IndexExtents:
		bad("a base has pclusters at any byte (--index extents): the image needs such an index, too")
	}
}

// Digest returns the SHA-256 of base i, counted from 0: the tag of the device in images.
func (b *Bases) Digest(i int) [sha256.Size]byte { return b.list[i].digest }

// Len returns the number of bases.
func (b *Bases) Len() int { return len(b.list) }

// read enters the blocks of f; its digest is computed at the same time.
func (b *Bases) read(f *baseFile) error {
	const step = 1 << 20
	sum := sha256.New()
	full, empty := make(chan []byte, 2), make(chan []byte, 3)
	for range cap(empty) {
		empty <- make([]byte, step)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for p := range full {
			sum.Write(p)
			empty <- p[:step]
		}
	}()
	err := b.scan(f, full, empty)
	close(full)
	<-done
	sum.Sum(f.digest[:0])
	return err
}

func (b *Bases) scan(f *baseFile, full chan<- []byte, empty <-chan []byte) error {
	bs, no := 1<<b.bits, f.first
	for off := int64(0); off < f.Size; {
		p := <-empty
		p = p[:min(int64(len(p)), f.Size-off)]
		if n, err := f.Data.ReadAt(p, off); n < len(p) {
			return baseError(off+int64(n), err)
		}
		for q := p; len(q) >= bs; q = q[bs:] {
			if !isZero(q[:bs]) {
				b.index.add(maphash.Bytes(hashSeed, q[:bs]), no)
			}
			no++
		}
		off += int64(len(p))
		full <- p
	}
	return nil
}

// baseError is the error of a base that could not be read at off.
func baseError(off int64, err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		err = fmt.Errorf("%w: it was longer", io.ErrUnexpectedEOF)
	}
	return fmt.Errorf("offset %d: %w", off, err)
}

// at returns the base that has block no of all bases, and its number.
func (b *Bases) at(no int64) (f *baseFile, i int) {
	for i = range b.list {
		if f = &b.list[i]; no-f.first < f.blocks {
			break
		}
	}
	return f, i
}

// tag is what the device table says of base i.
func (b *Bases) tag(i int) string { return hex.EncodeToString(b.list[i].digest[:]) }

// blockIndex finds blocks by the hash of their bytes. Equal hashes are compared by whoever asks.
type blockIndex struct {
	keys   []uint64
	blocks []uint32 // number of the block + 1, 0: free
}

// init makes room for n blocks; at least every fourth slot stays free.
func (x *blockIndex) init(n int64) {
	size := int64(1)
	for size*3 < n*4+3 {
		size *= 2
	}
	x.keys, x.blocks = make([]uint64, size), make([]uint32, size)
}

// slot returns where a key is, or would be.
func (x *blockIndex) slot(key uint64) int {
	mask := len(x.keys) - 1
	i := int(key) & mask
	for x.blocks[i] != 0 && x.keys[i] != key {
		i = (i + 1) & mask
	}
	return i
}

// add enters a block unless there is one with its hash.
func (x *blockIndex) add(key uint64, no int64) {
	if i := x.slot(key); x.blocks[i] == 0 {
		x.keys[i], x.blocks[i] = key, uint32(no+1)
	}
}

// find returns the first block with a hash.
func (x *blockIndex) find(key uint64) (no int64, ok bool) {
	i := x.slot(key)
	return int64(x.blocks[i]) - 1, x.blocks[i] != 0
}
