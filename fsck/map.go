package fsck

import (
	"cmp"
	"fmt"
	"io"
	"slices"
)

// Range is a part of an image and what it belongs to.
type Range struct {
	Off   int64  `json:"off"`
	Len   int64  `json:"len"`
	Kind  Kind   `json:"kind"`
	Inode bool   `json:"inode"`          // whether it belongs to an inode
	NID   uint64 `json:"nid"`            // of that inode; of several the one that an entry names first
	Path  string `json:"path,omitempty"` // of that inode, "" if it has no name
	Refs  uint32 `json:"refs"`           // how many files have their data exactly here; 1 for what else is in use, 0 for the rest
}

// Map returns what every byte of an image belongs to: ranges in ascending order that cover [0, size)
// without gaps. Findings are ignored; what Check cannot interpret is unused in the map. Of overlapping
// ranges metadata wins, then the one that starts first. Errors are failures of r and more than
// Options.MaxRanges ranges.
func Map(r io.ReaderAt, size int64, o Options) ([]Range, error) {
	var all []Range
	err := EachRange(r, size, o, func(r Range) error {
		all = append(all, r)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// EachRange calls fn with the ranges of Map one after the other; memory is 32 bytes for each range and
// inode, paths are made as they are needed. An error of fn ends it.
func EachRange(r io.ReaderAt, size int64, o Options, fn func(Range) error) error {
	o.MaxFindings = 1
	c := newChecker(r, size, o)
	m := &mapper{c: c, limit: o.MaxRanges}
	if m.limit == 0 {
		m.limit = DefaultMaxRanges
	}
	c.record = m.claim
	if c.run(r); c.err != nil {
		return c.err
	}
	if m.full {
		return fmt.Errorf("fsck: map: more than %d ranges", m.limit)
	}
	return m.emit(fn)
}

// mapper collects the claims of a walk.
type mapper struct {
	c      *checker
	limit  int
	full   bool
	pieces list[piece]
	owners list[owner]
	gen    uint32
}

// piece is a claim without what is the same for all claims of an inode.
type piece struct {
	off, end int64
	owner    uint32
	kind     Kind
}

type owner struct {
	inode bool
	nid   uint64
	dir   int32
	name  nameRef
	self  bool // the directory itself, not a name in it
}

func (m *mapper) claim(cl claim) {
	if cl.device != 0 {
		return
	}
	if m.full = m.full || m.pieces.len() >= m.limit; m.full {
		return
	}
	w := &m.c.where
	if m.owners.len() == 0 || m.gen != w.gen {
		m.owners.append(owner{w.inode, w.nid, int32(w.dir), m.c.names.add(w.name), w.name == nil})
		m.gen = w.gen
	}
	at := uint32(m.owners.len() - 1)
	if n := m.pieces.len(); n > 0 && cl.kind == KindData {
		if last := m.pieces.at(n - 1); last.kind == KindData && last.owner == at && last.end == cl.off {
			last.end = cl.end // chunks that follow on each other
			return
		}
	}
	m.pieces.append(piece{cl.off, cl.end, at, cl.kind})
}

// emit sorts what was claimed and fills the gaps. Metadata is claimed by one owner only, so its pieces
// never overlap.
func (m *mapper) emit(fn func(Range) error) error {
	meta, data := m.sorted()
	e := &emitter{m: m, fn: fn}
	var reach int64 // end of the data that was emitted
	for len(data) > 0 {
		p := *m.pieces.at(int(data[0]))
		n := m.equal(data)
		data = data[n:]
		if p.off = max(p.off, reach); p.off >= p.end {
			continue
		}
		reach = p.end
		for len(meta) > 0 {
			q := m.pieces.at(int(meta[0]))
			if q.off >= p.end {
				break
			}
			e.put(&p, min(q.off, p.end), uint32(n))
			e.put(q, q.end, 1)
			meta = meta[1:]
		}
		e.put(&p, p.end, uint32(n))
	}
	for _, i := range meta {
		q := m.pieces.at(int(i))
		e.put(q, q.end, 1)
	}
	e.fill(m.c.space[0].size)
	return e.err
}

// sorted returns the places of metadata and of data in pieces, ordered by address.
func (m *mapper) sorted() (meta, data []uint32) {
	for i := range m.pieces.len() {
		if m.pieces.at(i).kind == KindData {
			data = append(data, uint32(i))
		} else {
			meta = append(meta, uint32(i))
		}
	}
	byAddress := func(a, b uint32) int {
		x, y := m.pieces.at(int(a)), m.pieces.at(int(b))
		return cmp.Or(cmp.Compare(x.off, y.off), cmp.Compare(x.end, y.end), cmp.Compare(a, b))
	}
	slices.SortFunc(meta, byAddress)
	slices.SortFunc(data, byAddress)
	return meta, data
}

// equal returns how many of the first pieces are the same range.
func (m *mapper) equal(data []uint32) int {
	first, n := m.pieces.at(int(data[0])), 1
	for ; n < len(data); n++ {
		if p := m.pieces.at(int(data[n])); p.off != first.off || p.end != first.end {
			break
		}
	}
	return n
}

// emitter passes ranges on, each behind the one before.
type emitter struct {
	m   *mapper
	fn  func(Range) error
	at  int64
	err error
}

// put emits a piece up to end, as far as it lies behind what was emitted, with the gap before it.
func (e *emitter) put(p *piece, end int64, refs uint32) {
	off := max(p.off, e.at)
	if off >= end || e.err != nil {
		return
	}
	e.fill(off)
	o := e.m.owners.at(int(p.owner))
	r := Range{Off: off, Len: end - off, Kind: p.kind, Inode: o.inode, Refs: refs}
	if o.inode {
		var name []byte
		if !o.self {
			name = e.m.c.names.get(o.name)
		}
		r.NID, r.Path = o.nid, e.m.c.path(int(o.dir), name)
	}
	e.emit(r)
}

// fill emits what nothing claimed up to end.
func (e *emitter) fill(end int64) {
	for e.at < end && e.err == nil {
		g := e.m.c.cut(e.at, end)
		e.emit(Range{Off: g.lo, Len: g.hi - g.lo, Kind: g.kind})
	}
}

func (e *emitter) emit(r Range) {
	if e.err == nil {
		e.err = e.fn(r)
	}
	e.at = r.Off + r.Len
}
