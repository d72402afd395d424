package dirtree

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/laminafs/lamina/tree"
)

// system is the part of reader that is for Linux.
type system struct {
	dev    uint64 // of the root
	dirent []byte // buffer of getdents64(2)
	xattr  xattrReader
}

// openFile: O_NONBLOCK does not wait for the writer of a fifo that took the place of a file.
const openFile = unix.O_RDONLY | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_CLOEXEC

const openDir = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC

// open opens the directory that everything is below, whose device counts as the file system; the caller closes it.
func (r *reader) open(dir string) (f file, st unix.Stat_t, err error) {
	if f, err = openAt(unix.AT_FDCWD, dir, openDir&^unix.O_NOFOLLOW); err != nil {
		return f, st, failDoing(dir, "open", err)
	}
	if err := f.stat(&st); err != nil {
		f.close()
		return f, st, failDoing(dir, "stat", err)
	}
	r.dev = st.Dev
	return f, st, nil
}

func (r *reader) root(dir string, n *tree.Node) error {
	f, st, err := r.open(dir)
	if err != nil {
		return err
	}
	defer f.close()
	fill(n, &st)
	if err := r.xattrs(f, n); err != nil {
		return fail("", err)
	}
	return r.dir(f, "", 0, n)
}

// dir reads the open directory into n. Open are the directories on the way to it, at most tree.MaxDepth.
func (r *reader) dir(f file, path string, depth int, n *tree.Node) error {
	if depth == tree.MaxDepth {
		return fail(path, errDeep)
	}
	list, err := r.list(f)
	if err != nil {
		return failDoing(path, "read directory", err)
	}
	slices.SortFunc(list, func(a, b dirent) int { return strings.Compare(a.name, b.name) })
	n.Grow(len(list))
	for _, e := range list {
		if r.excluded(path, e.name) {
			continue
		}
		c, err := r.entry(f, path, e, depth)
		if err != nil {
			return err
		}
		if c != nil {
			n.Add(e.name, c)
		}
	}
	return nil
}

// entry reads what e names in the directory f, nil if it is left out.
func (r *reader) entry(f file, path string, e dirent, depth int) (*tree.Node, error) {
	if e.kind == unix.DT_UNKNOWN { // some file systems do not tell
		var st unix.Stat_t
		if err := f.statAt(e.name, &st); err != nil {
			return nil, failDoing(join(path, e.name), "stat", err)
		}
		e.kind = uint8(st.Mode & unix.S_IFMT >> 12)
	}
	switch e.kind {
	case unix.DT_REG:
		return r.regular(f, path, e.name)
	case unix.DT_DIR:
		return r.subdir(f, join(path, e.name), e.name, depth)
	case unix.DT_SOCK:
		r.warn(join(path, e.name), "socket, left out")
		return nil, nil
	}
	return r.special(f, path, e.name)
}

func (r *reader) subdir(parent file, path, name string, depth int) (*tree.Node, error) {
	f, err := openAt(parent, name, openDir)
	if err != nil {
		return nil, failDoing(path, "open", err)
	}
	defer f.close()
	var st unix.Stat_t
	if err := f.stat(&st); err != nil {
		return nil, failDoing(path, "stat", err)
	}
	n := new(tree.Node)
	fill(n, &st)
	if err := r.xattrs(f, n); err != nil {
		return nil, fail(path, err)
	}
	if r.o.OneFileSystem && st.Dev != r.dev {
		return n, nil
	}
	return n, r.dir(f, path, depth+1, n)
}

func (r *reader) regular(parent file, path, name string) (*tree.Node, error) {
	f, err := openAt(parent, name, openFile)
	if err != nil {
		return nil, failDoing(join(path, name), "open", err)
	}
	defer f.close()
	r.at, r.name = path, name
	n, err := r.contents(f)
	if err != nil {
		return nil, fail(join(path, name), err)
	}
	return n, nil
}

// contents reads a regular file with its bytes, unless another name of it was read already.
func (r *reader) contents(f file) (*tree.Node, error) {
	var st, after unix.Stat_t
	if err := f.stat(&st); err != nil {
		return nil, fmt.Errorf("stat: %w", err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, errBecame
	}
	n, known := r.node(&st)
	if known {
		return n, nil
	}
	if err := r.xattrs(f, n); err != nil {
		return nil, err
	}
	n.Size = st.Size
	out := tree.File{Size: st.Size}
	if st.Blocks < (st.Size+511)/512 {
		var err error
		if out.Data, err = f.data(st.Size, maxExtents); err != nil {
			return nil, fmt.Errorf("find holes: %w", err)
		}
	}
	var err error
	if n.Content, err = r.put(f, out); err != nil {
		return nil, err
	}
	if err := f.stat(&after); err != nil {
		return nil, fmt.Errorf("stat: %w", err)
	}
	if after.Size != st.Size || after.Mtim != st.Mtim {
		return nil, errChanged
	}
	return n, nil
}

// special reads a symbolic link, device or fifo, which is not opened: to open a device does things.
func (r *reader) special(parent file, dir, name string) (*tree.Node, error) {
	var st unix.Stat_t
	if err := parent.statAt(name, &st); err != nil {
		return nil, failDoing(join(dir, name), "stat", err)
	}
	n, known := r.node(&st)
	if known {
		return n, nil
	}
	var err error
	switch n.Type() {
	case tree.TypeChar, tree.TypeBlock, tree.TypeFifo:
	case tree.TypeSymlink:
		n.Target, err = parent.readLink(name)
	default:
		err = errBecame
	}
	if err == nil && !r.o.NoXattrs {
		n.Xattrs, err = r.xattr.read(parent.proc(name))
	}
	if err != nil {
		return nil, fail(join(dir, name), err)
	}
	return n, nil
}

// node returns the node of a file that is no directory, known if another name of it was read already.
func (r *reader) node(st *unix.Stat_t) (n *tree.Node, known bool) {
	n = new(tree.Node)
	if st.Nlink > 1 {
		id := inode{st.Dev, st.Ino}
		if old := r.links[id]; old != nil {
			return old, true
		}
		r.links[id] = n
	}
	fill(n, st)
	return n, false
}

func (r *reader) xattrs(f file, n *tree.Node) (err error) {
	if !r.o.NoXattrs {
		n.Xattrs, err = r.xattr.read(f)
	}
	return err
}

func fill(n *tree.Node, st *unix.Stat_t) {
	n.Mode, n.UID, n.GID = st.Mode&(tree.TypeMask|tree.PermMask), st.Uid, st.Gid
	sec, nsec := st.Mtim.Unix()
	n.Mtime, n.Nsec = sec, uint32(nsec)
	if t := n.Type(); t == tree.TypeChar || t == tree.TypeBlock {
		n.Rdev = tree.Dev(unix.Major(st.Rdev), unix.Minor(st.Rdev))
	}
}
