package mount

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// SetProject puts the directory, and all that will be made in it, into a project of the file system's quota, with a limit
// of bytes, 0 for none, rounded up to KiB. The directory should be empty: files in it stay where they are. id is not 0.
// A write beyond the limit fails with ENOSPC on xfs, EDQUOT on ext4, where it does not bind processes with
// CAP_SYS_RESOURCE, which containers have only if privileged. errors.ErrUnsupported: the file system keeps no
// project quota (ext4 and xfs do if mounted with prjquota), or the kernel is older than 5.14; nothing has changed then.
func SetProject(dir string, id uint32, limit uint64) error {
	if id == 0 {
		return fmt.Errorf("mount: project of %s: 0 means none", dir)
	}
	d, err := openDir(dir)
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	if err := setLimit(d, id, limit); err != nil {
		return err
	}
	return setProjectID(d, id)
}

// ProjectOf returns the id of the directory's project, 0 for none and for file systems that have no projects.
func ProjectOf(dir string) (uint32, error) {
	d, err := openDir(dir)
	if err != nil {
		return 0, err
	}
	defer func() { _ = d.Close() }()
	attr, err := getAttr(d)
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return 0, err
	}
	return attr.project, nil
}

// ProjectUsage returns what the files of the directory's project take, data that is not yet on disk included.
func ProjectUsage(dir string) (Usage, error) {
	d, err := openDir(dir)
	if err != nil {
		return Usage{}, err
	}
	defer func() { _ = d.Close() }()
	attr, err := getAttr(d)
	if err != nil {
		return Usage{}, err
	}
	if attr.project == 0 {
		return Usage{}, fmt.Errorf("mount: project of %s: none", dir)
	}
	q, err := getQuota(d, attr.project)
	if err != nil {
		return Usage{}, err
	}
	return Usage{Bytes: int64(q.space), Inodes: int64(q.inodes)}, nil
}

// ClearProject removes the limit of a project from the file system of dir, any directory on it. Call it when the
// directory of the project is gone. A project that is not known is no error.
func ClearProject(dir string, id uint32) error {
	if id == 0 {
		return fmt.Errorf("mount: project of %s: 0 means none", dir)
	}
	d, err := openDir(dir)
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	return setLimit(d, id, 0)
}

func openDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(dir, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, fmt.Errorf("mount: project: %w", err)
	}
	return f, nil
}

// projectError tells a file system without project quota from other failures. Which error it is depends on the file
// system, on how it was built, and on whether quota is off or absent.
func projectError(f *os.File, err error) error {
	for _, e := range []error{unix.ENOTTY, unix.EOPNOTSUPP, unix.ENOSYS, unix.EINVAL, unix.ESRCH, unix.ENODEV} {
		if errors.Is(err, e) {
			return fmt.Errorf("mount: project of %s: no project quota on this file system (%w): %w", f.Name(), err, errors.ErrUnsupported)
		}
	}
	return fmt.Errorf("mount: project of %s: %w", f.Name(), err)
}

func setProjectID(d *os.File, id uint32) error {
	attr, err := getAttr(d)
	if err != nil {
		return err
	}
	attr.project, attr.flags = id, attr.flags|projectInherit
	return setAttr(d, attr)
}

func setLimit(d *os.File, id uint32, limit uint64) error {
	n := quotaBlocks(limit)
	return setQuota(d, id, &quota{hard: n, soft: n, valid: blockLimits})
}
