package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/containerd/errdefs"

	"github.com/laminafs/lamina/internal/mount"
)

// Publish makes the staged files durable, gives them their names and records them, linked to a snapshot if
// snapshotID is not "", in one transaction. After nil all of that survives a crash, and the Staged is
// discarded. After an error nothing is recorded and Discard is to be called; only if the commit itself failed
// the next transaction shows whether it was made. If the blob is there already the staged files are dropped
// and the one there is linked. A blob that had been damaged is healed, for every snapshot that links it. An
// image that is no EROFS image is an ErrInvalidArgument.
func (st *Staged) Publish(ctx context.Context, k Key, snapshotID string) (Blob, error) {
	if err := k.Validate(); err != nil {
		return Blob{}, err
	}
	if err := st.usable(); err != nil {
		return Blob{}, err
	}
	for range maxTries {
		b, err := st.store.Reuse(ctx, k, snapshotID)
		if errors.Is(err, errdefs.ErrNotFound) {
			b, err = st.publish(ctx, k, snapshotID)
		}
		if errors.Is(err, errAgain) {
			continue
		}
		if err == nil {
			_ = st.Discard() // what is left of it goes with the next Collect
		}
		return b, err
	}
	return Blob{}, fmt.Errorf("store: publish %s: others change it all the time: %w", k, errdefs.ErrUnavailable)
}

// errAgain says that another process was quicker.
var errAgain = errors.New("store: changed meanwhile")

// Reuse links a blob that is there and whole to a snapshot, if snapshotID is not "". Otherwise it is an ErrNotFound; one
// whose files prove to be missing or damaged is set aside, so that it is made again.
func (s *Store) Reuse(ctx context.Context, k Key, snapshotID string) (b Blob, err error) {
	err = s.View(ctx, func(_ context.Context, tx *Tx) (err error) {
		b, err = tx.Blob(k)
		return err
	})
	if err != nil {
		return Blob{}, err
	}
	if err := s.check(&b); err != nil {
		return Blob{}, s.setAside(ctx, b, err)
	}
	if snapshotID == "" {
		return b, nil
	}
	err = s.Update(ctx, func(_ context.Context, tx *Tx) (err error) {
		if b, err = tx.Blob(k); err != nil {
			return err
		}
		return tx.Link(snapshotID, k)
	})
	return b, err
}

// publish does the steps that the crash table of doc.go has: each is durable before the next begins.
func (st *Staged) publish(ctx context.Context, k Key, snapshotID string) (Blob, error) {
	b, err := st.measure(k)
	if err != nil {
		return Blob{}, err
	}
	if err := st.sync(); err != nil {
		return Blob{}, err
	}
	if ctx.Err() != nil {
		return Blob{}, fmt.Errorf("store: publish %s: %w", k, context.Cause(ctx))
	}
	placed, err := st.place(ctx, &b)
	healed := false
	if err == nil {
		healed, err = st.store.record(ctx, &b, placed, snapshotID)
	}
	if errors.Is(err, errAgain) {
		return Blob{}, err
	}
	if err != nil {
		st.store.unplace(ctx, k, placed)
		return Blob{}, fmt.Errorf("store: publish %s: %w", k, err)
	}
	_ = st.Discard() // first its name goes: nobody unlinks an immutable file
	st.store.published(&b, healed)
	return b, nil
}

// measure makes the record of what is staged, and refuses what recovery would set aside.
func (st *Staged) measure(k Key) (Blob, error) {
	b := Blob{Key: k, ImageDigest: st.ImageDigest}
	if err := checkSuper(st.image, st.image.Name()); err != nil {
		if d := (*damage)(nil); errors.As(err, &d) {
			return Blob{}, fmt.Errorf("store: publish %s: %w: %w", k, d.why, errdefs.ErrInvalidArgument)
		}
		return Blob{}, err
	}
	info, err := st.image.Stat()
	if err != nil {
		return Blob{}, fmt.Errorf("store: publish %s: %w", k, err)
	}
	b.Size = info.Size()
	if st.device != nil {
		if info, err = st.device.Stat(); err != nil {
			return Blob{}, fmt.Errorf("store: publish %s: %w", k, err)
		}
		b.Devices = []Device{{Size: info.Size()}}
	}
	return b, nil
}

// sync makes the content durable. After an error the kernel may hold the pages that it could not write for
// clean, so a second fsync would tell nothing: the Staged is spoilt.
func (st *Staged) sync() error {
	for _, f := range []*os.File{st.device, st.image} {
		if f == nil {
			continue
		}
		if err := st.store.files.sync(f); err != nil {
			st.state = stagedFailed
			return fmt.Errorf("store: publish: fsync %s: %w", f.Name(), err)
		}
	}
	return nil
}

// placed is a file that has its name.
type placed struct {
	path string
	info fs.FileInfo
}

// place gives the files their names, the device first, and makes the names durable. It returns what is at
// the names now: ours, or files of the same length that were there.
func (st *Staged) place(ctx context.Context, b *Blob) (done []placed, err error) {
	s := st.store
	dir := filepath.Dir(s.image(b.Key))
	if err := s.makeDir(dir); err != nil {
		return nil, err
	}
	if len(b.Devices) > 0 {
		path := s.device(b.Key)
		info, err := s.name(ctx, st.device, path, func() error { return checkFile(path, b.Devices[0].Size) })
		if err != nil {
			return done, err
		}
		done = append(done, placed{path, info})
	}
	path := s.image(b.Key)
	info, err := s.name(ctx, st.image, path, func() error { return checkImage(path, b.Size) })
	if err != nil {
		return done, err
	}
	return append(done, placed{path, info}), s.files.syncDir(dir)
}

// name links a staged file to its place. A file that is there already is taken if check likes it, else set
// aside: both can only be of a publisher that did not come to its transaction.
func (s *Store) name(ctx context.Context, f *os.File, path string, check func() error) (fs.FileInfo, error) {
	for range maxTries {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		err := s.files.link(f.Name(), path)
		if err == nil {
			return f.Stat()
		}
		if !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		info, err := os.Lstat(path)
		if err == nil {
			err = check()
		}
		switch d := (*damage)(nil); {
		case err == nil:
			return info, s.syncPath(path)
		case errors.Is(err, fs.ErrNotExist): // gone meanwhile
		case errors.As(err, &d):
			if _, err := s.moveAside(path); err != nil {
				return nil, err
			}
		default:
			return nil, err
		}
	}
	return nil, errAgain
}

func (s *Store) syncPath(path string) (err error) {
	f, err := os.OpenFile(path, os.O_RDONLY|noFollow, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return s.files.sync(f)
}

// makeDir makes a directory of blobs and those above it, and makes their names durable, once per process:
// another process may have made them and not be done with that.
func (s *Store) makeDir(dir string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.makeDirLocked(dir)
}

func (s *Store) makeDirLocked(dir string) error {
	if s.synced[dir] || dir == s.blobs() {
		return nil
	}
	parent := filepath.Dir(dir)
	if err := s.makeDirLocked(parent); err != nil {
		return err
	}
	if err := s.files.mkdir(dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := s.files.syncDir(parent); err != nil {
		return err
	}
	s.synced[dir] = true
	return nil
}

// record makes the transaction, and b what is recorded. The names are looked at once more in it: a Collect
// may have taken the files away, since they had no record.
func (s *Store) record(ctx context.Context, b *Blob, files []placed, snapshotID string) (healed bool, err error) {
	err = s.Update(ctx, func(_ context.Context, tx *Tx) error {
		if !inPlace(files) {
			return errAgain
		}
		old, ok, err := tx.record(b.Key)
		if err != nil {
			return err
		}
		healed = ok && old.Damaged
		if ok && !old.Damaged && sameSizes(&old, b) {
			*b = old
		} else if *b, err = tx.PutBlob(*b); err != nil { // a new number: the old file may be mounted at the old one
			return err
		}
		if snapshotID == "" {
			return nil
		}
		return tx.Link(snapshotID, b.Key)
	})
	return healed, err
}

// published sets the immutable flag, if that is wanted, and tells of the blob.
func (s *Store) published(b *Blob, healed bool) {
	e := Event{Kind: Published, Key: b.Key, Path: s.image(b.Key), Bytes: b.Bytes()}
	if healed {
		e.Kind = Healed
	}
	if s.config.Immutable {
		e.Err = s.fasten(b)
	}
	s.observe(e)
}

// fasten sets the immutable flag of a blob's files.
func (s *Store) fasten(b *Blob) error {
	var errs []error
	for _, path := range append(s.DevicePaths(*b), s.image(b.Key)) {
		errs = append(errs, mount.SetImmutable(path, true))
	}
	return errors.Join(errs...)
}

// sameSizes tells whether two records of one key can be of the same files.
func sameSizes(a, b *Blob) bool {
	return a.Size == b.Size && len(a.Devices) == len(b.Devices) && (len(a.Devices) == 0 || a.Devices[0] == b.Devices[0])
}

func inPlace(files []placed) bool {
	for _, p := range files {
		if info, err := os.Lstat(p.path); err != nil || !os.SameFile(info, p.info) {
			return false
		}
	}
	return true
}

// unplace takes back the names of files that got no record: a full disk needs the room now, not at the next
// Collect. What it cannot do, Collect does.
func (s *Store) unplace(ctx context.Context, k Key, files []placed) {
	if len(files) == 0 {
		return
	}
	_ = s.Update(context.WithoutCancel(ctx), func(_ context.Context, tx *Tx) error {
		if _, ok, err := tx.record(k); ok || err != nil {
			return errNoChange
		}
		for _, p := range files {
			if inPlace([]placed{p}) {
				_ = s.files.removeAll(p.path)
			}
		}
		return errNoChange
	})
}
