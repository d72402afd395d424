// Package zmap tells where the bytes of a compressed inode are: it decodes the three forms of the index
// that EROFS puts behind such an inode (sections 7.3 and 7.4), and nothing else. It reads no data and
// knows no codec.
//
//	file      0         4096        8192        12288      16384      Size
//	          +-----------+-----------+-----------+-----------+---------+
//	lclusters |   HEAD1   |  NONHEAD  |    HEAD1  |  NONHEAD  |  PLAIN  |   one entry each
//	          +-----------+-----------+--x--------+-----------+--x------+
//	extents   |<----------------------->|<--------------------->|<----->|   a head has a block and says
//	                 pcluster A               pcluster B            C       where in its lcluster (x) it begins
//
// Two indexes have an entry for each lcluster: the full one 8 bytes, the compact one 2 or 4 in packs that
// share an address. The third one is an array of extents.
//
// The index is hostile input: distances that lead astray, go in circles or far away end in an error or
// in the wrong extent of the file, after a bounded number of steps; nothing is allocated by its numbers.
package zmap

import (
	"fmt"
	"iter"
	"math"

	"github.com/laminafs/lamina/internal/disk"
)

const (
	// MaxEncoded and MaxDecoded bound a pcluster in bytes on disk and in the file
	// (Z_EROFS_PCLUSTER_MAX_SIZE and _MAX_DSIZE, fs/erofs/internal.h).
	MaxEncoded = 1 << 20
	MaxDecoded = 12 << 20

	// maxSteps bounds the entries that the search for one extent looks at. It is more than MaxDecoded
	// has lclusters of 512 bytes; a longer tail in the packed inode is found by longer steps.
	maxSteps = 1 << 15

	// maxBlocks bounds addresses, in blocks (Linux 6.18).
	maxBlocks = 1 << 48
)

// Source reads n bytes of metadata at off, of which field says in errors what they are. They are shared
// and not changed. Numbers beyond the end are a *disk.FormatError.
type Source interface {
	Read(off, n int64, field string) ([]byte, error)
}

// File is what the index of a compressed inode depends on. It is not changed.
type File struct {
	Super  *disk.Superblock
	Meta   Source // what the inode lies in: the image or the decoded metabox
	NID    uint64
	Body   int64 // where in Meta inode and xattrs end
	Size   int64
	Layout disk.Layout // CompressedFull or CompressedCompact
}

// Kind tells how the bytes of an Extent are stored.
type Kind uint8

// The kinds of extents.
const (
	Hole       Kind = iota // no bytes, reads as zeros
	Compressed             // PLen bytes at Pos
	Shifted                // stored: the first byte is at Pos
	Interlaced             // stored in one block: the byte at file offset o is at o modulo the block size
	Fragment               // part of the packed inode, at Pos of its data
)

var kindNames = [...]string{"hole", "compressed", "stored", "interlaced", "fragment"}

func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "kind?"
}

// Extent is a run of bytes of a file that is encoded in one piece. Of Compressed ones Len is at most
// MaxDecoded and PLen at most MaxEncoded; of stored ones, Len is at most PLen.
type Extent struct {
	Logical   int64 // offset in the file
	Len       int64 // decoded bytes, never beyond the end of the file
	Pos       int64 // byte address on device 0 or, if Inline, in the metadata; of a Fragment in the packed inode
	PLen      int64 // encoded bytes, 0 of a Hole and a Fragment
	Kind      Kind
	Algorithm disk.Algorithm // of a Compressed one
	Partial   bool           // the pcluster may hold more than Len bytes: another extent uses them
	Inline    bool           // the pcluster lies behind the index (ztailpacking)
}

// End returns where in the file the extent ends.
func (e *Extent) End() int64 { return e.Logical + e.Len }

// Map is the opened index of a file. It may be used by several goroutines.
type Map struct {
	file   File
	header disk.MapHeader
	off    int64             // of the map header
	start  int64             // of the first entry or record
	count  int64             // entries or records
	unit   int64             // bytes of an entry of the full index, or of a record
	bits   uint8             // log2 of an lcluster
	shape  disk.CompactShape // of a compact index
	form   form
	sums   *sums // of records of 4 bytes
}

// form is what the index consists of.
type form uint8

const (
	wholeFragment form = iota // nothing: the file lies in the packed inode
	fullIndex
	compactIndex
	lclusterRecords // an extent for each lcluster, 4 or 8 bytes
	extentRecords   // 16 or 32 bytes
)

// Open reads and checks the map header of a file (z_erofs_fill_inode, fs/erofs/zmap.c, Linux 6.18).
func Open(f File) (*Map, error) {
	m := &Map{file: f, off: disk.Align(f.Body, disk.MapHeaderSize)}
	b, err := f.Meta.Read(m.off, disk.MapHeaderSize, "map header")
	if err != nil {
		return nil, err
	}
	m.header.Decode((*[disk.MapHeaderSize]byte)(b))
	return m, m.open()
}

func (m *Map) open() error {
	h := &m.header
	m.start = m.off + disk.MapHeaderSize
	if off, ok := h.WholeFragment(); ok {
		return m.fits(off, "fragment offset")
	}
	m.bits = h.LclusterBits(m.file.Super.BlockBits)
	m.count = lclusters(m.file.Size, m.bits)
	switch {
	case h.Advise.UsesExtents(m.file.Layout):
		return m.openRecords()
	case !h.Head1().Known() || !h.Head2().Known():
		return &disk.UnsupportedError{Feature: fmt.Sprintf("inode %d: compression algorithm %#x", m.file.NID, h.Algorithm)}
	case h.Advise&(disk.AdviseBigPcluster1|disk.AdviseBigPcluster2) != 0 && m.file.Super.Incompat&disk.HasComprCfgs == 0:
		return m.bad(m.off+4, "h_advise", uint16(h.Advise), "big pclusters without the feature BIG_PCLUSTER")
	case m.file.Layout == disk.CompressedFull:
		m.form, m.unit = fullIndex, disk.LclusterSize
		m.start += disk.FullIndexPad
		return nil
	}
	m.form = compactIndex
	if m.bits > disk.CompactMaxLclusterBits {
		return m.bad(m.off+7, "h_clusterbits", m.bits, "a compact index has lclusters of at most 16 KiB")
	}
	two := h.Advise&disk.AdviseCompacted2B != 0
	if two && m.bits > disk.Compact2MaxLclusterBits {
		return m.bad(m.off+7, "h_clusterbits", m.bits, "packs of 2-byte entries have lclusters of at most 4 KiB")
	}
	if h.Advise&disk.AdviseBigPcluster1 != 0 != (h.Advise&disk.AdviseBigPcluster2 != 0) {
		return m.bad(m.off+4, "h_advise", uint16(h.Advise), "in a compact index, both BIG_PCLUSTER bits must be the same")
	}
	// As Linux has it, the shape follows from blocks, not from lclusters.
	m.shape = disk.ShapeCompact(m.start, uint64(lclusters(m.file.Size, m.file.Super.BlockBits)), two)
	return nil
}

// lclusters returns how many units of 1<<bits bytes hold size bytes.
func lclusters(size int64, bits uint8) int64 {
	if size == 0 {
		return 0
	}
	return (size-1)>>bits + 1
}

// fits checks the place of bytes in the packed inode.
func (m *Map) fits(off uint64, field string) error {
	if off > uint64(math.MaxInt64-m.file.Size) {
		return m.bad(m.off, field, off, "exceeds 63 bits of bytes")
	}
	return nil
}

func (m *Map) bad(off int64, field string, got any, why string) error {
	return &disk.FormatError{Off: off, Field: fmt.Sprintf("inode %d: %s", m.file.NID, field), Got: got, Why: why}
}

// Header returns the map header and where it is.
func (m *Map) Header() (h disk.MapHeader, off int64) { return m.header, m.off }

// LclusterBits returns log2 of the bytes of an lcluster; meaningful unless the whole file is a fragment.
func (m *Map) LclusterBits() uint8 { return m.bits }

// IndexEnd returns where the index ends: the inline pcluster begins there, if there is one. It may be
// beyond the end of the metadata.
func (m *Map) IndexEnd() int64 {
	switch {
	case m.form == compactIndex && m.count > 0:
		off, _, two := m.shape.Pack(uint64(m.count - 1))
		if two {
			return m.start + off + disk.Compact2Size
		}
		return m.start + off + disk.Compact4Size
	case m.form == compactIndex || m.form == wholeFragment:
		return m.start
	}
	if m.count > (math.MaxInt64-m.start)/m.unit {
		return math.MaxInt64
	}
	return m.start + m.count*m.unit
}

// At returns the extent that holds byte off of the file, 0 <= off < Size (z_erofs_map_blocks_iter). It
// looks at a bounded number of entries.
func (m *Map) At(off int64) (Extent, error) {
	for e, err := range m.From(off) {
		return e, err
	}
	return Extent{}, m.bad(-1, "offset", off, "outside the file")
}

// From yields the extents from the one that holds byte off on; 0 is all of them. Together they take time
// linear in the entries. The first error ends it.
func (m *Map) From(off int64) iter.Seq2[Extent, error] {
	return func(yield func(Extent, error) bool) {
		if off < 0 || off >= m.file.Size {
			return
		}
		switch m.form {
		case wholeFragment:
			pos, _ := m.header.WholeFragment()
			yield(Extent{Len: m.file.Size, Pos: int64(pos), Kind: Fragment}, nil)
		case fullIndex, compactIndex:
			m.walkEntries(off, yield)
		case lclusterRecords:
			m.walkLclusters(off, yield)
		case extentRecords:
			m.walkExtents(off, yield)
		}
	}
}

// sane checks what holds for every extent (z_erofs_map_sanity); at is where the index has it.
func (m *Map) sane(e *Extent, at int64) error {
	switch e.Kind {
	case Hole:
		return nil
	case Fragment:
		return m.fits(uint64(e.Pos), "fragment offset")
	case Compressed:
		if !e.Algorithm.Known() {
			return &disk.UnsupportedError{Feature: fmt.Sprintf("inode %d: compression algorithm %d", m.file.NID, e.Algorithm)}
		}
		if !m.file.Super.Algorithms().Has(e.Algorithm) {
			return m.bad(at, "algorithm", e.Algorithm.String(), "the superblock does not have it")
		}
		if e.Len > MaxDecoded {
			return &disk.UnsupportedError{Feature: fmt.Sprintf("inode %d: pcluster of %d decoded bytes", m.file.NID, e.Len)}
		}
	case Shifted, Interlaced:
		if e.Len > e.PLen {
			return m.bad(at, "stored extent", e.Len, fmt.Sprintf("decoded bytes in %d", e.PLen))
		}
		if e.Kind == Interlaced && e.PLen > m.file.Super.BlockSize() {
			return m.bad(at, "interlaced extent", e.PLen, "longer than a block")
		}
	}
	if e.PLen > MaxEncoded {
		return &disk.UnsupportedError{Feature: fmt.Sprintf("inode %d: pcluster of %d bytes", m.file.NID, e.PLen)}
	}
	if e.Pos < 0 || e.Pos > math.MaxInt64-e.PLen || (e.Pos+e.PLen)>>m.file.Super.BlockBits >= maxBlocks {
		return m.bad(at, "address", uint64(e.Pos), "exceeds 48 bits of blocks")
	}
	return nil
}
