package tree

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
)

// DiffOptions says how Diff compares; the zero value compares everything.
type DiffOptions struct {
	// TrustTimes takes files of equal length and modification time for equal. Times that a build
	// has fixed make that wrong.
	TrustTimes bool
}

// Diff returns the layer in overlay form that turns lower into upper: Merge(lower, Diff(lower, upper))
// is upper. It holds what is new or different, directories on the way to it, and whiteouts for what
// is gone. All names of a hard-linked node are in it as soon as one has to be.
//
// Files are equal if Content is the same value or, behind equal metadata, the bytes are; so it reads
// files whose metadata did not change. The arguments are not modified but for the numbers of Inodes;
// the result has directories of its own and shares all other nodes with upper.
//
// A whiteout or an attribute trusted.overlay.* in upper would not mean itself in a layer: that is an
// error which matches errors.ErrUnsupported.
func Diff(lower, upper *Tree) (*Tree, error) { return DiffWith(lower, upper, DiffOptions{}) }

// DiffWith is Diff with options.
func DiffWith(lower, upper *Tree, o DiffOptions) (*Tree, error) {
	d := differ{o: o, links: map[*Node]*link{}, owner: map[*Node]*Node{}}
	for _, n := range lower.Inodes() {
		if !n.IsDir() && n.Links() > 1 {
			d.owner[n] = nil
		}
	}
	for _, n := range upper.Inodes() {
		if !n.IsDir() && n.Links() > 1 {
			d.links[n] = &link{}
		}
	}
	if len(d.links)+len(d.owner) > 0 {
		if err := d.pair("", lower.Root, upper.Root); err != nil {
			return nil, err
		}
	}
	root, _, err := d.dir("", lower.Root, upper.Root)
	if err != nil {
		return nil, err
	}
	mark(root)
	return &Tree{Root: root}, nil
}

type differ struct {
	o     DiffOptions
	links map[*Node]*link // nodes of upper that are hard-linked, or stand where one of lower is
	owner map[*Node]*Node // hard-linked nodes of lower and what continues each in upper
	a, b  []byte          // buffers of sameBytes
}

// link is what has become of a node of upper: the node of lower that all of its names had, alone, or
// something that must be in the layer.
type link struct {
	lower   *Node
	changed bool
}

// pair finds out about links for all names in the directory u of upper; l is what lower has in its
// place, perhaps nil.
func (d *differ) pair(path string, l, u *Node) error {
	for _, e := range u.Entries() {
		var old *Node
		if l != nil {
			old = l.Lookup(e.Name)
		}
		var err error
		if e.Node.IsDir() {
			err = d.pair(join(path, e.Name), old, e.Node)
		} else {
			err = d.claim(join(path, e.Name), old, e.Node)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// claim makes l continue in u, if no other node has claimed it and u has claimed no other.
func (d *differ) claim(path string, l, u *Node) error {
	k := d.links[u]
	owner, hard := d.owner[l]
	if k == nil && !hard {
		return nil // a single name on both sides
	}
	if k == nil {
		k = &link{}
		d.links[u] = k
	}
	switch {
	case k.changed || k.lower != nil && k.lower == l:
	case l == nil || k.lower != nil || owner != nil:
		k.changed = true
	default:
		same, err := d.same(path, l, u)
		if err != nil {
			return err
		}
		k.changed, k.lower = !same, l
		d.owner[l] = u
	}
	return nil
}

// dir returns the layer for a directory that both trees have, and whether there is anything in it.
func (d *differ) dir(path string, l, u *Node) (out *Node, changed bool, err error) {
	if err := plain(path, u); err != nil {
		return nil, false, err
	}
	out, changed = copyDir(u), !sameMeta(l, u)
	old, now := l.Entries(), u.Entries()
	for len(old) > 0 || len(now) > 0 {
		var n *Node
		var name string
		switch {
		case len(now) == 0 || len(old) > 0 && old[0].Name < now[0].Name:
			name, n = old[0].Name, &Node{Mode: TypeChar}
			old = old[1:]
		case len(old) == 0 || now[0].Name < old[0].Name:
			name = now[0].Name
			n, err = d.take(join(path, name), now[0].Node)
			now = now[1:]
		default:
			name = now[0].Name
			n, err = d.both(join(path, name), old[0].Node, now[0].Node)
			old, now = old[1:], now[1:]
		}
		if err != nil {
			return nil, false, err
		}
		if n != nil {
			out.Add(name, n)
			changed = true
		}
	}
	return out, changed, nil
}

// both returns what the layer has for a name that both trees have, nil for nothing.
func (d *differ) both(path string, l, u *Node) (*Node, error) {
	if l.IsDir() && u.IsDir() {
		out, changed, err := d.dir(path, l, u)
		if !changed {
			return nil, err
		}
		return out, err
	}
	if u.IsDir() {
		return d.take(path, u)
	}
	if err := plain(path, u); err != nil {
		return nil, err
	}
	same := false
	if k := d.links[u]; k != nil {
		same = !k.changed
	} else {
		var err error
		if same, err = d.same(path, l, u); err != nil {
			return nil, err
		}
	}
	if same {
		return nil, nil
	}
	return u, nil
}

// take returns what the layer has for a name that lower does not have.
func (d *differ) take(path string, u *Node) (*Node, error) {
	if err := plain(path, u); err != nil || !u.IsDir() {
		return u, err
	}
	out := copyDir(u)
	for _, e := range u.Entries() {
		n, err := d.take(join(path, e.Name), e.Node)
		if err != nil {
			return nil, err
		}
		out.Add(e.Name, n)
	}
	return out, nil
}

func copyDir(n *Node) *Node {
	return &Node{Mode: n.Mode, UID: n.UID, GID: n.GID, Mtime: n.Mtime, Nsec: n.Nsec, Xattrs: n.Xattrs}
}

// plain returns an error for what a layer cannot hold, since it would have a meaning in it.
func plain(path string, n *Node) error {
	what := ""
	if n.IsWhiteout() {
		what = "character device 0:0"
	} else if i := slices.IndexFunc(n.Xattrs, isBook); i >= 0 {
		what = n.Xattrs[i].Name
	}
	if what == "" {
		return nil
	}
	return fmt.Errorf("tree: diff: %q: %s in a layer: %w", path, what, errors.ErrUnsupported)
}

func sameMeta(a, b *Node) bool {
	return a.Mode == b.Mode && a.UID == b.UID && a.GID == b.GID && a.Mtime == b.Mtime && a.Nsec == b.Nsec &&
		slices.Equal(a.Xattrs, b.Xattrs)
}

// same tells whether two nodes that are not directories differ in nothing but their names.
func (d *differ) same(path string, a, b *Node) (bool, error) {
	if a == b {
		return true, nil
	}
	if !sameMeta(a, b) {
		return false, nil
	}
	switch a.Type() {
	case TypeSymlink:
		return a.Target == b.Target, nil
	case TypeChar, TypeBlock:
		return a.Rdev == b.Rdev, nil
	case TypeRegular:
		if a.Size != b.Size {
			return false, nil
		}
		if a.Size == 0 || d.o.TrustTimes || identical(a.Content, b.Content) {
			return true, nil
		}
		same, err := d.sameBytes(a.Content, b.Content, a.Size)
		if err != nil {
			err = fmt.Errorf("tree: diff: %q: %w", path, err)
		}
		return same, err
	}
	return true, nil
}

// identical tells whether two contents are the same value; types that Go cannot compare never are.
func identical(a, b Content) bool {
	return (a == nil || reflect.ValueOf(a).Comparable()) && (b == nil || reflect.ValueOf(b).Comparable()) && a == b
}
