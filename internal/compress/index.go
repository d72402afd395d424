package compress

import (
	"iter"

	"github.com/laminafs/lamina/internal/disk"
)

// Run is an extent of a file with its place, as an index needs it. The runs of a file follow each other
// without a gap.
type Run struct {
	Len     int64 // decoded bytes
	Pos     int64 // where the stored bytes are: a byte of the image, or of the device
	PLen    int64 // how many, 0 is a hole
	Stored  bool
	Second  bool   // compressed by Map.Second
	Partial bool   // the pcluster holds more than Len bytes
	Device  uint16 // that Pos counts from; 0, as in all that Map.Append gets: the unified address space
}

// Map is all that an index says of a file. The numbers about Runs must be right; they are what Size
// goes by, so that a plan needs no look at the runs.
type Map struct {
	Size      int64 // of the file
	BlockBits uint8
	First     disk.Algorithm
	Second    disk.Algorithm
	Big       bool  // some run has more than a block
	Scattered bool  // some run does not begin where the one before it ends, or is partial
	Count     int64 // of runs, tail included

	Interlaced bool // stored runs begin in their block where they do in an lcluster, and wrap around

	// The end of the file, if it is not in a run.
	Inline       int64 // length of what is behind the index, 0: nothing is
	InlineStored bool
	Fragment     int64 // where it is in the packed inode, if FragmentLen is not 0
	FragmentLen  int64
	InlineLen    int64 // decoded length of Inline
}

// Form is a form of index.
type Form uint8

// The forms.
const (
	FormCompact Form = iota
	FormFull
	FormExtents
	FormFragment // all of the file is in the packed inode
)

// Layout returns the data layout of an inode with an index of the form.
func (f Form) Layout() disk.Layout {
	if f == FormCompact {
		return disk.CompressedCompact
	}
	return disk.CompressedFull
}

// Form returns the smallest form that can hold the map, or FormFull instead of the compact one.
func (m *Map) Form(full, extents bool) Form {
	switch {
	case m.FragmentLen == m.Size:
		return FormFragment
	case extents:
		return FormExtents
	case full || m.Scattered || m.FragmentLen > 0 && m.Fragment > 1<<32-1:
		return FormFull
	}
	return FormCompact
}

// total is the number of lclusters.
func (m *Map) total() int64 { return disk.Blocks(m.Size, m.BlockBits) }

// compactShape returns how a compact index is spread whose map header begins at at.
func (m *Map) compactShape(at int64) disk.CompactShape {
	return disk.ShapeCompact(at+disk.MapHeaderSize, uint64(m.total()), m.BlockBits <= disk.Compact2MaxLclusterBits)
}

// recordSize is the length of an encoded extent.
func (m *Map) recordSize() int64 {
	if m.Size > 1<<32-1 {
		return disk.Extent32Size
	}
	return disk.Extent16Size
}

// IndexSize returns the length of header and index of a form; at is where the header begins, a multiple of 8, of
// which only the rest modulo 32 matters.
func (m *Map) IndexSize(f Form, at int64) int64 {
	switch f {
	case FormFragment:
		return disk.MapHeaderSize + disk.FullIndexPad
	case FormExtents:
		r := m.recordSize()
		return disk.Align(at+disk.MapHeaderSize, r) - at + m.Count*r
	case FormFull:
		return disk.MapHeaderSize + disk.FullIndexPad + m.total()*disk.LclusterSize
	}
	return disk.MapHeaderSize + m.compactShape(at).Size()
}

// Append appends header and index to b, which begins at a multiple of 32 in the image.
func (m *Map) Append(b []byte, f Form, runs iter.Seq[Run]) []byte {
	at := int64(len(b))
	h := m.header(f)
	b = append(b, make([]byte, disk.MapHeaderSize)...)
	h.Encode((*[disk.MapHeaderSize]byte)(b[at:]))
	switch f {
	case FormFragment:
		b = append(b, make([]byte, disk.FullIndexPad)...)
	case FormExtents:
		b = m.appendExtents(b, runs)
	case FormFull:
		b = append(b, make([]byte, disk.FullIndexPad)...)
		b = m.appendFull(b, runs)
	default:
		b = m.appendCompact(b, at, runs)
	}
	if int64(len(b))-at != m.IndexSize(f, at) {
		panic("compress: index does not have the planned length")
	}
	return b
}

func (m *Map) header(f Form) disk.MapHeader {
	if f == FormFragment {
		return disk.WholeFragmentHeader(uint64(m.Fragment))
	}
	h := disk.MapHeader{Algorithm: uint8(m.First) | uint8(m.Second)<<4}
	if f == FormExtents {
		h.Advise, _ = disk.AdviseRecordSize(int(m.recordSize()))
		h.SetExtentCount(uint64(m.Count))
		if m.FragmentLen > 0 {
			h.Advise |= disk.AdviseFragment
		}
		return h
	}
	if f == FormCompact && m.BlockBits <= disk.Compact2MaxLclusterBits {
		h.Advise |= disk.AdviseCompacted2B
	}
	if m.Interlaced {
		h.Advise |= disk.AdviseInterlaced
	}
	if m.Big {
		h.Advise |= disk.AdviseBigPcluster1 | disk.AdviseBigPcluster2
	}
	switch {
	case m.Inline > 0:
		h.Advise |= disk.AdviseInline
		h.SetIdataSize(uint16(m.Inline))
	case m.FragmentLen > 0:
		h.Advise |= disk.AdviseFragment
		h.Word = uint32(m.Fragment)
	}
	return h
}

// all yields the runs and then the tail as one. The head of a fragment has the high half of its offset as address
// in the full index, and none in the compact one, whose addresses go on by themselves.
func (m *Map) all(f Form, runs iter.Seq[Run]) iter.Seq[Run] {
	return func(yield func(Run) bool) {
		var end int64
		for r := range runs {
			if !yield(r) {
				return
			}
			end = r.Pos + r.PLen
		}
		switch {
		case m.Inline > 0:
			yield(Run{Len: m.InlineLen, Pos: end, PLen: 1 << m.BlockBits, Stored: m.InlineStored})
		case m.FragmentLen > 0:
			if f == FormFull {
				end = m.Fragment >> 32 << m.BlockBits
			}
			yield(Run{Len: m.FragmentLen, Pos: end})
		}
	}
}

// appendExtents appends records of extents.
func (m *Map) appendExtents(b []byte, runs iter.Seq[Run]) []byte {
	size := m.recordSize()
	b = append(b, make([]byte, disk.Align(int64(len(b)), size)-int64(len(b)))...)
	var at int64
	put := func(e disk.Extent) {
		start := len(b)
		b = append(b, make([]byte, size)...)
		if size == disk.Extent16Size {
			e.Encode16((*[disk.Extent16Size]byte)(b[start:]))
		} else {
			e.Encode32((*[disk.Extent32Size]byte)(b[start:]))
		}
	}
	for r := range runs {
		e := disk.Extent{Lstart: uint64(at), Pstart: uint64(r.Pos)}
		switch {
		case r.PLen == 0:
			e.Pstart = 0
		case r.Stored:
			e.Plen = disk.Plen(r.PLen)
		case r.Second:
			e.Plen = disk.MakePlen(uint32(r.PLen), m.Second)
		default:
			e.Plen = disk.MakePlen(uint32(r.PLen), m.First)
		}
		if r.Partial {
			e.Plen |= disk.PlenPartialRef
		}
		put(e)
		at += r.Len
	}
	if m.FragmentLen > 0 {
		put(disk.Extent{Plen: disk.Plen(uint32(m.Fragment)), Pstart: uint64(m.Fragment) >> 32, Lstart: uint64(at)})
	}
	return b
}
