package zmap

import (
	"encoding/binary"
	"fmt"
	"math"
	"sync"

	"github.com/laminafs/lamina/internal/disk"
)

// openRecords is open for encoded extents.
func (m *Map) openRecords() error {
	m.unit = m.header.Advise.RecordSize()
	m.start = disk.Align(m.start, m.unit)
	m.form = lclusterRecords
	switch m.unit {
	case disk.Extent4Size:
		b, err := m.file.Meta.Read(m.start, disk.ExtentBaseSize, "address of the extents")
		if err != nil {
			return err
		}
		base := binary.LittleEndian.Uint64(b)
		if base > math.MaxInt64/2 || m.count > math.MaxInt64/2/int64(disk.PlenMask) {
			return m.bad(m.start, "address of the extents", base, "exceeds 63 bits of bytes")
		}
		m.start += disk.ExtentBaseSize
		m.sums = &sums{at: []int64{int64(base)}}
	case disk.Extent16Size, disk.Extent32Size:
		m.form = extentRecords
		n := m.header.ExtentCount()
		if n > uint64(math.MaxInt64-m.start)/uint64(m.unit) {
			return m.bad(m.off, "h_extents", n, "more than 63 bits of bytes")
		}
		m.count = int64(n)
	}
	return nil
}

// record reads record k.
func (m *Map) record(k int64) (e disk.Extent, err error) {
	b, err := m.file.Meta.Read(m.start+k*m.unit, m.unit, "extent")
	if err != nil {
		return e, err
	}
	switch m.unit {
	case disk.Extent4Size:
		e.Plen = disk.Plen(binary.LittleEndian.Uint32(b))
	case disk.Extent8Size:
		e.Decode8((*[disk.Extent8Size]byte)(b))
	case disk.Extent16Size:
		e.Decode16((*[disk.Extent16Size]byte)(b))
	default:
		e.Decode32((*[disk.Extent32Size]byte)(b))
	}
	return e, nil
}

// walkLclusters is From for records of one lcluster each. Those of 4 bytes lie back to back.
func (m *Map) walkLclusters(off int64, yield func(Extent, error) bool) {
	first := off >> m.bits
	var pos int64
	var err error
	if m.sums != nil {
		pos, err = m.sums.before(m, first)
	}
	for k := first; k < m.count && err == nil; k++ {
		var r disk.Extent
		if r, err = m.record(k); err != nil {
			break
		}
		if m.sums != nil {
			r.Pstart = uint64(pos)
			pos += int64(r.Plen.Len())
		}
		e := Extent{Logical: k << m.bits, Len: min(1<<m.bits, m.file.Size-k<<m.bits)}
		if err = m.fill(&e, &r, k); err == nil && !yield(e, nil) {
			return
		}
	}
	if err != nil {
		yield(Extent{}, err)
	}
}

// walkExtents is From for records that say where they begin. What lies in front of the first one is a hole.
func (m *Map) walkExtents(off int64, yield func(Extent, error) bool) {
	next, err := m.above(off)
	var r disk.Extent // of extent next-1
	at := int64(0)    // where it begins
	if err == nil && next > 0 {
		r, err = m.record(next - 1)
		at = int64(r.Lstart)
	}
	for ; err == nil; next++ {
		e := Extent{Logical: at, Len: m.file.Size - at}
		var behind disk.Extent
		if next < m.count {
			if behind, err = m.record(next); err != nil {
				break
			}
			if behind.Lstart > uint64(m.file.Size) || int64(behind.Lstart) <= at && next > 0 {
				err = m.bad(m.start+next*m.unit, fmt.Sprintf("extent %d: lstart", next), behind.Lstart, "not behind the extent before it, or outside the file")
				break
			}
			e.Len = int64(behind.Lstart) - at
		}
		if next > 0 {
			err = m.fill(&e, &r, next-1)
		}
		if err != nil || e.Len > 0 && !yield(e, nil) || next >= m.count || e.End() == m.file.Size {
			break
		}
		r, at = behind, e.End()
	}
	if err != nil {
		yield(Extent{}, err)
	}
}

// above returns the number of the first record that begins behind byte off, by binary search.
func (m *Map) above(off int64) (int64, error) {
	lo, hi := int64(0), m.count
	for lo < hi {
		mid := lo + (hi-lo)/2
		r, err := m.record(mid)
		if err != nil {
			return 0, err
		}
		if r.Lstart > uint64(off) {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return lo, nil
}

// fill says where an extent, described by record k, is stored (z_erofs_map_blocks_ext).
func (m *Map) fill(e *Extent, r *disk.Extent, k int64) error {
	at := m.start + k*m.unit
	e.PLen, e.Pos, e.Partial = int64(r.Plen.Len()), int64(r.Pstart), r.Plen&disk.PlenPartialRef != 0
	switch a, compressed := r.Plen.Algorithm(); {
	case k == m.count-1 && m.header.Advise&disk.AdviseFragment != 0:
		off := r.FragmentOff()
		if m.unit == disk.Extent4Size {
			off = uint64(r.Plen)
		}
		*e = Extent{Logical: e.Logical, Len: e.Len, Kind: Fragment, Pos: int64(off)}
	case e.PLen == 0:
		*e = Extent{Logical: e.Logical, Len: e.Len}
	case compressed:
		e.Kind, e.Algorithm = Compressed, a
	case m.header.Advise&disk.AdviseInterlaced != 0 && (e.Pos|e.PLen)&(m.file.Super.BlockSize()-1) == 0:
		e.Kind = Interlaced
	default:
		e.Kind = Shifted
	}
	return m.sane(e, at)
}

// sums remembers where the data of every sumEvery-th record of 4 bytes begins, so that finding one in the
// middle of a large file does not add up all records in front of it every time: 8 bytes for 16 KiB
// of index, as far as it was read.
type sums struct {
	mu sync.Mutex // guards at
	at []int64    // of record k*sumEvery
}

const (
	sumEvery = 1 << 12
	sumChunk = 512 // bytes that are read at once: they never cross a page
)

// before returns where the data of record k begins.
func (s *sums) before(m *Map, k int64) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		at := min(k/sumEvery, int64(len(s.at))-1)
		pos, err := m.add(s.at[at], at*sumEvery, min(k, (at+1)*sumEvery))
		if err != nil || k < (at+1)*sumEvery {
			return pos, err
		}
		s.at = append(s.at, pos)
	}
}

// add returns pos plus the lengths of the records from lo to hi, hi excluded.
func (m *Map) add(pos, lo, hi int64) (int64, error) {
	for lo < hi {
		off := m.start + lo*disk.Extent4Size
		n := min(sumChunk-off%sumChunk, (hi-lo)*disk.Extent4Size)
		b, err := m.file.Meta.Read(off, n, "extents")
		if err != nil {
			return 0, err
		}
		for ; len(b) > 0; b = b[disk.Extent4Size:] {
			pos += int64(disk.Plen(binary.LittleEndian.Uint32(b)).Len())
			lo++
		}
	}
	return pos, nil
}
