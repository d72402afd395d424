package mkfs

import (
	"fmt"

	"github.com/laminafs/lamina/internal/compress"
	"github.com/laminafs/lamina/internal/disk"
)

// Compression says how the bytes of regular files are compressed. The zero value is LZ4 in pclusters of one
// block, which every kernel since 5.4 reads and which decodes fastest.
//
// The image does not depend on the number of workers. A file that compression does not make smaller is
// stored as it is.
type Compression struct {
	Method // of files that no rule gives another one

	// Others are methods that Rules refer to. Each algorithm may occur once, as the image has one set of
	// parameters for it.
	Others []Method
	// Rules give some files a method of their own: the first that matches decides.
	Rules []Rule

	// PclusterSize is the largest length of a compressed extent in bytes, a multiple of the block size up to
	// 1 MiB; 0 means a block. Larger ones are smaller in sum, and slower to read at random.
	PclusterSize int
	// PackedPclusterSize is the same for the packed inode of Tails; 0 means PclusterSize.
	PackedPclusterSize int
	// MaxExtent bounds the decoded bytes of an extent, at least a block; 0 means MaxExtent of the format.
	MaxExtent int

	// Tails says where the ends of files go that do not fill a pcluster.
	Tails Tails
	// Index is the form of the index of compressed files.
	Index Index

	// Metabox compresses the metadata; nil stores it as it is.
	Metabox *Metabox
	// Directories compresses directories, in the packed inode (Linux 6.1). With a Metabox those that lie in one block
	// are compressed in any case, as parts of it.
	Directories bool

	// Workers is how many goroutines compress; 0 means one for each processor.
	Workers int
}

// Method is an algorithm and its effort.
type Method struct {
	Algorithm Algorithm
	// Level is the effort in the numbers of mkfs.erofs: LZ4HC 0 to 12, LZMA 0 to 9 and 100 to 109, Deflate 0 to
	// 9, ZSTD 0 to 22. 0 means the algorithm's default (9, 6, 1, 3), LevelZero its level 0.
	Level int
	// DictSize bounds how far back LZMA, Deflate and ZSTD refer, in bytes: what a reader needs as memory.
	// 0 means what mkfs.erofs takes for the pcluster size.
	DictSize int
}

// LevelZero is level 0 of an algorithm whose default is another one.
const LevelZero = compress.LevelZero

// Algorithm is a way to compress. LZ4HC makes LZ4 data with a longer search.
type Algorithm = compress.Algorithm

// The algorithms that Linux reads.
const (
	LZ4     = compress.LZ4
	LZ4HC   = compress.LZ4HC
	LZMA    = compress.LZMA    // Linux 5.16
	Deflate = compress.Deflate // Linux 6.6
	ZSTD    = compress.ZSTD    // Linux 6.10
)

// ParseAlgorithm finds an algorithm by its name in mkfs.erofs: lz4, lz4hc, lzma, deflate, zstd.
func ParseAlgorithm(name string) (Algorithm, bool) { return compress.ParseAlgorithm(name) }

// Rule gives the files that it matches a method.
type Rule struct {
	// Match is asked for the path of a file without a leading slash, "" if the source does not tell it.
	Match func(path string) bool
	// Method is 0 for Compression.Method, n for Others[n-1], or Plain.
	Method int
	// PclusterSize is that of the files in bytes; 0 means the one of Compression.
	PclusterSize int
}

// Plain as Rule.Method stores files as they are.
const Plain = -1

// Tails is a choice of places for the ends of files.
type Tails uint8

const (
	// TailBlocks rounds the last pcluster of a file up to a block.
	TailBlocks Tails = iota
	// TailInline stores the last pcluster behind the index of the file if it is shorter than a block
	// (ztailpacking, Linux 5.17).
	TailInline
	// TailFragments stores the ends of files, and small files, one behind the other in the packed inode,
	// which is compressed as a whole (fragments, Linux 6.1).
	TailFragments
	// TailAllFragments stores all of every file there.
	TailAllFragments
)

// Index is a choice of forms of the index.
type Index uint8

const (
	// IndexAuto is the compact index where it can describe the file (two to four bytes for each block),
	// else the full one (eight bytes).
	IndexAuto Index = iota
	// IndexFull is the full one always.
	IndexFull
	// IndexExtents are records of whole extents at any byte: no padding between them (the 48-bit layout,
	// Linux 6.15).
	IndexExtents
)

// validate reports contradictions through bad.
func (c *Compression) validate(o *Options, bad func(string, ...any)) {
	bs := o.blockSize()
	pcluster := func(what string, n int) {
		if n != 0 && (n < bs || n%bs != 0 || n > compress.MaxPcluster || n/bs > disk.LclusterMaxDelta) {
			bad("%s %d: not a multiple of the block size (%d) up to 1 MiB and %d blocks", what, n, bs, disk.LclusterMaxDelta)
		}
	}
	pcluster("pcluster size", c.PclusterSize)
	pcluster("packed pcluster size", c.PackedPclusterSize)
	if c.MaxExtent != 0 && (c.MaxExtent < bs || c.MaxExtent > compress.MaxExtent) {
		bad("extent limit %d: not from a block (%d) to 12 MiB", c.MaxExtent, bs)
	}
	if c.Tails > TailAllFragments || c.Index > IndexExtents {
		bad("tails %d, index %d: no such choice", c.Tails, c.Index)
	}
	if bs > 1<<disk.CompactMaxLclusterBits {
		bad("block size %d: compressed files have blocks of at most 16384 bytes", bs)
	}
	if o.ChunkSize != 0 || o.DataDevice != nil {
		bad("compression does not go with chunks or a data device")
	}
	c.validateMetabox(o, pcluster, bad)
	if c.Workers < 0 || c.Workers > 1024 {
		bad("%d workers: not from 0 to 1024", c.Workers)
	}
	seen := disk.Algorithms(0)
	for _, m := range c.dataMethods() {
		if err := m.check(o); err != nil {
			bad("%v", err)
			continue
		}
		if a := m.Algorithm.Disk(); seen.Has(a) {
			bad("algorithm %s: twice", a)
		} else {
			seen |= 1 << a
		}
	}
	for i, r := range c.Rules {
		pcluster(fmt.Sprintf("rule %d: pcluster size", i), r.PclusterSize)
		if r.Match == nil || r.Method < Plain || r.Method > len(c.Others) {
			bad("rule %d: nothing to match, or no method %d", i, r.Method)
		}
	}
}

// methods are those of data, then that of the metabox if it has one of its own.
func (c *Compression) methods() []Method {
	list := c.dataMethods()
	if c.Metabox != nil && c.Metabox.Method != nil {
		list = append(list, c.metaboxMethod())
	}
	return list
}

func (c *Compression) dataMethods() []Method { return append([]Method{c.Method}, c.Others...) }

func (m *Method) check(o *Options) error { return m.config(o.blockSize()).Check() }

// config is the method for pclusters of up to that many bytes.
func (m *Method) config(pcluster int) compress.Method {
	return compress.Method{Algorithm: m.Algorithm, Level: m.Level, Dict: m.DictSize, Pcluster: pcluster}
}

func (c *Compression) pcluster(bs int) int { return max(c.PclusterSize, bs) }

func (c *Compression) packedPcluster(bs int) int {
	if c.PackedPclusterSize == 0 {
		return c.pcluster(bs)
	}
	return c.PackedPclusterSize
}

// largest returns the largest pcluster that the options allow.
func (c *Compression) largest(bs int) int {
	n := max(c.pcluster(bs), c.packedPcluster(bs))
	if c.Metabox != nil {
		n = max(n, c.Metabox.pcluster(bs))
	}
	for _, r := range c.Rules {
		n = max(n, r.PclusterSize)
	}
	return n
}

// choose returns the method and the pcluster size of a file, compress.Store for none.
func (c *Compression) choose(path func() string, bs int) (method, pcluster int) {
	name := ""
	if len(c.Rules) > 0 && path != nil {
		name = path()
	}
	for _, r := range c.Rules {
		if !r.Match(name) {
			continue
		}
		if r.Method == Plain {
			return compress.Store, bs
		}
		if r.PclusterSize != 0 {
			return r.Method, r.PclusterSize
		}
		return r.Method, c.pcluster(bs)
	}
	return 0, c.pcluster(bs)
}
