package mount

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Once calls do, which mounts at the existing directory dir, unless something is mounted there, and tells whether do has
// mounted it. Of all processes that use Once with a directory one at a time is in it, so that nothing is mounted twice;
// the lock is a flock(2) of the directory below the mount. Waiting for it ends with ctx.
func Once(ctx context.Context, dir string, do func() error) (bool, error) {
	for pause := minPause; ; pause = min(2*pause, maxPause) {
		if on, err := Mounted(dir); err != nil || on {
			return false, err
		}
		d, err := os.OpenFile(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
		if err != nil {
			return false, fmt.Errorf("mount: %w", err)
		}
		locked, err := lockDir(d)
		if err != nil || !locked {
			if err = errors.Join(err, d.Close()); err == nil {
				err = sleep(ctx, pause)
			}
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

// The lock is asked for again and again: flock(2) that waits could not be given up.
const minPause, maxPause = 50 * time.Microsecond, 2 * time.Millisecond

// sleep waits, unless ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return fmt.Errorf("mount: %w", context.Cause(ctx))
	case <-time.After(d):
		return nil
	}
}

// lockDir tries to lock a directory. It returns false if another has the lock, or if d is the root of a mount: it was
// opened too late, and holding it would keep the mount busy.
func lockDir(d *os.File) (bool, error) {
	var st unix.Statx_t
	if err := unix.Statx(int(d.Fd()), "", unix.AT_EMPTY_PATH, 0, &st); err != nil {
		return false, fmt.Errorf("mount: %s: %w", d.Name(), err)
	}
	if st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0 {
		return false, nil
	}
	for {
		err := unix.Flock(int(d.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return true, nil
		case errors.Is(err, unix.EWOULDBLOCK):
			return false, nil
		case !errors.Is(err, unix.EINTR):
			return false, &fs.PathError{Op: "flock", Path: d.Name(), Err: err}
		}
	}
}
