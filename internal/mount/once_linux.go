package mount

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// Once calls do, which mounts at the existing directory dir, unless something is mounted there, and tells whether do has
// mounted it. Of all processes that use Once with a directory one at a time is in it, so that nothing is mounted twice;
// the lock is a flock(2) of the directory below the mount.
func Once(dir string, do func() error) (bool, error) {
	for {
		if on, err := Mounted(dir); err != nil || on {
			return false, err
		}
		d, err := os.OpenFile(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
		if err != nil {
			return false, fmt.Errorf("mount: %w", err)
		}
		locked, err := lockDir(d)
		if err != nil || !locked {
			err = errors.Join(err, d.Close())
			if err != nil {
				return false, err
			}
			continue
		}
		// Whoever had the lock before may have mounted.
		on, err := Mounted(dir)
		if err == nil && !on {
			err = do()
		}
		return err == nil && !on, errors.Join(err, d.Close())
	}
}

// lockDir waits for the lock of a directory. It returns false if d is the root of a mount: it was opened too late, and
// holding it would keep the mount busy.
func lockDir(d *os.File) (bool, error) {
	var st unix.Statx_t
	if err := unix.Statx(int(d.Fd()), "", unix.AT_EMPTY_PATH, 0, &st); err != nil {
		return false, fmt.Errorf("mount: %s: %w", d.Name(), err)
	}
	if st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0 {
		return false, nil
	}
	for {
		err := unix.Flock(int(d.Fd()), unix.LOCK_EX)
		if !errors.Is(err, unix.EINTR) {
			if err != nil {
				err = &fs.PathError{Op: "flock", Path: d.Name(), Err: err}
			}
			return err == nil, err
		}
	}
}
