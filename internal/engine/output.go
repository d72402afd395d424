package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Output is what a detached container writes to stdout and stderr. It needs no open engine.
type Output struct {
	ref, file, lock string
}

// Output finds the output of a container.
func (l *Local) Output(ctx context.Context, ref string) (*Output, error) {
	c, err := l.Container(ctx, ref)
	if err != nil {
		return nil, err
	}
	dir := l.containerDir(c.ID)
	return &Output{ref, filepath.Join(dir, "output"), filepath.Join(dir, "lock")}, nil
}

// pollOutput is how often a container is looked at that somebody follows.
const pollOutput = 100 * time.Millisecond

// Copy writes what there is to w. With follow it goes on until the container has ended, or is removed, or ctx is done;
// pause is called whenever there is nothing more for a while.
func (o *Output) Copy(ctx context.Context, w io.Writer, follow bool, pause func() error) error {
	f, err := os.Open(o.file)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("engine: %s: it was not run with --detach: its output went to the terminal", o.ref)
	}
	if err != nil {
		return fmt.Errorf("engine: %w", err)
	}
	defer func() { _ = f.Close() }() // only read
	for {
		ended := !follow || !o.running() // asked first: what comes before the end is in the file then
		if _, err := io.Copy(w, f); err != nil {
			return err
		}
		if err := pause(); err != nil || ended {
			return err
		}
		select {
		case <-time.After(pollOutput):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// running tells whether somebody holds the lock of the container.
func (o *Output) running() bool {
	lock, err := lockFile(o.lock, false, false, false)
	if err == nil {
		_ = lock.Close() // was only asked
	}
	return errors.Is(err, errLocked)
}
