package mkfs

import (
	"github.com/laminafs/lamina/internal/disk"
	"github.com/laminafs/lamina/tree"
)

// dirCursor walks the entries of a directory in the order on disk: by bytes, "." and ".." among them.
type dirCursor struct {
	entries []tree.Entry
	dots    []string
}

func newDirCursor(n *tree.Node) dirCursor {
	return dirCursor{entries: n.Entries(), dots: dotNames[:]}
}

var dotNames = [...]string{".", ".."}

// next returns the next name; node is nil for "." and "..".
func (c *dirCursor) next() (name string, node *tree.Node, ok bool) {
	if len(c.dots) > 0 && (len(c.entries) == 0 || c.dots[0] < c.entries[0].Name) {
		name, c.dots = c.dots[0], c.dots[1:]
		return name, nil, true
	}
	if len(c.entries) == 0 {
		return "", nil, false
	}
	e := c.entries[0]
	c.entries = c.entries[1:]
	return e.Name, e.Node, true
}

// dirSize returns how many full blocks a directory takes and how long its last block is, 0 if that one
// is full as well. An entry goes into the block while it fits.
func dirSize(n *tree.Node, bs int64) (full, last int64) {
	c := newDirCursor(n)
	for {
		name, _, ok := c.next()
		if !ok {
			break
		}
		need := disk.DirentSize + int64(len(name))
		if last+need > bs {
			full, last = full+1, 0
		}
		last += need
	}
	if last == bs {
		full, last = full+1, 0
	}
	return full, last
}

// dirEncoder encodes the blocks of one directory one after the other.
type dirEncoder struct {
	c    dirCursor
	p    *plan
	self uint32 // 1-based numbers of the directory and its parent
	up   uint32

	entries []dirEntry // of the block being filled
	held    bool       // the last entry did not fit: it begins the next block
}

type dirEntry struct {
	name string
	node *tree.Node
}

func (p *plan) encoder(i int) *dirEncoder {
	return &dirEncoder{c: newDirCursor(p.inodes[i]), p: p, self: uint32(i + 1), up: p.items[i].parent}
}

// block appends the next block to b without padding; it appends nothing at the end.
func (d *dirEncoder) block(b []byte, bs int64) []byte {
	if d.held {
		d.entries = append(d.entries[:0], d.entries[len(d.entries)-1])
	} else {
		d.entries = d.entries[:0]
	}
	d.held = false
	used := int64(0)
	if len(d.entries) == 1 {
		used = disk.DirentSize + int64(len(d.entries[0].name))
	}
	for {
		name, node, ok := d.c.next()
		if !ok {
			break
		}
		d.entries = append(d.entries, dirEntry{name, node})
		used += disk.DirentSize + int64(len(name))
		if used > bs {
			d.held = true
			break
		}
	}
	list := d.entries
	if d.held {
		list = list[:len(list)-1]
	}
	return d.encode(b, list)
}

func (d *dirEncoder) encode(b []byte, list []dirEntry) []byte {
	start := len(b)
	nameOff := len(list) * disk.DirentSize
	b = append(b, make([]byte, nameOff)...)
	for i, e := range list {
		de := disk.Dirent{NameOff: uint16(nameOff), FileType: disk.FileDir}
		switch {
		case e.node != nil:
			de.NID = d.p.nid(int(e.node.Ino() - 1))
			de.FileType = disk.FileTypeOf(e.node.Mode)
		case e.name == ".":
			de.NID = d.p.nid(int(d.self - 1))
		default:
			de.NID = d.p.nid(int(d.up - 1))
		}
		de.Encode((*[disk.DirentSize]byte)(b[start+i*disk.DirentSize:]))
		b = append(b, e.name...)
		nameOff += len(e.name)
	}
	return b
}
