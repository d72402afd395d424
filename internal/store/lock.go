package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/containerd/errdefs"
)

// Byte ranges of the lock file, locked by open file description (F_OFD_SETLK, fcntl_locking(2)): the locks
// of a process vanish with it, and two stores in one process exclude each other as two processes do.
//
//	lockTurn      who waits for lockDatabase holds it: the one who had the database last comes after him
//	lockDatabase  who holds it has metadata.db open, alone
//	lockUsers     shared while a store is open; exclusive while it recovers
const (
	lockTurn int64 = iota
	lockDatabase
	lockUsers
)

// rangeLock is the lock file, opened once.
type rangeLock struct{ f *os.File }

const (
	minPoll = 50 * time.Microsecond // a transaction that changes nothing
	maxPoll = 2 * time.Millisecond  // less than a transaction that changes something takes

	// maxWait is when waiting for another process ends although the context goes on: that process has
	// been stopped, or hangs in its file system.
	maxWait = time.Minute
)

// errLocked says that another process has the lock.
var errLocked = errors.New("store: locked")

// wait takes a lock. It polls: a call that blocks in the kernel could not be given up. It is an ErrUnavailable
// when ctx or maxWait end.
func (l *rangeLock) wait(ctx context.Context, at int64, exclusive bool) error {
	return poll(ctx, l.f.Name(), func() error { return l.try(at, exclusive) })
}

// poll calls try until it is not errLocked any more.
func poll(ctx context.Context, what string, try func() error) error {
	err := try()
	if !errors.Is(err, errLocked) {
		return err
	}
	deadline := time.Now().Add(maxWait)
	timer := time.NewTimer(minPoll)
	defer timer.Stop()
	for pause := minPoll; ; pause = min(2*pause, maxPoll) {
		timer.Reset(pause)
		select {
		case <-ctx.Done():
			return fmt.Errorf("store: %s: held by another process: %w: %w", what, context.Cause(ctx), errdefs.ErrUnavailable)
		case <-timer.C:
		}
		if err := try(); !errors.Is(err, errLocked) {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("store: %s: held by another process for %v: %w", what, maxWait, errdefs.ErrUnavailable)
		}
	}
}
