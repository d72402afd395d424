package mount

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Mounted tells whether dir is the root of a mount, by one statx(2) (Linux 5.8). A symbolic link is not followed. A
// directory that does not exist is an error that matches fs.ErrNotExist.
func Mounted(dir string) (bool, error) {
	var st unix.Statx_t
	const flags = unix.AT_SYMLINK_NOFOLLOW | unix.AT_NO_AUTOMOUNT | unix.AT_STATX_DONT_SYNC
	if err := unix.Statx(unix.AT_FDCWD, dir, flags, 0, &st); err != nil {
		return false, fmt.Errorf("mount: %s: %w", dir, err)
	}
	if st.Attributes_mask&unix.STATX_ATTR_MOUNT_ROOT == 0 {
		return false, fmt.Errorf("mount: %s: this kernel does not tell what is mounted: %w", dir, errors.ErrUnsupported)
	}
	return st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0, nil
}

// Table returns the mounts at prefix and below it, "" for all, in the order of the kernel: what lies on top of a
// directory comes later. Symbolic links in prefix are not resolved. Mounts that come or go meanwhile may be in it or not,
// all others are.
func Table(prefix string) ([]Entry, error) {
	prefix, err := tablePrefix(prefix)
	if err != nil {
		return nil, err
	}
	f, err := os.Open("/proc/thread-self/mountinfo") // threads may be in mount namespaces of their own
	if err != nil {
		return nil, fmt.Errorf("mount: table: %w", err)
	}
	defer func() { _ = f.Close() }()
	return readTable(f, prefix)
}

// TypeOf names the file system mounted at dir: "erofs", "overlay", or "" for another one and for a
// directory at which nothing is mounted.
func TypeOf(dir string) (string, error) {
	mounted, err := Mounted(dir)
	if err != nil || !mounted {
		return "", err
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return "", fmt.Errorf("mount: %s: %w", dir, err)
	}
	switch uint32(fs.Type) {
	case unix.EROFS_SUPER_MAGIC_V1:
		return "erofs", nil
	case unix.OVERLAYFS_SUPER_MAGIC:
		return "overlay", nil
	}
	return "", nil
}
