package mkfs

import (
	"github.com/laminafs/lamina/internal/compress"
	"github.com/laminafs/lamina/internal/disk"
	"github.com/laminafs/lamina/tree"
)

// packed is the packed inode: the ends of files, and small files, one behind the other, compressed as if they
// were one file. Its pclusters are kept apart while files are placed, so that they lie together behind them
// and a compact index can describe them.
type packed struct {
	place *place
	open  *batch           // the segment being filled
	known map[digest]int64 // where fragments begin
	out   tails            // pclusters, until all files are placed
	sent  int64            // bytes handed to the workers
}

// fragment puts the end of a file, or all of it, into the packed inode; equal ones only once. part says that it is
// one of several parts, which come one after the other.
func (k *compressor) fragment(m *mapped, b []byte, part bool) {
	at := k.packed.place.size
	switch {
	case part && m.FragmentLen > 0:
		m.FragmentLen += int64(len(b))
	case part:
		m.Fragment, m.FragmentLen = at, int64(len(b))
		m.Count++
	default:
		m.Fragment, m.FragmentLen = at, int64(len(b))
		m.Count++
		key := digestOf(b)
		if off, known := k.packed.known[key]; known {
			m.Fragment = off
			k.w.saved += int64(len(b))
			return
		}
		k.packed.known[key] = at
	}
	k.pack(b)
}

// pack appends b to the packed inode.
func (k *compressor) pack(b []byte) {
	k.packed.place.size += int64(len(b))
	for len(b) > 0 {
		if k.packed.open == nil {
			k.packed.open = k.batch()
		}
		o := k.packed.open
		n := copy(o.src[len(o.src):cap(o.src)], b)
		o.src, b = o.src[:len(o.src)+n], b[n:]
		if len(o.src) == cap(o.src) {
			k.sendPacked(false)
		}
	}
}

// sendPacked hands a segment of the packed inode to the workers. It does not commit others, as it is called
// while one is being committed: as one batch brings less than two segments, not many more wait than should.
func (k *compressor) sendPacked(last bool) {
	b := k.packed.open
	if b == nil {
		return
	}
	k.packed.open = nil
	b.job.Pieces = append(b.job.Pieces, compress.Piece{Src: b.src, Method: 0, Pcluster: k.c.packedPcluster(int(k.w.bs))})
	b.parts = append(b.parts, part{p: k.packed.place, off: k.packed.sent, last: last})
	k.packed.sent += int64(len(b.src))
	k.start(b)
}

// commitPacked keeps the pclusters of a segment of the packed inode.
func (k *compressor) commitPacked(piece *compress.Piece) error {
	m := k.packed.place.comp
	out := piece.Out
	for _, e := range piece.Extents {
		pos := m.end + k.pad(m.end, e)
		if _, err := k.packed.out.add(make([]byte, pos-m.end)); err != nil {
			return err
		}
		if _, err := k.packed.out.add(out[:e.PLen]); err != nil {
			return err
		}
		k.add(m, compress.Run{Len: int64(e.Len), Pos: pos, PLen: int64(e.PLen), Stored: e.Stored})
		out = out[e.PLen:]
	}
	return nil
}

// endPacked writes the packed inode behind all data.
func (k *compressor) endPacked() error {
	p := k.packed.place
	if p.size == 0 {
		return nil
	}
	k.sendPacked(true)
	if err := k.drain(); err != nil {
		return err
	}
	w, m := k.w, p.comp
	w.data.align(max(w.bs, decodePage))
	m.Size, m.base = p.size, w.data.pos()
	if err := k.packed.out.copyTo(w.data); err != nil {
		return err
	}
	w.top = max(w.top, disk.Blocks(w.data.pos(), w.bits))
	if err := k.end(m); err != nil {
		return err
	}
	return w.data.failed()
}

// packedNode returns the node of the packed inode, nil if there is none.
func (w *Writer) packedNode() *tree.Node {
	if w.comp == nil || w.comp.packed.place == nil || w.comp.packed.place.size == 0 {
		return nil
	}
	return w.comp.packed.place.node()
}
