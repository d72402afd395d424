package compress

import (
	"iter"

	"github.com/laminafs/lamina/internal/disk"
)

// lcluster is an entry of a full or compact index before it is encoded.
type lcluster struct {
	typ     disk.LclusterType
	ofs     int64 // of a head: clusterofs
	pos     int64 // of a head: byte of the pcluster
	partial bool
	count   int64 // behind a head: blocks of its pcluster if they are to be said here, else -1
	back    int64 // behind a head: distance to it
	next    int64 // behind a head: distance to the next one
}

// lclusters yields the entries of the runs. An extent owns the lclusters from the one in which it begins up to
// the one in which the next one does. A last extent that ends within an lcluster without beginning there is
// followed by an entry of no bytes, as mkfs.erofs does it.
func (m *Map) lclusters(f Form, runs iter.Seq[Run]) iter.Seq[lcluster] {
	return func(yield func(lcluster) bool) {
		bs := int64(1) << m.BlockBits
		var at int64 // where the run begins
		for r := range m.all(f, runs) {
			first, last := at/bs, (at+r.Len)/bs
			if at+r.Len == m.Size && first == last { // it begins and ends in the last lcluster
				last = first + 1
			}
			for k := first; k < last; k++ {
				e := lcluster{typ: disk.LclusterNonhead, back: k - first, next: last - k, count: -1}
				switch {
				case k == first:
					e = lcluster{typ: r.head(), ofs: at % bs, pos: r.Pos, partial: r.Partial}
				case k == first+1 && m.Big:
					e.count = r.PLen / bs
				}
				if !yield(e) {
					return
				}
			}
			if at += r.Len; at == m.Size && last*bs < at {
				yield(lcluster{typ: disk.LclusterPlain, ofs: at % bs, pos: -1})
			}
		}
	}
}

func (r *Run) head() disk.LclusterType {
	switch {
	case r.Stored:
		return disk.LclusterPlain
	case r.Second:
		return disk.LclusterHead2
	}
	return disk.LclusterHead1
}

// delta returns what an entry behind a head says first: the length of the pcluster or the distance to it.
func (e *lcluster) delta() uint16 {
	if e.count >= 0 {
		return disk.LclusterBlockCount | uint16(e.count)
	}
	return uint16(min(e.back, disk.LclusterMaxDelta))
}

// appendFull appends the entries of a full index.
func (m *Map) appendFull(b []byte, runs iter.Seq[Run]) []byte {
	for e := range m.lclusters(FormFull, runs) {
		l := disk.Lcluster{Advise: uint16(e.typ), ClusterOfs: uint16(e.ofs)}
		switch {
		case e.typ == disk.LclusterNonhead:
			l.SetDelta([2]uint16{e.delta(), uint16(min(e.next, 1<<16-1))})
		case e.pos >= 0:
			l.Block = uint32(e.pos >> m.BlockBits)
		}
		if e.partial {
			l.Advise |= disk.LclusterPartialRef
		}
		start := len(b)
		b = append(b, make([]byte, disk.LclusterSize)...)
		l.Encode((*[disk.LclusterSize]byte)(b[start:]))
	}
	return b
}

// appendCompact appends the packs of a compact index whose map header begins at at of b.
func (m *Map) appendCompact(b []byte, at int64, runs iter.Seq[Run]) []byte {
	c := packer{b: b, bits: m.BlockBits, big: m.Big, shape: m.compactShape(at)}
	for e := range m.lclusters(FormCompact, runs) {
		c.add(&e)
	}
	return c.b
}

// packer makes the packs of a compact index. There are no addresses of pclusters in it, as they follow each
// other. With big pclusters, the base of a pack is the block behind all pclusters whose length is told before it: by
// a count, or by a head behind the head. Without, nothing tells a length, and the base is the block of the head
// before the pack.
type packer struct {
	b     []byte
	bits  uint8
	big   bool
	shape disk.CompactShape
	index uint64 // of the next entry

	pack  [disk.Compact2Entries]disk.CompactEntry
	base  int64
	block int64 // of the last head, and of what is behind its pcluster once its length is told
}

func (c *packer) add(e *lcluster) {
	_, slot, two := c.shape.Pack(c.index)
	if slot == 0 {
		c.base = c.block
		if e.pos >= 0 && e.typ != disk.LclusterNonhead {
			c.base = e.pos >> c.bits
			if !c.big {
				c.base--
			}
		}
	}
	slots := disk.Compact4Entries
	if two {
		slots = disk.Compact2Entries
	}
	out := disk.CompactEntry{Type: e.typ, Lo: uint16(e.ofs)}
	switch {
	case e.typ != disk.LclusterNonhead:
		if e.pos >= 0 {
			c.block = e.pos >> c.bits
		}
	case e.count >= 0:
		out.Lo = e.delta()
		c.block += e.count
	case slot == slots-1:
		out.Lo = uint16(min(e.next, disk.LclusterMaxDelta))
	default:
		out.Lo = e.delta()
	}
	c.pack[slot] = out
	c.index++
	if slot == slots-1 || c.index == c.shape.Head4+c.shape.In2+c.shape.Tail4 {
		c.flush(two)
	}
}

// flush encodes the pack; what is not filled of it is zero.
func (c *packer) flush(two bool) {
	base := uint32(max(c.base, 0))
	start := len(c.b)
	if two {
		c.b = append(c.b, make([]byte, disk.Compact2Size)...)
		p := disk.Compact2{Entries: c.pack, Base: base}
		p.Encode((*[disk.Compact2Size]byte)(c.b[start:]))
	} else {
		c.b = append(c.b, make([]byte, disk.Compact4Size)...)
		p := disk.Compact4{Entries: [2]disk.CompactEntry(c.pack[:2]), Base: base}
		p.Encode((*[disk.Compact4Size]byte)(c.b[start:]), c.bits)
	}
	c.pack = [disk.Compact2Entries]disk.CompactEntry{}
}
