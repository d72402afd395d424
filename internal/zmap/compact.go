package zmap

import "github.com/laminafs/lamina/internal/disk"

// pack is a decoded pack of a compact index.
type pack struct {
	off     int64 // in the metadata; 0 before the first one
	n       int
	entries [disk.Compact2Entries]disk.CompactEntry
	base    uint32
}

// load reads the pack of n entries at off.
func (p *pack) load(m *Map, off int64, two bool) error {
	size := int64(disk.Compact4Size)
	if two {
		size = disk.Compact2Size
	}
	b, err := m.file.Meta.Read(off, size, "compact index")
	if err != nil {
		return err
	}
	p.off = off
	if two {
		var d disk.Compact2
		d.Decode((*[disk.Compact2Size]byte)(b))
		p.n, p.base, p.entries = len(d.Entries), d.Base, d.Entries
		return nil
	}
	var d disk.Compact4
	d.Decode((*[disk.Compact4Size]byte)(b), m.bits)
	p.n, p.base = copy(p.entries[:], d.Entries[:]), d.Base
	return nil
}

// compact returns the entry of lcluster lcn of a compact index (z_erofs_load_compact_lcluster).
func (w *walker) compact(lcn int64) (entry, error) {
	at, i, two := w.m.shape.Pack(uint64(lcn))
	if at += w.m.start; w.pack.off != at {
		if err := w.pack.load(w.m, at, two); err != nil {
			return entry{}, err
		}
	}
	p := &w.pack
	e := entry{off: at, kind: p.entries[i].Type}
	if !e.head() {
		back := p.entries[i].Lo
		if _, counted := disk.BlockCount(back); !counted && i == p.n-1 {
			back = p.backOfLast() // it has the distance ahead instead
		}
		e.distances(back, p.ahead(i))
		return e, nil
	}
	e.ofs = uint32(p.entries[i].Lo)
	blocks, ok := p.blocks(i, w.m.header.Advise&disk.AdviseBigPcluster1 != 0)
	if !ok {
		return e, w.m.badEntry(&e, lcn, "delta", p.entries[i].Lo, "a pcluster in front of it, in the same pack, has no block count")
	}
	e.block = p.base + blocks
	return e, nil
}

// backOfLast returns the distance to the head of the last entry, which follows from the one in front.
func (p *pack) backOfLast() uint16 {
	before := p.entries[p.n-2]
	if before.Type != disk.LclusterNonhead {
		return 1
	}
	if _, counted := disk.BlockCount(before.Lo); counted {
		return 2
	}
	return min(before.Lo+1, disk.LclusterMaxDelta) // one more would be a block count
}

// ahead returns the distance from entry i, which is no head, to the head behind.
func (p *pack) ahead(i int) uint32 {
	for k := i + 1; k < p.n; k++ {
		if p.entries[k].Type != disk.LclusterNonhead {
			return uint32(k - i)
		}
	}
	last := p.entries[p.n-1].Lo
	if _, counted := disk.BlockCount(last); counted {
		last = 1 // it may be a head or not
	}
	return uint32(p.n-1-i) + uint32(last)
}

// blocks returns how far behind the base of the pack the pcluster of entry i, a head, begins: behind the
// pclusters of the heads before it. ok = false if one of these lacks the block count that it must have.
func (p *pack) blocks(i int, big bool) (n uint32, ok bool) {
	if !big {
		n = 1 // the base is the block in front of the first pcluster
	}
	for k := range i {
		e, next := p.entries[k], p.entries[k+1]
		if e.Type != disk.LclusterNonhead {
			if !big || next.Type != disk.LclusterNonhead {
				n++
			}
			continue
		}
		if !big {
			continue
		}
		if count, counted := disk.BlockCount(e.Lo); counted {
			n += uint32(count)
		} else if e.Lo <= 1 {
			return n, false
		}
	}
	return n, true
}
