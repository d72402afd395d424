package tree

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// random makes trees out of bytes, so that the fuzzer can steer it: few names, shallow directories,
// and much that is equal between two trees.
type random struct{ src []byte }

// byte returns the next byte below n, 0 when there are no more.
func (r *random) byte(n int) int {
	if len(r.src) == 0 {
		return 0
	}
	b := r.src[0]
	r.src = r.src[1:]
	return int(b) % n
}

func (r *random) tree(layer bool) *Tree {
	t := &Tree{Root: r.dir(layer, 3)}
	if v, ok := t.Root.Xattr(OpaqueXattr); ok && v == "y" {
		t.Root.RemoveXattr(OpaqueXattr) // overlayfs ignores it, TestMergeOfOpaqueRoot has it
	}
	return t
}

func (r *random) dir(layer bool, depth int) *Node {
	n := NewDir(uint32(0o700 + r.byte(3)))
	r.meta(n)
	if layer && r.byte(5) == 1 {
		n.SetXattr(OpaqueXattr, []string{"y", "y", "n"}[r.byte(3)])
	}
	if layer && r.byte(7) == 1 {
		n.SetImplied(true)
	}
	var files []*Node
	for range r.byte(5) {
		name := string(rune('a' + r.byte(4)))
		kind := r.byte(9)
		switch {
		case kind < 3 && depth > 0:
			n.Add(name, r.dir(layer, depth-1))
		case kind == 3 && layer:
			n.Add(name, &Node{Mode: TypeChar})
		case kind == 4 && len(files) > 0:
			n.Add(name, files[r.byte(len(files))])
		default:
			f := r.leaf()
			files = append(files, f)
			n.Add(name, f)
		}
	}
	return n
}

// change makes a few changes in a tree without marks of a layer.
func (r *random) change(t *Tree) {
	for range 1 + r.byte(4) {
		var dirs, files []*Node
		for _, n := range t.Inodes() {
			if n.IsDir() {
				dirs = append(dirs, n)
			} else {
				files = append(files, n)
			}
		}
		d, name := dirs[r.byte(len(dirs))], string(rune('a'+r.byte(4)))
		switch r.byte(7) {
		case 0:
			d.Remove(name)
		case 1:
			d.Add(name, r.dir(false, 1))
		case 2:
			d.Add(name, r.leaf())
		case 3: // another name for a file
			if len(files) > 0 {
				d.Add(name, files[r.byte(len(files))])
			}
		case 4: // an equal file instead of a link
			if n := d.Lookup(name); n != nil && !n.IsDir() {
				c := *n
				d.Add(name, &c)
			}
		case 5:
			if len(files) > 0 {
				n := files[r.byte(len(files))]
				n.Rdev ^= uint32(r.byte(2)) << 3
				n.UID ^= uint32(r.byte(2))
			}
		case 6:
			r.meta(d)
		}
	}
}

func (r *random) leaf() *Node {
	n := &Node{Mode: TypeRegular | uint32(0o600+r.byte(2))}
	switch r.byte(5) {
	case 0:
		n.Mode, n.Target = TypeSymlink|0o777, fmt.Sprint("to", r.byte(3))
	case 1:
		n.Mode, n.Rdev = TypeChar|0o600, Dev(1, uint32(3+r.byte(3)))
	case 2:
		n.Mode = TypeFifo | 0o600
	default:
		b := Bytes(strings.Repeat("x", r.byte(3)))
		n.Content, n.Size = b, int64(len(b))
		if len(b) > 0 && r.byte(2) == 1 {
			n.Content = slowBytes{[]byte{byte('x' + r.byte(2)), 'x'}[:len(b)]}
		}
	}
	r.meta(n)
	return n
}

func (r *random) meta(n *Node) {
	n.Mtime, n.Nsec, n.UID = int64(r.byte(3))-1, uint32(r.byte(2)), uint32(r.byte(2))
	if n.Type() != TypeSymlink && r.byte(4) == 1 {
		n.SetXattr("trusted.t", fmt.Sprint(r.byte(2)))
	}
}

// slowBytes is a Content that Go cannot compare.
type slowBytes struct{ b []byte }

func (s slowBytes) ReadAt(p []byte, off int64) (int, error) { return Bytes(s.b).ReadAt(p, off) }
func (s slowBytes) Data() []Extent                          { return nil }

// clone copies everything but contents.
func clone(t *Tree) *Tree {
	seen := map[*Node]*Node{}
	var node func(n *Node) *Node
	node = func(n *Node) *Node {
		if c := seen[n]; c != nil {
			return c
		}
		c := *n
		c.Xattrs, c.dir = slices.Clone(n.Xattrs), nil
		c.SetImplied(n.Implied())
		seen[n] = &c
		for _, e := range n.Entries() {
			c.Add(e.Name, node(e.Node))
		}
		return &c
	}
	return &Tree{Root: node(t.Root)}
}

func clones(ts []*Tree) (out []*Tree) {
	for _, t := range ts {
		out = append(out, clone(t))
	}
	return out
}

func dump(t testing.TB, tr *Tree) string {
	t.Helper()
	var b strings.Builder
	if err := Dump(&b, tr); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func sameTree(t testing.TB, what string, got, want *Tree) {
	t.Helper()
	if g, w := dump(t, got), dump(t, want); g != w {
		t.Fatalf("%s:\n%swant\n%s", what, g, w)
	}
}
