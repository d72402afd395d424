package tree

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Layers are trees in overlay form, as overlayfs has it (Documentation/filesystems/overlayfs.rst): a
// character device 0:0 is a whiteout, and trusted.overlay.opaque=y on a directory hides what lower
// layers have in it. user.overlay.*, which counts in mounts with userxattr only, and whiteouts as
// extended attributes, which are for overlayfs on overlayfs, are ordinary attributes here.
const (
	// OpaqueXattr is "y" on an opaque directory.
	OpaqueXattr = overlayXattrs + "opaque"

	overlayXattrs  = "trusted.overlay."
	originXattr    = overlayXattrs + "origin"
	overlayEscaped = overlayXattrs + "overlay." // what overlayfs shows as trusted.overlay.*
)

// IsOpaque tells whether n is a directory that hides what lower layers have in it.
func (n *Node) IsOpaque() bool {
	if !n.IsDir() {
		return false
	}
	v, ok := n.Xattr(OpaqueXattr)
	return ok && v == "y"
}

// Merge makes one file system of layers in overlay form, the lowest first: a directory over a
// directory merges with it and sets its metadata, unless it is Implied; anything else replaces what
// the lower layers have; whiteouts and opaque directories remove it and do not show in the result.
// Nor do attributes by which overlayfs keeps its books (trusted.overlay.*, but not the escaped
// trusted.overlay.overlay.*). Hard links within a layer stay hard links. An opaque root counts, as in
// OCI layers, although overlayfs ignores it.
//
// Merge takes its arguments over: their nodes become those of the result, and they must be different
// trees that are not used afterwards, also when it fails. So it needs no memory but for directories
// that grow. It takes time proportional to the entries of all layers.
//
// Overlay attributes that let a file take its name or its bytes from somewhere else (redirect,
// metacopy) give an error that matches errors.ErrUnsupported.
func Merge(layers ...*Tree) (*Tree, error) { return merge(layers, false) }

// Squash is Merge for upper layers of a chain whose base is elsewhere: the result is a layer in overlay
// form with every whiteout and mark that it takes, so that Merge(base, Squash(a, b)) is
// Merge(base, a, b) for every base. What Merge says of its arguments and of errors holds here too.
func Squash(layers ...*Tree) (*Tree, error) { return merge(layers, true) }

func merge(layers []*Tree, squash bool) (*Tree, error) {
	if len(layers) == 0 {
		return New(), nil
	}
	m := merger{squash}
	result := &Tree{Root: layers[0].Root}
	if err := m.settle("", Entry{"", result.Root}); err != nil {
		return nil, err
	}
	for _, l := range layers[1:] {
		if err := m.merge("", result.Root, l.Root); err != nil {
			return nil, err
		}
	}
	if squash {
		mark(result.Root)
	}
	return result, nil
}

// mark gives every directory with a whiteout an empty trusted.overlay.origin. Without it overlayfs lists
// the whiteouts of a directory that is in one layer only (Linux b79e05aaa166).
func mark(n *Node) {
	whiteouts := false
	for _, e := range n.Entries() {
		whiteouts = whiteouts || e.Node.IsWhiteout()
		if e.Node.IsDir() {
			mark(e.Node)
		}
	}
	if _, ok := n.Xattr(originXattr); whiteouts && !ok {
		n.SetXattr(originXattr, "")
	}
}

type merger struct {
	squash bool // keep whiteouts and opaque marks
}

// merge lays the directory upper over the directory n of the result.
func (m *merger) merge(path string, n, upper *Node) error {
	hides := upper.IsOpaque()
	opaque := m.squash && (hides || n.IsOpaque())
	if hides {
		n.Clear()
	}
	if !upper.Implied() {
		n.Mode, n.UID, n.GID, n.Mtime, n.Nsec = upper.Mode, upper.UID, upper.GID, upper.Mtime, upper.Nsec
		n.Xattrs = upper.Xattrs
		n.SetImplied(false)
	}
	if err := m.strip(n); err != nil {
		return inPath(err, path)
	}
	if opaque {
		n.SetXattr(OpaqueXattr, "y")
	}
	for _, e := range upper.Entries() {
		if err := m.add(path, n, e, opaque); err != nil {
			return err
		}
	}
	return nil
}

// add lays one entry of an upper directory over the directory n of the result.
func (m *merger) add(path string, n *Node, e Entry, opaque bool) error {
	lower := n.Lookup(e.Name)
	switch {
	case e.Node.IsWhiteout() && (opaque || !m.squash):
		n.Remove(e.Name)
		return nil
	case e.Node.IsDir() && lower != nil && lower.IsDir():
		return m.merge(join(path, e.Name), lower, e.Node)
	}
	if err := m.settle(path, e); err != nil {
		return err
	}
	if m.squash && e.Node.IsDir() && lower != nil {
		// What it replaces hid directories of this name below; now the directory has to.
		e.Node.SetXattr(OpaqueXattr, "y")
		e.Node.SetImplied(false)
	}
	n.Add(e.Name, e.Node)
	return nil
}

// settle makes an entry that has nothing below it, and all in it, fit for the result. path is that of
// its directory.
func (m *merger) settle(path string, e Entry) error {
	if err := m.strip(e.Node); err != nil {
		return inPath(err, join(path, e.Name))
	}
	if !e.Node.IsDir() {
		return nil
	}
	path = join(path, e.Name)
	for _, c := range e.Node.Entries() {
		if !m.squash && c.Node.IsWhiteout() {
			e.Node.Remove(c.Name)
		} else if err := m.settle(path, c); err != nil {
			return err
		}
	}
	return nil
}

// strip removes the books of overlayfs from the attributes of n.
func (m *merger) strip(n *Node) error {
	for _, x := range n.Xattrs {
		if x.Name == overlayXattrs+"redirect" || x.Name == overlayXattrs+"metacopy" {
			return fmt.Errorf("%s: %w", x.Name, errors.ErrUnsupported)
		}
	}
	if !m.squash && slices.ContainsFunc(n.Xattrs, isBook) {
		n.Xattrs = slices.DeleteFunc(slices.Clone(n.Xattrs), isBook)
	}
	return nil
}

func isBook(x Xattr) bool {
	return strings.HasPrefix(x.Name, overlayXattrs) && !strings.HasPrefix(x.Name, overlayEscaped)
}

func inPath(err error, path string) error { return fmt.Errorf("tree: merge: %q: %w", path, err) }

func join(dir, name string) string {
	if dir == "" {
		return name
	}
	return dir + "/" + name
}
