package dirtree

import (
	"fmt"
	"io"
	"os"

	"github.com/laminafs/lamina/tree"
)

// ExtractOptions of Extract; the zero value works.
type ExtractOptions struct {
	// Overwrite replaces files that are in the way. Directories merge with those of the tree always.
	Overwrite bool
	// NoOwners lets everything belong to the caller. Set-id bits of what belongs to others are dropped.
	NoOwners bool
	// NoWhiteouts leaves out the marks of a layer: whiteouts, which are written as character devices 0:0
	// otherwise, and trusted.overlay.opaque.
	NoWhiteouts bool
	// Mask takes permission bits away from everything but symbolic links, like a umask.
	Mask uint32
	// Warn, if set, is told of everything that the caller or the file system could not do.
	Warn func(Warning)
}

// Extract writes the tree into the directory, which is made if it does not exist, and gives it the
// metadata of the root. It renumbers the nodes of the tree (Inodes).
//
// Nothing is written outside of the directory, whatever the names in the tree and the symbolic links in
// the directory are: names with a slash and the like are an error before anything is written, as are more
// than tree.MaxDepth levels, and no link is followed. Files are written sparse where they have holes. With the rights of root everything that Read reads comes back;
// without them owners, devices and some extended attributes do not. What the file system refuses of
// these is told to Warn: once for the owners and for each name of an attribute, for every device.
//
// After an error the directory holds a part of the tree, with directories that only the caller can
// enter. Nothing is synced.
func Extract(t *tree.Tree, dir string, o ExtractOptions) error {
	if err := check("", t.Root, 0); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fail(dir, err)
	}
	root, err := openRoot(dir)
	if err != nil {
		return failDoing(dir, "open", err)
	}
	defer root.close()
	t.Inodes()
	x := &extractor{o: o, top: root, first: map[*tree.Node]place{}, warned: map[string]bool{}}
	if err := x.create(root, t.Root); err != nil {
		return err
	}
	return x.finish(root, t.Root)
}

// extractor writes in two passes: first everything in directories of mode 0700, then the metadata of the
// directories, in which nobody might be able to write any more.
type extractor struct {
	o      ExtractOptions
	top    *outDir
	first  map[*tree.Node]place // first names of hard-linked nodes
	warned map[string]bool
	buf    []byte
}

// place is a name in a directory; dir is its path. Nodes that could not be made have no name.
type place struct{ dir, name string }

// maxWarned bounds the kinds of things that are warned of once.
const maxWarned = 256

// warnOnce warns the first time that something of a kind happens.
func (x *extractor) warnOnce(kind, path, text string) {
	if x.warned[kind] || len(x.warned) == maxWarned {
		return
	}
	x.warned[kind] = true
	x.warn(path, text)
}

func (x *extractor) warn(path, text string) {
	if x.o.Warn != nil {
		x.o.Warn(Warning{path, text})
	}
}

// create makes what is in the directory n of the tree in the open directory d.
func (x *extractor) create(d *outDir, n *tree.Node) error {
	for _, e := range n.Entries() {
		if err := x.entry(d, e); err != nil {
			return err
		}
	}
	return nil
}

func (x *extractor) entry(d *outDir, e tree.Entry) error {
	n := e.Node
	switch {
	case n.IsDir():
		sub, err := x.makeDir(d, e.Name)
		if err != nil {
			return failDoing(join(d.path, e.Name), "make directory", err)
		}
		defer sub.close()
		return x.create(sub, n)
	case n.IsWhiteout() && x.o.NoWhiteouts:
		return nil
	case n.Links() == 1:
		_, err := x.makeNode(d, e.Name, n)
		return err
	}
	if p, ok := x.first[n]; ok {
		return x.makeLink(d, e.Name, p)
	}
	made, err := x.makeNode(d, e.Name, n)
	if x.first[n] = (place{}); made {
		x.first[n] = place{d.path, e.Name}
	}
	return err
}

func (x *extractor) makeDir(d *outDir, name string) (*outDir, error) {
	sub, err := d.mkdir(name)
	if err != nil && x.o.Overwrite && d.remove(name) == nil {
		return d.mkdir(name)
	}
	return sub, err
}

// makeLink gives another name to what has the first one.
func (x *extractor) makeLink(d *outDir, name string, first place) error {
	if first.name == "" {
		return nil // it was told before
	}
	err := d.link(x.top, first, name)
	if x.inTheWay(d, name, err) {
		err = d.link(x.top, first, name)
	}
	if err != nil {
		return failDoing(join(d.path, name), fmt.Sprintf("link to %q", join(first.dir, first.name)), err)
	}
	return nil
}

// inTheWay removes a file that err says is there already, if it is to be overwritten.
func (x *extractor) inTheWay(d *outDir, name string, err error) bool {
	return x.o.Overwrite && os.IsExist(err) && d.remove(name) == nil
}

// makeNode makes anything but a directory. It returns false if the system cannot have it.
func (x *extractor) makeNode(d *outDir, name string, n *tree.Node) (bool, error) {
	path := join(d.path, name)
	do, what := x.special, "make"
	switch n.Type() {
	case tree.TypeRegular:
		do, what = x.regular, "write"
	case tree.TypeSymlink:
		do, what = x.symlink, "make symbolic link"
	}
	err := do(d, name, n)
	if x.inTheWay(d, name, err) {
		err = do(d, name, n)
	}
	if err == errLeftOut {
		return false, nil
	}
	if err != nil {
		return false, failDoing(path, what, err)
	}
	return true, nil
}

// finish sets the metadata of the directory n, which is d, and of all below it, the deepest first.
func (x *extractor) finish(d *outDir, n *tree.Node) error {
	for _, e := range n.Entries() {
		if !e.Node.IsDir() {
			continue
		}
		sub, err := d.open(e.Name)
		if err != nil {
			return failDoing(join(d.path, e.Name), "open", err)
		}
		err = x.finish(sub, e.Node)
		sub.close()
		if err != nil {
			return err
		}
	}
	if err := x.setDir(d, n); err != nil {
		return fail(d.path, err)
	}
	return nil
}

const errLeftOut = constError("left out")

// check returns an error for a tree that no directory can hold, before there is anything in one.
func check(path string, d *tree.Node, depth int) error {
	if depth == tree.MaxDepth {
		return fail(path, errDeep)
	}
	for _, e := range d.Entries() {
		if !allowed(e.Name) {
			return fail(path, fmt.Errorf("name: %q: not allowed", e.Name))
		}
		switch e.Node.Type() {
		case tree.TypeDir:
			if err := check(join(path, e.Name), e.Node, depth+1); err != nil {
				return err
			}
		case tree.TypeRegular, tree.TypeSymlink, tree.TypeChar, tree.TypeBlock, tree.TypeFifo, tree.TypeSocket:
		default:
			return fail(join(path, e.Name), fmt.Errorf("mode: %#o: no file type", e.Node.Mode))
		}
	}
	return nil
}

// allowed tells whether the system takes the name for one component of a path.
func allowed(name string) bool {
	if name == "" || name == "." || name == ".." {
		return false
	}
	for i := range len(name) {
		if name[i] == 0 || name[i] == '/' || os.IsPathSeparator(name[i]) {
			return false
		}
	}
	return true
}

// mode returns the permission bits that a node gets; owned = false if it is a file whose owner could not
// be kept.
func (x *extractor) mode(n *tree.Node, owned bool) uint32 {
	m := n.Mode & tree.PermMask &^ x.o.Mask
	if !owned {
		m &^= 0o6000
	}
	return m
}

// copyStep is how much of a file is in memory.
const copyStep = 1 << 20

// output is a file that is written.
type output interface {
	io.WriterAt
	Truncate(size int64) error
}

// copyData writes the bytes of n to an empty file and leaves holes where n has them.
func (x *extractor) copyData(w output, n *tree.Node) error {
	if n.Size == 0 {
		return nil
	}
	if n.Content == nil || n.Size < 0 {
		return fmt.Errorf("size: %d: without content", n.Size)
	}
	if x.buf == nil {
		x.buf = make([]byte, copyStep)
	}
	data := n.Content.Data()
	if data == nil {
		return x.copyRange(w, n, tree.Extent{Len: n.Size})
	}
	end := int64(0)
	for _, e := range data {
		if e.Off < end || e.Len < 0 || e.Len > n.Size-e.Off {
			return fmt.Errorf("extent %d+%d: not in order or beyond the size %d", e.Off, e.Len, n.Size)
		}
		if err := x.copyRange(w, n, e); err != nil {
			return err
		}
		end = e.Off + e.Len
	}
	if end == n.Size {
		return nil
	}
	return w.Truncate(n.Size)
}

func (x *extractor) copyRange(w output, n *tree.Node, e tree.Extent) error {
	for e.Len > 0 {
		b := x.buf[:min(e.Len, copyStep)]
		k, err := n.Content.ReadAt(b, e.Off)
		if k < len(b) {
			if err == nil || err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return fmt.Errorf("offset %d: %w", e.Off+int64(k), err)
		}
		if _, err := w.WriteAt(b, e.Off); err != nil {
			return err
		}
		e.Off, e.Len = e.Off+int64(k), e.Len-int64(k)
	}
	return nil
}
