//go:build unix

package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// errLocked says that another process has a lock.
var errLocked = errors.New("is in use")

// lockFile opens a file and locks it, shared or exclusively; without wait, errLocked if somebody else has it.
func lockFile(path string, create, exclusive, wait bool) (*os.File, error) {
	flags := os.O_RDWR
	if create {
		flags |= os.O_CREATE
	}
	f, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		return nil, err
	}
	how := unix.LOCK_SH
	if exclusive {
		how = unix.LOCK_EX
	}
	if !wait {
		how |= unix.LOCK_NB
	}
	for {
		err = unix.Flock(int(f.Fd()), how)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err == nil {
		return f, nil
	}
	_ = f.Close()
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, errLocked
	}
	return nil, fmt.Errorf("%s: flock: %w", path, err)
}

// lockEnded locks the file of a container that has ended: errLocked if it runs. Whoever looks at a container has its
// lock shared for a moment, which is waited for; who runs it has it exclusively.
func lockEnded(ctx context.Context, path string) (*os.File, error) {
	for {
		f, err := lockFile(path, false, true, false)
		if !errors.Is(err, errLocked) {
			return f, err
		}
		shared, err := lockFile(path, false, false, false)
		if err != nil {
			return nil, err
		}
		if err := shared.Close(); err != nil {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(pollLock):
		}
	}
}

// relock changes a lock that is held; without wait, errLocked if others are in the way. The change is not
// atomic: another process may have had the lock in between.
func relock(f *os.File, exclusive, wait bool) error {
	how := unix.LOCK_SH
	if exclusive {
		how = unix.LOCK_EX
	}
	if !wait {
		how |= unix.LOCK_NB
	}
	for {
		err := unix.Flock(int(f.Fd()), how)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EWOULDBLOCK):
			return errLocked
		}
		return err
	}
}

// pollLock is how often a lock that somebody else has is tried again.
const pollLock = 20 * time.Millisecond

// claim locks a file that is removed by whoever unlocks it: so it is tried until the file that is locked is
// the one that has the name. done unlocks it. stop ends the waiting with its error.
func claim(path string, stop func() error) (done func(), err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	for {
		f, err := lockFile(path, true, true, false)
		if err == nil {
			mine, serr := f.Stat()
			if there, err := os.Lstat(path); serr == nil && err == nil && os.SameFile(mine, there) {
				return func() { _, _ = os.Remove(path), f.Close() }, nil
			}
			_ = f.Close()
			continue
		}
		if !errors.Is(err, errLocked) && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if err := stop(); err != nil {
			return nil, err
		}
		time.Sleep(pollLock)
	}
}
