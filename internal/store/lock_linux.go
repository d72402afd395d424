package store

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// try takes a lock, or changes the one that is held, without waiting: errLocked if another has it.
func (l *rangeLock) try(at int64, exclusive bool) error {
	how := int16(unix.F_RDLCK)
	if exclusive {
		how = unix.F_WRLCK
	}
	return l.set(at, how)
}

func (l *rangeLock) unlock(at int64) error { return l.set(at, unix.F_UNLCK) }

func (l *rangeLock) set(at int64, how int16) error {
	lock := unix.Flock_t{Type: how, Whence: io.SeekStart, Start: at, Len: 1}
	for {
		err := unix.FcntlFlock(l.f.Fd(), unix.F_OFD_SETLK, &lock)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EACCES):
			return errLocked
		default:
			return fmt.Errorf("store: %s: lock: %w", l.f.Name(), err)
		}
	}
}

// lockDir locks an open directory for as long as it is open, without waiting.
func lockDir(d *os.File, exclusive bool) error {
	how := unix.LOCK_SH
	if exclusive {
		how = unix.LOCK_EX
	}
	for {
		err := unix.Flock(int(d.Fd()), how|unix.LOCK_NB)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EWOULDBLOCK):
			return errLocked
		default:
			return fmt.Errorf("store: %s: lock: %w", d.Name(), err)
		}
	}
}

// unlockDir closes a file and gives up its lock, also the copy that a child has which is just being
// started.
func unlockDir(d *os.File) error {
	return errors.Join(unix.Flock(int(d.Fd()), unix.LOCK_UN), d.Close())
}

// reflink makes dst share the blocks of src.
func reflink(dst, src *os.File) error { return unix.IoctlFileClone(int(dst.Fd()), int(src.Fd())) }

// ownerOf is the user who owns a file.
func ownerOf(info os.FileInfo) (uid int, ok bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(st.Uid), true
}

// canCheckMode: permission bits mean something.
const canCheckMode = true

// noFollow is the flag that opens no symbolic link.
const noFollow = unix.O_NOFOLLOW

// isDiskError tells whether what could not be read is lost.
func isDiskError(err error) bool {
	return errors.Is(err, unix.EIO) || errors.Is(err, unix.EUCLEAN) || errors.Is(err, unix.EBADMSG) || errors.Is(err, unix.ELOOP)
}
