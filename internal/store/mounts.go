package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/containerd/errdefs"

	"github.com/laminafs/lamina/internal/mount"
)

// MountBlob mounts a blob at MountPoint(b.N), unless it is mounted there, and returns that directory. All
// users of the blob share the mount, in all processes that share the mount namespace. Asking again costs one
// system call: the kernel knows what is mounted, the store remembers nothing. The mount stays until Collect
// finds that no active snapshot or view needs the blob, so it is called after the transaction that makes the
// snapshot, never inside one. A blob whose files prove to be missing or damaged is set aside: ErrNotFound.
func (s *Store) MountBlob(ctx context.Context, b Blob) (dir string, err error) {
	if err := b.Validate(); err != nil {
		return "", err
	}
	if b.N == 0 {
		return "", fmt.Errorf("store: mount %s: not a record: %w", b.Key, errdefs.ErrInvalidArgument)
	}
	s.keys.number(b.N, b.Key) // who sees the mount may ask
	dir = s.MountPoint(b.N)
	mounted, err := mount.Mounted(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if err = s.files.mkdir(dir); errors.Is(err, fs.ErrExist) {
			err = nil
		}
	}
	if mounted || err != nil {
		return dir, err
	}
	if err := s.nested(ctx); err != nil {
		return "", err
	}
	return dir, s.mountOnce(ctx, b, dir)
}

// mountOnce mounts a blob; of all who want that one does it, the others find it mounted.
func (s *Store) mountOnce(ctx context.Context, b Blob, dir string) error {
	patient, cancel := context.WithTimeoutCause(ctx, maxWait,
		fmt.Errorf("%s: another process has been mounting for %v: %w", dir, maxWait, errdefs.ErrUnavailable))
	defer cancel()
	_, err := mount.Once(patient, dir, func() error { return s.mountAt(ctx, b, dir) })
	return err
}

func (s *Store) mountAt(ctx context.Context, b Blob, dir string) error {
	if err := s.check(&b); err != nil {
		return s.setAside(ctx, b, err)
	}
	kernel, err := s.kernel()
	if err != nil {
		return err
	}
	steps, err := mount.Plan(mount.Root{
		Layers: []mount.Layer{{Image: s.image(b.Key), Devices: s.DevicePaths(b)}},
		Target: dir,
	}, kernel)
	if err != nil {
		return err
	}
	if err := mount.Apply(steps); err != nil {
		return fmt.Errorf("store: blob %s: %w", b.Key, err)
	}
	s.observe(Event{Kind: Mounted, Key: b.Key, Path: dir})
	return nil
}

// unmount detaches the mount at dir: containers hold clones of it, and keep those.
func (s *Store) unmount(dir string) bool {
	err := mount.Umount(dir, true)
	s.observe(Event{Kind: Unmounted, Path: dir, Err: err})
	return err == nil
}

// number is the inverse of MountPoint.
func (l Layout) number(dir string) (uint64, bool) {
	name, below := strings.CutPrefix(dir, l.mounts()+string(filepath.Separator))
	if !below || !isNumber(name) {
		return 0, false
	}
	n, err := strconv.ParseUint(name, 10, 64)
	return n, err == nil
}

// mountTable is what is mounted below the root of the store, in the order in which it was mounted.
type mountTable struct{ entries []mount.Entry }

// mountTable reads the table of the kernel. Where the system has none nothing is mounted; one that cannot be read is an
// error: what is mounted must not be taken for what is not.
func (s *Store) mountTable() (mountTable, error) {
	entries, err := s.table(s.Root)
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return mountTable{}, fmt.Errorf("store: %w", err)
	}
	return mountTable{entries}, nil
}

// below tells whether anything is mounted at or below path.
func (t mountTable) below(path string) bool {
	for _, e := range t.entries {
		if e.Target == path || strings.HasPrefix(e.Target, path+"/") {
			return true
		}
	}
	return false
}
