package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
)

// Staged is a blob that is being made, in a directory of its own in staging. It is for one goroutine.
// The directory is locked while the process lives, so that others know what is left of dead ones.
type Staged struct {
	ImageDigest digest.Digest // of the image file, if it is known before Publish; optional

	store  *Store
	dir    *lockedDir
	image  *os.File
	device *os.File // nil: none
	state  stagedState
}

type stagedState uint8

const (
	stagedOpen   stagedState = iota
	stagedFailed             // an fsync has failed: what is on disk is unknown for good
	stagedGone
)

// Stage makes a place for a new blob. The caller must end with Publish or Discard.
func (s *Store) Stage(ctx context.Context) (*Staged, error) {
	if ctx.Err() != nil {
		return nil, fmt.Errorf("store: stage: %w", context.Cause(ctx))
	}
	dir, err := s.stagingDir()
	if err != nil {
		return nil, err
	}
	image, err := s.files.create(filepath.Join(dir.path, imageName))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("store: stage: %w", err), dir.remove())
	}
	return &Staged{store: s, dir: dir, image: image}, nil
}

// Dir is the directory of the staged files: a place for temporary files as large as the blob. They vanish
// with Publish and Discard.
func (st *Staged) Dir() string { return st.dir.path }

// File is the image, opened for reading and writing, empty at first. It belongs to the Staged. After Adopt
// it is another one, opened for reading only.
func (st *Staged) File() *os.File { return st.image }

// Device is the device of the image (the tar of a tar index), made by the first call, opened for reading
// and writing. It belongs to the Staged.
func (st *Staged) Device() (*os.File, error) {
	if err := st.usable(); err != nil {
		return nil, err
	}
	if st.device == nil {
		f, err := st.store.files.create(filepath.Join(st.dir.path, deviceName))
		if err != nil {
			return nil, fmt.Errorf("store: stage: %w", err)
		}
		st.device = f
	}
	return st.device, nil
}

func (st *Staged) usable() error {
	switch st.state {
	case stagedFailed:
		return fmt.Errorf("store: stage: %s: an earlier fsync has failed: %w", st.dir.path, errdefs.ErrFailedPrecondition)
	case stagedGone:
		return fmt.Errorf("store: stage: %s: published or discarded: %w", st.dir.path, errdefs.ErrFailedPrecondition)
	}
	return nil
}

// Adopt makes a file of somebody else, in which nothing changes any more, the image: by a hard link, else a
// reflink, else a copy. With Config.Immutable no hard link is made: the flag would hold the other name too.
// After an error the image is undefined, and Discard is to be called.
func (st *Staged) Adopt(path string) error {
	if err := st.usable(); err != nil {
		return err
	}
	src, err := os.OpenFile(path, os.O_RDONLY|noFollow, 0)
	if err != nil {
		return fmt.Errorf("store: adopt: %w", err)
	}
	defer func() { _ = src.Close() }() // only read
	if info, err := src.Stat(); err != nil || !info.Mode().IsRegular() {
		return fmt.Errorf("store: adopt %s: not a regular file: %w", path, errors.Join(err, errdefs.ErrInvalidArgument))
	}
	if !st.store.config.Immutable {
		if adopted, err := st.adoptLink(src, path); adopted || err != nil {
			return err
		}
	}
	if err := st.store.files.copy(st.image, src); err != nil {
		return fmt.Errorf("store: adopt %s: %w", path, err)
	}
	return nil
}

// adoptLink puts a hard link in the place of the image, if the file system lets it.
func (st *Staged) adoptLink(src *os.File, path string) (bool, error) {
	target := filepath.Join(st.dir.path, imageName)
	link := target + ".link"
	if err := st.store.files.link(path, link); err != nil {
		return false, nil // another file system, a guarded link, a file with all links that it can have
	}
	if err := st.store.files.rename(link, target); err != nil {
		return false, fmt.Errorf("store: adopt %s: %w", path, err)
	}
	f, err := os.OpenFile(target, os.O_RDONLY|noFollow, 0)
	if err != nil {
		return false, fmt.Errorf("store: adopt: %w", err)
	}
	if same, err := sameFile(f, src); err != nil || !same { // somebody has replaced path meanwhile
		return false, errors.Join(fmt.Errorf("store: adopt %s: replaced meanwhile: %w", path, errdefs.ErrUnavailable), err, f.Close())
	}
	_ = st.image.Close() // empty, and without a name
	st.image = f
	return true, nil
}

func sameFile(a, b *os.File) (bool, error) {
	x, err := a.Stat()
	if err != nil {
		return false, err
	}
	y, err := b.Stat()
	return err == nil && os.SameFile(x, y), err
}

// Discard removes the staged files. It is idempotent, and does nothing after Publish. What it could not
// remove, Collect does.
func (st *Staged) Discard() error {
	if st.state == stagedGone {
		return nil
	}
	st.state = stagedGone
	_ = st.image.Close() // nothing in it is to be kept
	if st.device != nil {
		_ = st.device.Close()
	}
	return st.dir.remove()
}

// lockedDir is a directory in staging that this process holds.
type lockedDir struct {
	path  string
	lock  *os.File
	files files
}

const maxTries = 100 // for things that only fail when others are quicker every time

// stagingDir makes a directory in staging and locks it. Between these two a Collect may take it for that of
// a dead process.
func (s *Store) stagingDir() (*lockedDir, error) {
	var err error
	for range maxTries {
		path := filepath.Join(s.staging(), fmt.Sprintf("%016x", rand.Uint64()))
		if err = s.files.mkdir(path); err != nil {
			if errors.Is(err, fs.ErrExist) {
				continue
			}
			break
		}
		var d *os.File
		if d, err = os.Open(path); err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			break
		}
		if err = lockDir(d, false); err == nil && isAt(d, path) {
			return &lockedDir{path, d, s.files}, nil
		}
		_ = d.Close()
		if err != nil && !errors.Is(err, errLocked) {
			break
		}
	}
	return nil, fmt.Errorf("store: stage: %w", err)
}

// isAt tells whether an open file is still what path names.
func isAt(f *os.File, path string) bool {
	a, err := f.Stat()
	if err != nil {
		return false
	}
	b, err := os.Lstat(path)
	return err == nil && os.SameFile(a, b)
}

// remove removes the directory and gives up its lock. Without the lock Collect removes what is left.
func (d *lockedDir) remove() error {
	err := d.files.removeAll(d.path)
	if err = errors.Join(err, unlockDir(d.lock)); err != nil {
		return fmt.Errorf("store: staging: %w", err)
	}
	return nil
}

// reap removes a directory of staging if its process is dead.
func (s *Store) reap(path string) (bool, error) {
	d, err := os.OpenFile(path, os.O_RDONLY|noFollow, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("store: staging: %w", err)
	}
	if err := lockDir(d, true); err != nil {
		_ = d.Close()
		if errors.Is(err, errLocked) {
			return false, nil
		}
		return false, err
	}
	if err := (&lockedDir{path, d, s.files}).remove(); err != nil {
		return false, err
	}
	return true, nil
}

// reapAll reaps all of staging and returns how much went. mounted are paths below which something is mounted;
// they are left alone.
func (s *Store) reapAll(mounted func(path string) bool) (n int, err error) {
	list, err := os.ReadDir(s.staging())
	if err != nil {
		return 0, fmt.Errorf("store: %w", err)
	}
	var errs []error
	for _, e := range list {
		path := filepath.Join(s.staging(), e.Name())
		if mounted(path) {
			continue
		}
		gone, err := s.reap(path)
		if gone {
			n++
		}
		if err != nil {
			errs = append(errs, err)
			s.observe(Event{Kind: Removed, Path: path, Err: err})
		}
	}
	return n, errors.Join(errs...)
}
