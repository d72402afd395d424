package mount

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Idmapped mounts a copy of the mount at the directory src at target, with the owners of files mapped by m; mounts below
// src are not copied. The copy is independent: either may be unmounted first. File systems that cannot map (they must
// allow it one by one, erofs since Linux 5.19) give an error that matches errors.ErrUnsupported.
func Idmapped(src, target string, m IDMap) error {
	ns, err := m.Namespace()
	if err != nil {
		return err
	}
	defer func() { _ = ns.Close() }()
	tree, err := mapped(src, ns)
	if err != nil {
		return err
	}
	defer func() { _ = tree.Close() }()
	return attachTree(tree, target)
}

// mapped returns a detached copy of the mount at src with the map of a user namespace; it vanishes when it is closed
// without having been attached.
func mapped(src string, ns *os.File) (*os.File, error) {
	fd, err := unix.OpenTree(unix.AT_FDCWD, src, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("mount: %s: open_tree: %w", src, err)
	}
	tree := os.NewFile(uintptr(fd), src)
	attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_IDMAP, Userns_fd: uint64(ns.Fd())}
	if err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH, &attr); err != nil {
		_ = tree.Close()
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
			return nil, fmt.Errorf("mount: %s: the file system cannot map ids: %w", src, errors.ErrUnsupported)
		}
		return nil, fmt.Errorf("mount: %s: mapping ids: %w", src, err)
	}
	return tree, nil
}

func attachTree(tree *os.File, target string) error {
	err := unix.MoveMount(int(tree.Fd()), "", unix.AT_FDCWD, target, unix.MOVE_MOUNT_F_EMPTY_PATH)
	if err != nil {
		return fmt.Errorf("mount: %s at %s: %w", tree.Name(), target, err)
	}
	return nil
}
