package snapshotter

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/containerd/errdefs"

	"github.com/laminafs/lamina/internal/store"
)

// lostBlob says that the blob of a layer is lost or damaged: it matches ErrNotFound.
type lostBlob struct {
	key store.Key
	why error
}

// Error implements error.
func (l *lostBlob) Error() string { return l.why.Error() }

// Unwrap gives what is wrong with the blob.
func (l *lostBlob) Unwrap() error { return l.why }

// lost makes a lostBlob of an error of the store that says so.
func lost(k store.Key, err error) error {
	if errdefs.IsNotFound(err) {
		return &lostBlob{k, err}
	}
	return err
}

// healing calls do, and again after each rebuild of a blob that do found to be lost: once for each blob, so at most
// as often as a chain has layers. do must leave nothing behind when it fails. What cannot be rebuilt is an
// ErrNotFound that says what the user can do.
func (s *Snapshotter) healing(ctx context.Context, do func() error) error {
	rebuilt := map[store.Key]bool{}
	for {
		err := do()
		var l *lostBlob
		if !errors.As(err, &l) {
			return err
		}
		if s.conf.rebuild == nil || rebuilt[l.key] {
			return fmt.Errorf("a layer is lost or damaged, remove the image and pull it again: %w", err)
		}
		if err := s.conf.rebuild(ctx, l.key); err != nil {
			return err
		}
		rebuilt[l.key] = true
	}
}

// blobOf returns the blob that a committed snapshot refers to: a lostBlob if its files are gone, cut off or known to
// be damaged.
func (s *Snapshotter) blobOf(tx *store.Tx, id string) (store.Blob, error) {
	k, ok := tx.LinkOf(id)
	if !ok {
		return store.Blob{}, fmt.Errorf("snapshot %s has no blob: %w", id, errdefs.ErrNotFound)
	}
	b, err := tx.Blob(k)
	if err == nil && !s.isThere(b) {
		err = fmt.Errorf("blob %s: its files are missing or have another length: %w", k, errdefs.ErrNotFound)
	}
	return b, lost(k, err)
}

// isThere tells whether the files of a blob have the sizes on record. Who lost a file by hand gets it back
// with the next pull.
func (s *Snapshotter) isThere(b store.Blob) bool {
	st, err := os.Stat(s.store.Path(b))
	if err != nil || st.Size() != b.Size {
		return false
	}
	for i, path := range s.store.DevicePaths(b) {
		if st, err := os.Stat(path); err != nil || st.Size() != b.Devices[i].Size {
			return false
		}
	}
	return true
}
