package store

import (
	"context"
	"fmt"
	"iter"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
)

var errTODO = fmt.Errorf("store: %w", errdefs.ErrNotImplemented)

// Tx is a transaction: the records as they were when it began, and what it changed. It is valid until the
// function that got it returns, for one goroutine.
type Tx struct{}

// Update calls fn in a transaction that may change records, and commits it if fn returns nil. ctx as fn
// gets it works with the functions of core/snapshots/storage. Writers of all processes follow each other,
// so fn should take no longer than it must. After nil the changes survive a crash; after an error of fn
// there are none; after an error of the commit itself the next transaction shows whether they were made.
// A transaction inside another is an ErrFailedPrecondition.
func (s *Store) Update(ctx context.Context, fn func(ctx context.Context, tx *Tx) error) error {
	return errTODO
}

// View is Update without changes: readers of one process go on at the same time.
func (s *Store) View(ctx context.Context, fn func(ctx context.Context, tx *Tx) error) error {
	return errTODO
}

// Blob returns the record of a blob: ErrNotFound if there is none or its file is damaged.
func (t *Tx) Blob(k Key) (Blob, error) { return Blob{}, errTODO }

// PutBlob writes the record of a blob whose files are in place and durable, and returns it with the number
// that it got. Publish is what callers want.
func (t *Tx) PutBlob(b Blob) (Blob, error) { return Blob{}, errTODO }

// DeleteBlob removes the record of a blob, if there is one. Its file goes with the next Collect.
func (t *Tx) DeleteBlob(k Key) error { return errTODO }

// Blobs yields all blobs in the order of their keys, damaged ones too. The records must not be changed
// meanwhile. A record that cannot be read is an error, and the others follow.
func (t *Tx) Blobs() iter.Seq2[Blob, error] { return func(func(Blob, error) bool) {} }

// Link makes a snapshot refer to a blob, in place of the one that it referred to. The blob is kept as
// long as a link to it exists; it need not have a record yet. An id that is no number belongs to something
// that is no snapshot: Collect leaves its link alone.
func (t *Tx) Link(snapshotID string, k Key) error { return errTODO }

// LinkOf returns the key of the blob that a snapshot refers to. Whether the blob is there, Blob tells.
func (t *Tx) LinkOf(snapshotID string) (Key, bool) { return Key{}, false }

// Unlink removes the link of a snapshot, if there is one.
func (t *Tx) Unlink(snapshotID string) error { return errTODO }

// Links yields all snapshot ids that have a link and the keys that they refer to.
func (t *Tx) Links() iter.Seq2[string, Key] { return func(func(string, Key) bool) {} }

// LinksTo returns the ids of the snapshots that refer to a blob.
func (t *Tx) LinksTo(k Key) []string { return nil }

// SetChain remembers that the top layer of a chain (containerd's chainID) is a blob. It keeps no blob alive.
func (t *Tx) SetChain(chainID digest.Digest, k Key) error { return errTODO }

// Chain returns the blob of the top layer of a chain, if it is known; Blob tells whether it is there.
func (t *Tx) Chain(chainID digest.Digest) (Key, bool) { return Key{}, false }
