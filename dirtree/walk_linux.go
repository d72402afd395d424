package dirtree

import (
	"errors"
	"io"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/laminafs/lamina/tree"
)

// Visit is what Walk found.
type Visit struct {
	Path string // below the directory, with slashes; "" is the directory itself
	Node *tree.Node
	// Link is the path of an earlier visit of the same inode, "" if there was none. With it, Node has only
	// what fills a header: no attributes, no content.
	Link string
}

// Walk calls fn for the directory and for everything below it: of each directory first the character devices
// 0:0, which are whiteouts in directories of overlayfs, then the others, all by name. A Node has no
// children; its Content may be read until fn returns. It leaves out what Read leaves out, and what vanishes
// meanwhile. The first error of fn ends it.
//
// Unlike Read it keeps no tree: memory is that of the names in the directories on the way, and of files with
// several names. A file that grows is read as long as it was, one that shrinks is an error. Linux only.
func Walk(dir string, o Options, fn func(Visit) error) error {
	w := &walker{reader: newReader(nil, o), fn: fn, paths: map[inode]string{}}
	f, st, err := w.open(dir)
	if err != nil {
		return err
	}
	defer f.close()
	n := new(tree.Node)
	fill(n, &st)
	if err := w.xattrs(f, n); err != nil {
		return fail("", err)
	}
	if err := fn(Visit{Node: n}); err != nil {
		return err
	}
	return w.walk(f, "", 0)
}

// walker is the state of one Walk.
type walker struct {
	*reader
	fn    func(Visit) error
	paths map[inode]string // of files with several names: the first that was visited
}

// walk visits what is in the open directory.
func (w *walker) walk(f file, path string, depth int) error {
	if depth == tree.MaxDepth {
		return fail(path, errDeep)
	}
	list, err := w.list(f)
	if err != nil {
		return failDoing(path, "read directory", err)
	}
	slices.SortFunc(list, func(a, b dirent) int { return strings.Compare(a.name, b.name) })
	list = slices.DeleteFunc(list, func(e dirent) bool { return w.excluded(path, e.name) })
	for i := range list {
		if list[i].kind != unix.DT_CHR && list[i].kind != unix.DT_UNKNOWN {
			continue
		}
		var st unix.Stat_t
		if err := f.statAt(list[i].name, &st); errors.Is(err, unix.ENOENT) {
			continue // met again below
		} else if err != nil {
			return failDoing(join(path, list[i].name), "stat", err)
		}
		list[i].kind = uint8(st.Mode & unix.S_IFMT >> 12)
		if list[i].kind == unix.DT_CHR && st.Rdev == 0 {
			if err := w.visit(f, path, list[i], depth); err != nil {
				return err
			}
			list[i].name = ""
		}
	}
	for _, e := range list {
		if e.name == "" {
			continue
		}
		if err := w.visit(f, path, e, depth); err != nil {
			return err
		}
	}
	return nil
}

// visit visits an entry of the open directory f and what is below it.
func (w *walker) visit(f file, dir string, e dirent, depth int) error {
	path := join(dir, e.name)
	var err error
	switch e.kind {
	case unix.DT_REG:
		err = w.visitFile(f, path, e.name)
	case unix.DT_DIR:
		err = w.visitDir(f, path, e.name, depth)
	case unix.DT_SOCK:
		w.warn(path, "socket, left out")
	default:
		err = w.visitSpecial(f, dir, e.name)
	}
	var v *vanished
	if errors.As(err, &v) {
		w.warn(path, "vanished while the directory was read, left out")
		return nil
	}
	return err
}

// vanished is an entry that is not there any more.
type vanished struct{ error }

func (v *vanished) Unwrap() error { return v.error }

// gone marks an error that says that an entry has vanished.
func gone(err error) error {
	if errors.Is(err, unix.ENOENT) {
		return &vanished{err}
	}
	return err
}

func (w *walker) visitDir(parent file, path, name string, depth int) error {
	f, err := openAt(parent, name, openDir)
	if err != nil {
		return gone(failDoing(path, "open", err))
	}
	defer f.close()
	var st unix.Stat_t
	if err := f.stat(&st); err != nil {
		return failDoing(path, "stat", err)
	}
	n := new(tree.Node)
	fill(n, &st)
	if err := w.xattrs(f, n); err != nil {
		return fail(path, err)
	}
	if err := w.fn(Visit{Path: path, Node: n}); err != nil {
		return err
	}
	if w.o.OneFileSystem && st.Dev != w.dev {
		return nil
	}
	return w.walk(f, path, depth+1)
}

func (w *walker) visitFile(parent file, path, name string) error {
	f, err := openAt(parent, name, openFile)
	if err != nil {
		return gone(failDoing(path, "open", err))
	}
	defer f.close()
	var st unix.Stat_t
	if err := f.stat(&st); err != nil {
		return failDoing(path, "stat", err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return fail(path, errBecame)
	}
	v := w.found(path, &st)
	if v.Link == "" {
		if err := w.xattrs(f, v.Node); err != nil {
			return fail(path, err)
		}
		c := &openContent{f: f}
		if st.Blocks < (st.Size+511)/512 {
			if c.data, err = f.data(st.Size, maxExtents); err != nil && err != errChanged {
				return failDoing(path, "find holes", err)
			}
		}
		v.Node.Size, v.Node.Content = st.Size, c
	}
	return w.fn(v)
}

func (w *walker) visitSpecial(parent file, dir, name string) error {
	path := join(dir, name)
	var st unix.Stat_t
	if err := parent.statAt(name, &st); err != nil {
		return gone(failDoing(path, "stat", err))
	}
	v := w.found(path, &st)
	if v.Link != "" {
		return w.fn(v)
	}
	var err error
	switch v.Node.Type() {
	case tree.TypeChar, tree.TypeBlock, tree.TypeFifo:
	case tree.TypeSymlink:
		v.Node.Target, err = parent.readLink(name)
	default:
		err = errBecame
	}
	if err == nil && !w.o.NoXattrs {
		v.Node.Xattrs, err = w.xattr.read(parent.proc(name))
	}
	if err != nil {
		return gone(fail(path, err))
	}
	return w.fn(v)
}

// found begins the visit of a file that is no directory. Whiteouts are never links: overlayfs gives many of
// them one inode.
func (w *walker) found(path string, st *unix.Stat_t) Visit {
	v := Visit{Path: path, Node: new(tree.Node)}
	fill(v.Node, st)
	if st.Nlink < 2 || v.Node.IsWhiteout() {
		return v
	}
	id := inode{st.Dev, st.Ino}
	if first, ok := w.paths[id]; ok {
		v.Link = first
	} else {
		w.paths[id] = path
	}
	return v
}

// openContent is the content of a file that is open.
type openContent struct {
	f    file
	data []tree.Extent
}

// ReadAt implements tree.Content.
func (c *openContent) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.f.ReadAt(p, off)
	if err == io.EOF {
		err = errShrank
	}
	return n, err
}

// Data implements tree.Content.
func (c *openContent) Data() []tree.Extent { return c.data }
