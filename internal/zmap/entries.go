package zmap

import (
	"fmt"

	"github.com/laminafs/lamina/internal/disk"
)

// entry is an lcluster as both indexes have it.
type entry struct {
	off     int64 // in the metadata, for errors
	block   uint32
	ofs     uint32 // of a head: where in the lcluster its extent begins
	back    uint32 // of NONHEAD: the distance to the head before; 0 does not occur in an image of mkfs
	ahead   uint32 // of NONHEAD: the distance to the head behind, at least 1
	blocks  uint16 // of NONHEAD, if counted: the length of the pcluster
	kind    disk.LclusterType
	counted bool
	partial bool
	hole    bool
}

func (e *entry) head() bool { return e.kind != disk.LclusterNonhead }

// walker reads entries. It keeps the last pack of a compact index, since the next entry is mostly there.
type walker struct {
	m    *Map
	pack pack
}

// entry returns the entry of lcluster lcn, which is below m.count.
func (w *walker) entry(lcn int64) (entry, error) {
	e, err := w.load(lcn)
	if err != nil {
		return e, err
	}
	m := w.m
	switch big := m.header.Advise&(disk.AdviseBigPcluster1|disk.AdviseBigPcluster2) != 0; {
	case e.head() && int64(e.ofs)>>m.bits != 0:
		return e, m.badEntry(&e, lcn, "clusterofs", e.ofs, "outside the lcluster")
	case e.counted && !big:
		return e, m.badEntry(&e, lcn, "delta", e.blocks, "a block count in a file without big pclusters")
	}
	return e, nil
}

func (w *walker) load(lcn int64) (entry, error) {
	if w.m.form == compactIndex {
		return w.compact(lcn)
	}
	e := entry{off: w.m.start + lcn*disk.LclusterSize}
	b, err := w.m.file.Meta.Read(e.off, disk.LclusterSize, "lcluster index")
	if err != nil {
		return e, err
	}
	var l disk.Lcluster
	l.Decode((*[disk.LclusterSize]byte)(b))
	if e.kind = l.Type(); e.head() {
		e.ofs, e.block = uint32(l.ClusterOfs), l.Block
		e.partial, e.hole = l.Advise&disk.LclusterPartialRef != 0, l.Advise&disk.LclusterHole != 0
		return e, nil
	}
	d := l.Delta()
	e.distances(d[0], uint32(d[1]))
	return e, nil
}

// distances sets what a NONHEAD says. The one ahead was 0 before mkfs.erofs 1.0, where 1 was meant.
func (e *entry) distances(back uint16, ahead uint32) {
	e.back, e.ahead = uint32(back), max(ahead, 1)
	if e.blocks, e.counted = disk.BlockCount(back); e.counted {
		e.back = 1
	}
}

func (m *Map) badEntry(e *entry, lcn int64, field string, got any, why string) error {
	return m.bad(e.off, fmt.Sprintf("lcluster %d: %s", lcn, field), got, why)
}

// walkEntries is From for an index of lclusters.
func (m *Map) walkEntries(off int64, yield func(Extent, error) bool) {
	w := walker{m: m}
	lcn, next := off>>m.bits, int64(0) // lcn is that of a head, next where the one behind it may be
	head, err := w.entry(lcn)
	if err == nil {
		next = lcn + 1
		if !head.head() {
			next = lcn + int64(head.ahead)
		}
		if !head.head() || off&(1<<m.bits-1) < int64(head.ofs) {
			if head.head() {
				next = lcn
			}
			lcn, head, err = w.back(lcn, head)
		}
	}
	for err == nil {
		e := Extent{Logical: lcn<<m.bits + int64(head.ofs)}
		if e.Logical >= m.file.Size { // the mark behind the last extent, or the last extent itself
			return
		}
		var behind entry
		if next, behind, err = w.ahead(next); err != nil {
			break
		}
		end := m.file.Size
		if next < m.count {
			end = min(end, next<<m.bits+int64(behind.ofs))
		}
		e.Len = end - e.Logical
		if err = w.place(&e, lcn, &head); err != nil || !yield(e, nil) || end == m.file.Size {
			break
		}
		lcn, head = next, behind
		next++
	}
	if err != nil {
		yield(Extent{}, err)
	}
}

// back returns the head in front of lcluster lcn, whose entry is e (z_erofs_extent_lookback).
func (w *walker) back(lcn int64, e entry) (int64, entry, error) {
	if e.head() {
		e.back = 1
	}
	for range maxSteps {
		if e.back == 0 || int64(e.back) > lcn {
			return lcn, e, w.m.badEntry(&e, lcn, "distance to the head", e.back, "leads nowhere")
		}
		lcn -= int64(e.back)
		var err error
		if e, err = w.entry(lcn); err != nil || e.head() {
			return lcn, e, err
		}
	}
	return lcn, e, w.m.badEntry(&e, lcn, "distance to the head", e.back, "too many steps to the head")
}

// ahead returns the first head from lcluster lcn on; the number is m.count or more if there is none.
func (w *walker) ahead(lcn int64) (int64, entry, error) {
	for range maxSteps {
		if lcn >= w.m.count {
			return w.m.count, entry{}, nil
		}
		e, err := w.entry(lcn)
		if err != nil || e.head() {
			return lcn, e, err
		}
		lcn += int64(e.ahead)
	}
	return lcn, entry{}, w.m.bad(-1, fmt.Sprintf("lcluster %d", lcn), nil, "too many steps to the next head")
}

// place says where the extent of the head at lcn is stored.
func (w *walker) place(e *Extent, lcn int64, head *entry) error {
	m := w.m
	advise, tail := m.header.Advise, e.End() == m.file.Size
	switch {
	case e.Len <= 0:
		return m.badEntry(head, lcn, "clusterofs", head.ofs, "the extent is empty")
	case tail && advise&disk.AdviseFragment != 0:
		e.Kind, e.Pos = Fragment, int64(m.header.FragmentOff())
		if m.form == fullIndex { // a compact index has no room for more
			e.Pos |= int64(head.block) << 32
		}
		return m.sane(e, head.off)
	case head.hole:
		return nil
	case tail && m.inlined():
		e.Inline, e.Pos, e.PLen = true, m.IndexEnd(), int64(m.header.IdataSize())
		if bs := m.file.Super.BlockSize(); e.Pos&(bs-1)+e.PLen > bs {
			return m.bad(e.Pos, "inline pcluster", e.PLen, "crosses a block boundary")
		}
	default:
		blocks, err := w.blocks(lcn, head)
		if err != nil || blocks == 0 {
			return err
		}
		e.Pos, e.PLen = int64(head.block)<<m.file.Super.BlockBits, blocks<<m.file.Super.BlockBits
		e.Partial = head.partial
	}
	switch head.kind {
	case disk.LclusterHead1:
		e.Kind, e.Algorithm = Compressed, m.header.Head1()
	case disk.LclusterHead2:
		e.Kind, e.Algorithm = Compressed, m.header.Head2()
	default:
		if e.Kind = Shifted; advise&disk.AdviseInterlaced != 0 && !e.Inline {
			e.Kind = Interlaced
		}
	}
	return m.sane(e, head.off)
}

// inlined tells whether the last pcluster lies behind the index.
func (m *Map) inlined() bool {
	return m.header.Advise&(disk.AdviseInline|disk.AdviseFragment) == disk.AdviseInline && m.header.IdataSize() > 0
}

// blocks returns the length of the pcluster of the head at lcn in blocks; 0 is a hole
// (z_erofs_get_extent_compressedlen).
func (w *walker) blocks(lcn int64, head *entry) (int64, error) {
	big := disk.AdviseBigPcluster2
	if head.kind == disk.LclusterHead1 {
		big = disk.AdviseBigPcluster1
	}
	if w.m.header.Advise&big == 0 || lcn+1 >= w.m.count {
		return 1, nil
	}
	next, err := w.entry(lcn + 1)
	switch {
	case err != nil:
		return 0, err
	case next.counted:
		return int64(next.blocks), nil
	case !next.head() && next.back != 1:
		return 0, w.m.badEntry(&next, lcn+1, "delta", next.back, "neither a block count nor the distance to the head")
	}
	return 1, nil
}
