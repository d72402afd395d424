//go:build !linux

package dirtree

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/laminafs/lamina/tree"
)

// outDir is a directory that is written to; path is below root, out of which os.Root does not lead.
type outDir struct {
	root *os.Root
	path string
}

func openRoot(dir string) (*outDir, error) {
	root, err := os.OpenRoot(dir)
	return &outDir{root: root}, err
}

func (d *outDir) close() {
	if d.path == "" {
		done(d.root)
	}
}

// open returns a directory in d that is no symbolic link to one.
func (d *outDir) open(name string) (*outDir, error) {
	path := join(d.path, name)
	info, err := d.root.Lstat(path)
	if err == nil && !info.IsDir() {
		err = syscall.ENOTDIR
	}
	return &outDir{d.root, path}, err
}

// mkdir makes a directory, or takes the one that is there.
func (d *outDir) mkdir(name string) (*outDir, error) {
	if err := d.root.Mkdir(join(d.path, name), 0o700); err != nil && !os.IsExist(err) {
		return nil, err
	}
	return d.open(name)
}

func (d *outDir) remove(name string) error {
	path := join(d.path, name)
	if info, err := d.root.Lstat(path); err != nil || info.IsDir() {
		return errors.Join(err, syscall.EISDIR)
	}
	return d.root.Remove(path)
}

func (d *outDir) link(_ *outDir, old place, name string) error {
	return d.root.Link(join(old.dir, old.name), join(d.path, name))
}

func (x *extractor) regular(d *outDir, name string, n *tree.Node) error {
	f, err := d.root.OpenFile(join(d.path, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	err = x.copyData(f, n)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = x.setMeta(d.root, join(d.path, name), n)
	}
	return err
}

func (x *extractor) symlink(d *outDir, name string, n *tree.Node) error {
	path := join(d.path, name)
	if err := d.root.Symlink(n.Target, path); err != nil {
		return err
	}
	x.own(d.root, path, n)
	return nil
}

func (x *extractor) special(d *outDir, name string, n *tree.Node) error {
	x.warn(join(d.path, name), "device, fifo or socket, left out")
	return errLeftOut
}

func (x *extractor) setDir(d *outDir, n *tree.Node) error {
	path := d.path
	if path == "" {
		path = "."
	}
	return x.setMeta(d.root, path, n)
}

// setMeta sets what os.Root can set. The mode comes last: with another one the rest may be impossible.
func (x *extractor) setMeta(root *os.Root, path string, n *tree.Node) error {
	for _, a := range n.Xattrs {
		x.warnOnce("xattr", path, fmt.Sprintf("extended attribute %q is not kept, nor is any other", a.Name))
	}
	owned := x.own(root, path, n) || n.IsDir()
	t := time.Unix(n.Mtime, int64(min(n.Nsec, 1e9-1)))
	if err := root.Chtimes(path, time.Time{}, t); err != nil {
		return err
	}
	bits := x.mode(n, owned)
	mode := os.FileMode(bits & 0o777)
	for _, b := range []struct {
		mode uint32
		bit  os.FileMode
	}{{0o4000, os.ModeSetuid}, {0o2000, os.ModeSetgid}, {0o1000, os.ModeSticky}} {
		if bits&b.mode != 0 {
			mode |= b.bit
		}
	}
	return root.Chmod(path, mode)
}

// own sets the owner, unless the caller or the system cannot, and tells whether it is that of the tree.
func (x *extractor) own(root *os.Root, path string, n *tree.Node) bool {
	mine := n.UID == uint32(os.Geteuid()) && n.GID == uint32(os.Getegid())
	if x.o.NoOwners {
		return mine
	}
	err := root.Lchown(path, int(n.UID), int(n.GID))
	if err != nil {
		x.warnOnce("owner", path, fmt.Sprintf("owner %d:%d is not kept, here and where it is like this, nor are set-id bits: %v", n.UID, n.GID, err))
	}
	return err == nil || mine
}
