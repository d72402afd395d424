package dirtree

import (
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/laminafs/lamina/tree"
)

// outDir is an open directory that is written to; path is below the top.
type outDir struct {
	fd   file
	path string
}

func openRoot(dir string) (*outDir, error) {
	fd, err := openAt(unix.AT_FDCWD, dir, openDir&^unix.O_NOFOLLOW)
	return &outDir{fd: fd}, err
}

func (d *outDir) close() { d.fd.close() }

func (d *outDir) open(name string) (*outDir, error) {
	fd, err := openAt(d.fd, name, openDir)
	if err == unix.ELOOP {
		err = unix.ENOTDIR
	}
	return &outDir{fd, join(d.path, name)}, err
}

// mkdir makes a directory, or takes the one that is there.
func (d *outDir) mkdir(name string) (*outDir, error) {
	if err := unix.Mkdirat(int(d.fd), name, 0o700); err != nil && err != unix.EEXIST {
		return nil, err
	}
	return d.open(name)
}

func (d *outDir) remove(name string) error { return unix.Unlinkat(int(d.fd), name, 0) }

// link gives a name in d to what is already in another directory, which is opened step by step: a link
// must not lead elsewhere.
func (d *outDir) link(top *outDir, old place, name string) error {
	from := d.fd
	if old.dir != d.path {
		from = top.fd
		for dir := range strings.SplitSeq(old.dir, "/") {
			if dir == "" {
				break // the top itself
			}
			next, err := openAt(from, dir, openDir|unix.O_PATH)
			if from != top.fd {
				from.close()
			}
			if err != nil {
				return err
			}
			from = next
		}
		if from != top.fd {
			defer from.close()
		}
	}
	return unix.Linkat(int(from), old.name, int(d.fd), name, 0)
}

func (x *extractor) regular(d *outDir, name string, n *tree.Node) error {
	const flags = unix.O_WRONLY | unix.O_CREAT | unix.O_EXCL | unix.O_NOFOLLOW | unix.O_CLOEXEC
	fd, err := again(func() (int, error) { return unix.Openat(int(d.fd), name, flags, 0o600) })
	if err != nil {
		return err
	}
	f := file(fd)
	err = x.fillFile(d, f, name, n)
	if closeErr := unix.Close(fd); err == nil {
		err = closeErr
	}
	return err
}

func (x *extractor) fillFile(d *outDir, f file, name string, n *tree.Node) error {
	if err := x.copyData(f, n); err != nil {
		return err
	}
	where := join(d.path, name)
	owned, err := x.own(where, n, func(uid, gid int) error { return unix.Fchown(int(f), uid, gid) })
	if err != nil {
		return err
	}
	if err := x.setXattrs(where, f, n); err != nil { // behind own, which drops capabilities
		return err
	}
	if err := unix.Fchmod(int(f), x.mode(n, owned)); err != nil {
		return fmt.Errorf("mode: %w", err)
	}
	return x.setTime(d, name, where, n)
}

// WriteAt implements io.WriterAt.
func (f file) WriteAt(p []byte, off int64) (int, error) {
	done := 0
	for done < len(p) {
		n, err := again(func() (int, error) { return unix.Pwrite(int(f), p[done:], off+int64(done)) })
		if err != nil {
			return done, err
		}
		done += n
	}
	return done, nil
}

// Truncate sets the length of the file.
func (f file) Truncate(size int64) error {
	_, err := again(func() (int, error) { return 0, unix.Ftruncate(int(f), size) })
	return err
}

func (x *extractor) symlink(d *outDir, name string, n *tree.Node) error {
	if err := unix.Symlinkat(n.Target, int(d.fd), name); err != nil {
		return err
	}
	return x.setByName(d, name, n)
}

// special makes a device, a fifo or a socket.
func (x *extractor) special(d *outDir, name string, n *tree.Node) error {
	dev, device := 0, n.Type() == tree.TypeChar || n.Type() == tree.TypeBlock
	if device {
		dev = int(unix.Mkdev(tree.DevMajorMinor(n.Rdev)))
	}
	err := unix.Mknodat(int(d.fd), name, n.Type()|0o600, dev)
	if err == unix.EPERM && device {
		x.warn(join(d.path, name), "device, left out: "+err.Error())
		return errLeftOut
	}
	if err != nil {
		return err
	}
	return x.setByName(d, name, n)
}

// setByName sets the metadata of what is not opened: symbolic links, devices and the like.
func (x *extractor) setByName(d *outDir, name string, n *tree.Node) error {
	where := join(d.path, name)
	owned, err := x.own(where, n, func(uid, gid int) error {
		return unix.Fchownat(int(d.fd), name, uid, gid, unix.AT_SYMLINK_NOFOLLOW)
	})
	if err != nil {
		return err
	}
	if err := x.setXattrs(where, d.fd.proc(name), n); err != nil {
		return err
	}
	if n.Type() != tree.TypeSymlink {
		mode := x.mode(n, owned)
		err := unix.Fchmodat(int(d.fd), name, mode, unix.AT_SYMLINK_NOFOLLOW)
		if err == unix.EOPNOTSUPP { // before Linux 6.6; name is what this process has just made
			err = unix.Fchmodat(int(d.fd), name, mode, 0)
		}
		if err != nil {
			return fmt.Errorf("mode: %w", err)
		}
	}
	return x.setTime(d, name, where, n)
}

// setDir sets the metadata of a directory. The mode comes last: with another one its owner may not be
// able to do the rest.
func (x *extractor) setDir(d *outDir, n *tree.Node) error {
	_, err := x.own(d.path, n, func(uid, gid int) error { return unix.Fchown(int(d.fd), uid, gid) })
	if err != nil {
		return err
	}
	if err := x.setXattrs(d.path, d.fd, n); err != nil {
		return err
	}
	if err := x.setTime(d, ".", d.path, n); err != nil {
		return err
	}
	if err := unix.Fchmod(int(d.fd), x.mode(n, true)); err != nil {
		return fmt.Errorf("mode: %w", err)
	}
	return nil
}

// noID is what chown(2) takes for "leave it".
const noID = 1<<32 - 1

// own sets the owner, unless the caller may not, and tells whether it is that of the tree.
func (x *extractor) own(where string, n *tree.Node, chown func(uid, gid int) error) (bool, error) {
	mine := n.UID == uint32(os.Geteuid()) && n.GID == uint32(os.Getegid())
	if x.o.NoOwners {
		return mine, nil
	}
	err := error(unix.EINVAL)
	if n.UID != noID && n.GID != noID {
		err = chown(int(n.UID), int(n.GID))
	}
	// EINVAL: the user namespace has no such owner.
	if err == unix.EPERM || err == unix.EINVAL {
		x.warnOnce("owner", where, fmt.Sprintf("owner %d:%d is not kept, here and where it is like this, nor are set-id bits: %v", n.UID, n.GID, err))
		return mine, nil
	}
	if err != nil {
		return false, fmt.Errorf("owner %d:%d: %w", n.UID, n.GID, err)
	}
	return true, nil
}

// setXattrs sets the extended attributes. What the caller may not set, or is nothing that the file system
// takes, is told once for each name.
func (x *extractor) setXattrs(where string, to xattrTarget, n *tree.Node) error {
	for _, a := range n.Xattrs {
		if a.Name == tree.OpaqueXattr && x.o.NoWhiteouts {
			continue
		}
		err := to.setXattr(a.Name, []byte(a.Value))
		if err == unix.EIO {
			return fmt.Errorf("extended attribute %q: %w", a.Name, err)
		}
		if err != nil {
			x.warnOnce("xattr "+a.Name, where, fmt.Sprintf("extended attribute %q is not kept, here and where it is like this: %v", a.Name, err))
		}
	}
	return nil
}

// setTime sets the modification time; the time of the last access stays.
func (x *extractor) setTime(d *outDir, name, where string, n *tree.Node) error {
	const second = 1e9
	ts, err := unix.TimeToTimespec(time.Unix(n.Mtime, int64(min(n.Nsec, second-1))))
	if err != nil || n.Nsec >= second {
		x.warnOnce("time", where, fmt.Sprintf("time %d.%09d is not kept, here and where it is like this: out of range", n.Mtime, n.Nsec))
		return nil
	}
	times := []unix.Timespec{{Nsec: unix.UTIME_OMIT}, ts}
	if err := unix.UtimesNanoAt(int(d.fd), name, times, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return fmt.Errorf("time: %w", err)
	}
	return nil
}
