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
	ends  ends             // of fragments
	known map[digest]int64 // where longer ones begin
	out   tails            // pclusters, until all files are placed
	sent  int64            // bytes handed to the workers
}

// fragment ends a file, or all of it, with bytes of the packed inode: those that end a fragment there, or new ones. part
// says that they are one of several parts, which come one after the other.
func (k *compressor) fragment(m *mapped, b []byte, part bool) error {
	off := int64(-1)
	if !part {
		var err error
		if off, err = k.packed.at(b); err != nil {
			return err
		}
	}
	if m.FragmentLen == 0 {
		m.Fragment = off
		m.Count++
	}
	m.FragmentLen += int64(len(b))
	if off >= 0 {
		k.w.saved += int64(len(b))
		return nil
	}
	if m.Fragment < 0 {
		m.Fragment = k.packed.place.size
	}
	k.pack(b)
	return nil
}

// at returns where a fragment ends with these bytes. If none does it returns -1, and takes note of them as the next one.
func (p *packed) at(b []byte) (int64, error) {
	if len(b) > maxEnd {
		key := digestOf(b)
		if off, ok := p.known[key]; ok {
			return off, nil
		}
		p.known[key] = p.place.size
		return -1, nil
	}
	c, err := p.ends.find(b)
	if err != nil {
		return 0, err
	}
	if c.n == len(b) {
		return p.ends.known[c.of].end - int64(c.n), nil
	}
	return -1, p.ends.add(b, p.place.size+int64(len(b)), c)
}

// sharedEnd leaves out the last extents of a file if the packed inode has all of their bytes, at the end of a fragment:
// these become what fragment refers to.
func (k *compressor) sharedEnd(piece *compress.Piece) error {
	c, err := k.packed.ends.find(piece.Src[max(0, len(piece.Src)-maxEnd):])
	if err != nil || c.n < len(piece.Rest) {
		return err
	}
	keep, n := len(piece.Extents), len(piece.Rest)
	for i, at := keep-1, n; i >= 0; i-- {
		e := &piece.Extents[i]
		if at += e.Len; at > c.n {
			break
		}
		if e.Ref == 0 { // else nothing is gained
			keep, n = i, at
		}
	}
	piece.Extents, piece.Rest = piece.Extents[:keep], piece.Src[len(piece.Src)-n:]
	return nil
}

// pack appends to the packed inode.
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
		run := compress.Run{Len: int64(e.Len), PLen: int64(e.PLen), Stored: e.Stored}
		run.Pos = m.end + k.pad(m.end, &run)
		if _, err := k.packed.out.add(make([]byte, run.Pos-m.end)); err != nil {
			return err
		}
		if _, err := k.packed.out.add(out[:e.PLen]); err != nil {
			return err
		}
		k.add(m, run)
		out = out[e.PLen:]
	}
	return nil
}

// endPacked writes the packed inode behind all data.
func (k *compressor) endPacked() error {
	p := k.packed.place
	based := k.refs.packs()
	if p.size == 0 && !based {
		return nil
	}
	if based {
		k.padPacked()
	}
	k.sendPacked(true)
	if err := k.drain(); err != nil {
		return err
	}
	w, m := k.w, p.comp
	w.data.align(max(w.bs, decodePage))
	if based {
		w.data.zero(k.packedShift(m, w.data.pos()) * w.bs)
	}
	m.base = w.data.pos()
	if err := k.packed.out.copyTo(w.data); err != nil {
		return err
	}
	if based {
		if err := k.appendPacked(p, m); err != nil {
			return err
		}
	}
	m.Size = p.size
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
