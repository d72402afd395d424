//go:build !linux

package dirtree

import (
	"io"
	"io/fs"
	"os"
	"slices"

	"github.com/laminafs/lamina/tree"
)

// system is the part of reader that is for systems other than Linux.
type system struct {
	dev uint64 // of the root
}

func (r *reader) root(dir string, n *tree.Node) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fail(dir, err)
	}
	defer done(root)
	info, err := root.Stat(".")
	if err != nil {
		return fail(dir, err)
	}
	r.dev = fill(n, info).dev
	return r.dir(root, "", 0, n)
}

// done ends the use of what was read: nothing depends on the result.
func done(c io.Closer) { _ = c.Close() }

// dir reads the open directory into n. Open are the directories on the way to it, at most tree.MaxDepth.
func (r *reader) dir(root *os.Root, path string, depth int, n *tree.Node) error {
	if depth == tree.MaxDepth {
		return fail(path, errDeep)
	}
	names, err := list(root)
	if err != nil {
		return failDoing(path, "read directory", err)
	}
	slices.Sort(names)
	n.Grow(len(names))
	for _, name := range names {
		if r.excluded(path, name) {
			continue
		}
		c, err := r.entry(root, join(path, name), name, depth)
		if err != nil {
			return err
		}
		if c != nil {
			n.Add(name, c)
		}
	}
	return nil
}

func list(root *os.Root) ([]string, error) {
	f, err := root.Open(".")
	if err != nil {
		return nil, err
	}
	defer done(f)
	return f.Readdirnames(-1)
}

// entry reads what name is in the directory, nil if it is left out.
func (r *reader) entry(root *os.Root, path, name string, depth int) (*tree.Node, error) {
	info, err := root.Lstat(name)
	if err != nil {
		return nil, fail(path, err)
	}
	n := new(tree.Node)
	st := fill(n, info)
	if !n.IsDir() && st.links > 1 {
		if old := r.links[st.inode]; old != nil {
			return old, nil
		}
		r.links[st.inode] = n
	}
	switch n.Type() {
	case tree.TypeDir:
		err = r.subdir(root, path, info, depth, n)
	case tree.TypeRegular:
		err = r.regular(root, path, info, n)
	case tree.TypeSymlink:
		if n.Target, err = root.Readlink(name); err != nil {
			err = fail(path, err)
		}
	case tree.TypeSocket:
		r.warn(path, "socket, left out")
		return nil, nil
	case 0:
		r.warn(path, "neither file, directory, link, device nor fifo, left out")
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return n, nil
}

func (r *reader) subdir(parent *os.Root, path string, info fs.FileInfo, depth int, n *tree.Node) error {
	root, err := parent.OpenRoot(info.Name())
	if err != nil {
		return fail(path, err)
	}
	defer done(root)
	now, err := root.Stat(".")
	if err != nil {
		return fail(path, err)
	}
	if !os.SameFile(info, now) {
		return fail(path, errBecame)
	}
	if st := fill(n, now); r.o.OneFileSystem && st.dev != r.dev {
		return nil
	}
	return r.dir(root, path, depth+1, n)
}

func (r *reader) regular(parent *os.Root, path string, info fs.FileInfo, n *tree.Node) error {
	f, err := parent.Open(info.Name())
	if err != nil {
		return fail(path, err)
	}
	defer done(f)
	now, err := f.Stat()
	if err != nil {
		return fail(path, err)
	}
	if !os.SameFile(info, now) {
		return fail(path, errBecame)
	}
	fill(n, now)
	n.Size = now.Size()
	r.at, r.name = "", path
	if n.Content, err = r.put(f, tree.File{Size: n.Size}); err != nil {
		return fail(path, err)
	}
	after, err := f.Stat()
	if err != nil {
		return fail(path, err)
	}
	if after.Size() != now.Size() || !after.ModTime().Equal(now.ModTime()) {
		return fail(path, errChanged)
	}
	return nil
}

// fill sets the metadata that the system has.
func fill(n *tree.Node, info fs.FileInfo) (st status) {
	n.Mode = typeOf(info.Mode()) | uint32(info.Mode().Perm())
	for _, b := range []struct {
		bit  fs.FileMode
		mode uint32
	}{{fs.ModeSetuid, 0o4000}, {fs.ModeSetgid, 0o2000}, {fs.ModeSticky, 0o1000}} {
		if info.Mode()&b.bit != 0 {
			n.Mode |= b.mode
		}
	}
	t := info.ModTime()
	n.Mtime, n.Nsec = t.Unix(), uint32(t.Nanosecond())
	return statusOf(n, info)
}

// status is what tells whether two names are the same file.
type status struct {
	inode
	links uint64
}

func typeOf(m fs.FileMode) uint32 {
	switch {
	case m.IsRegular():
		return tree.TypeRegular
	case m.IsDir():
		return tree.TypeDir
	case m&fs.ModeSymlink != 0:
		return tree.TypeSymlink
	case m&fs.ModeNamedPipe != 0:
		return tree.TypeFifo
	case m&fs.ModeSocket != 0:
		return tree.TypeSocket
	case m&fs.ModeCharDevice != 0:
		return tree.TypeChar
	case m&fs.ModeDevice != 0:
		return tree.TypeBlock
	}
	return 0
}
