package mkfs

import (
	"fmt"

	"github.com/laminafs/lamina/internal/disk"
	"github.com/laminafs/lamina/tree"
)

// memory is a stream that stays in memory.
type memory struct {
	off int64 // of its first byte
	b   []byte
}

func (m *memory) pos() int64     { return m.off + int64(len(m.b)) }
func (m *memory) write(b []byte) { m.b = append(m.b, b...) }
func (m *memory) zero(n int64)   { m.b = append(m.b, make([]byte, n)...) }
func (m *memory) failed() error  { return nil }

// emitOuter plans and writes the inodes outside of the metabox: its own, and the packed one. How long their indexes are
// is known only now. They go behind the superblock if they fit before the data, else to the end of the image.
func (e *emitter) emitOuter(box *box) error {
	w := e.w
	nodes := []*tree.Node{box.p.node()}
	if n := w.packedNode(); n != nil {
		nodes = append(nodes, n)
	}
	for _, n := range nodes {
		n.Mtime, n.Nsec = e.epoch, e.nsec
	}
	early := memory{off: disk.Align(int64(len(w.encodeHeader())), disk.SlotSize)}
	var out stream = &early
	o, err := e.planOuter(nodes, 0, early.off)
	if err == nil && o.pos > w.header {
		w.meta.align(w.bs)
		out = w.meta
		o, err = e.planOuter(nodes, w.meta.pos(), disk.SlotSize)
	}
	if err != nil {
		return err
	}
	e.inos += int64(len(nodes))
	e.metaBlock, e.boxNID = o.metaBlock, o.nid(0)
	if e.packed {
		e.packedNID = o.nid(1)
	}
	outer := emitter{plan: o.plan, w: w, ino: out}
	for i, n := range nodes {
		if err := outer.inode(i, n); err != nil {
			return err
		}
	}
	w.outer = early
	e.out.align(max(w.bs, w.o.SizeAlign))
	e.end = e.out.pos()
	return nil
}

// planOuter places inodes in the image, the first one not before pos behind base.
func (e *emitter) planOuter(nodes []*tree.Node, base, pos int64) (*planner, error) {
	o := &planner{w: e.w, plan: &plan{inodes: nodes, items: make([]item, len(nodes)), epoch: e.epoch, nsec: e.nsec}}
	o.address(base)
	o.origin = o.metaBlock << e.w.bits
	o.pos += pos - disk.SlotSize
	for i, n := range nodes {
		if err := o.inode(i, n); err != nil {
			return nil, fmt.Errorf("mkfs: metabox or packed inode: %w", err)
		}
	}
	return o, nil
}
