package store

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	bolt "go.etcd.io/bbolt"
)

// Names of our buckets, all in the one called lamina; doc.go draws them. Next to it containerd's
// core/snapshots/storage has its own, "v1".
var (
	bucketRoot   = []byte("lamina")
	bucketBlobs  = []byte("blobs")
	bucketLinks  = []byte("links")
	bucketRefs   = []byte("refs")
	bucketChains = []byte("chains")
)

func makeBuckets(tx *bolt.Tx) error {
	root, err := tx.CreateBucketIfNotExists(bucketRoot)
	if err != nil {
		return err
	}
	for _, name := range [][]byte{bucketBlobs, bucketLinks, bucketRefs, bucketChains} {
		if _, err := root.CreateBucketIfNotExists(name); err != nil {
			return err
		}
	}
	return nil
}

// Tx is a transaction: the records as they were when it began, and what it changed. It is valid until the
// function that got it returns, for one goroutine.
type Tx struct{ blobs, links, refs, chains *bolt.Bucket }

func newTx(tx *bolt.Tx) (*Tx, error) {
	root := tx.Bucket(bucketRoot)
	if root == nil {
		return nil, fmt.Errorf("store: %s: no bucket %s: not the database of a store", tx.DB().Path(), bucketRoot)
	}
	t := &Tx{root.Bucket(bucketBlobs), root.Bucket(bucketLinks), root.Bucket(bucketRefs), root.Bucket(bucketChains)}
	if t.blobs == nil || t.links == nil || t.refs == nil || t.chains == nil {
		return nil, fmt.Errorf("store: %s: buckets are missing: not the database of a store", tx.DB().Path())
	}
	return t, nil
}

// Update calls fn in a transaction that may change records, and commits it if fn returns nil. ctx as fn
// gets it works with the functions of core/snapshots/storage. Writers of all processes follow each other,
// so fn should take no longer than it must. After nil the changes survive a crash; after an error of fn
// there are none; after an error of the commit itself the next transaction shows whether they were made.
// A transaction inside another is an ErrFailedPrecondition; waiting for another process ends with ctx, or
// after a minute, with an ErrUnavailable.
func (s *Store) Update(ctx context.Context, fn func(ctx context.Context, tx *Tx) error) error {
	return s.transact(ctx, true, fn)
}

// View is Update without changes: readers of one process go on at the same time.
func (s *Store) View(ctx context.Context, fn func(ctx context.Context, tx *Tx) error) error {
	return s.transact(ctx, false, fn)
}

func (s *Store) transact(ctx context.Context, writable bool, fn func(context.Context, *Tx) error) error {
	if err := s.nested(ctx); err != nil {
		return err
	}
	return s.db.transact(ctx, writable, func(ctx context.Context, btx *bolt.Tx) error {
		tx, err := newTx(btx)
		if err != nil {
			return err
		}
		return fn(context.WithValue(ctx, txKey{s}, true), tx)
	})
}

// record returns the record of a blob, damaged or not.
func (t *Tx) record(k Key) (Blob, bool, error) {
	if err := k.Validate(); err != nil {
		return Blob{}, false, err
	}
	v := t.blobs.Get(k.encode())
	if v == nil {
		return Blob{}, false, nil
	}
	b, err := decodeBlob(k, v)
	return b, err == nil, err
}

// Blob returns the record of a blob: ErrNotFound if there is none or its file is damaged.
func (t *Tx) Blob(k Key) (Blob, error) {
	b, ok, err := t.record(k)
	switch {
	case err != nil:
		return Blob{}, err
	case !ok:
		return Blob{}, fmt.Errorf("store: blob %s: %w", k, errdefs.ErrNotFound)
	case b.Damaged:
		return Blob{}, fmt.Errorf("store: blob %s: damaged, to be pulled again: %w", k, errdefs.ErrNotFound)
	}
	return b, nil
}

// PutBlob writes the record of a blob whose files are in place and durable, and returns it with the number
// that it got, if it had none, and the time, if it has none. Publish is what callers want.
func (t *Tx) PutBlob(b Blob) (Blob, error) {
	if err := b.Validate(); err != nil {
		return Blob{}, err
	}
	if b.Size < 0 || len(b.Devices) > maxDevices || len(b.Devices) > 0 && b.Devices[0].Size < 0 {
		return Blob{}, fmt.Errorf("store: blob %s: sizes: %w", b.Key, errdefs.ErrInvalidArgument)
	}
	if b.ImageDigest != "" && !isDigest(string(b.ImageDigest)) {
		return Blob{}, fmt.Errorf("store: blob %s: digest of the image %.150q: %w", b.Key, b.ImageDigest, errdefs.ErrInvalidArgument)
	}
	if b.Created.Unix() < 0 {
		b.Created = time.Now()
	}
	b.Created = b.Created.UTC().Truncate(time.Second)
	if b.N == 0 {
		n, err := t.blobs.NextSequence()
		if err != nil {
			return Blob{}, fmt.Errorf("store: blob %s: %w", b.Key, err)
		}
		b.N = n
	}
	return b, put(t.blobs, b.Key.encode(), b.encode(), b.Key)
}

func put(bucket *bolt.Bucket, key, value []byte, what fmt.Stringer) error {
	if err := bucket.Put(key, value); err != nil {
		return fmt.Errorf("store: record of %s: %w", what, err)
	}
	return nil
}

// DeleteBlob removes the record of a blob, if there is one. Its file goes with the next Collect.
func (t *Tx) DeleteBlob(k Key) error {
	if err := k.Validate(); err != nil {
		return err
	}
	if err := t.blobs.Delete(k.encode()); err != nil {
		return fmt.Errorf("store: record of %s: %w", k, err)
	}
	return nil
}

// Blobs yields all blobs in the order of their keys, damaged ones too. The records must not be changed
// meanwhile. A record that cannot be read is an error, and the others follow.
func (t *Tx) Blobs() iter.Seq2[Blob, error] {
	return func(yield func(Blob, error) bool) {
		c := t.blobs.Cursor()
		for k, v := c.First(); k != nil; k, v = c.Next() {
			key, err := decodeKey(k)
			var b Blob
			if err == nil {
				b, err = decodeBlob(key, v)
			}
			if !yield(b, err) {
				return
			}
		}
	}
}

// maxOwner bounds the id of who links a blob; bbolt takes keys of 32 KiB.
const maxOwner = 1024

// Link makes a snapshot refer to a blob, in place of the one that it referred to. The blob is kept as
// long as a link to it exists; it need not have a record yet. An id that is no number belongs to something
// that is no snapshot: Collect leaves its link alone.
func (t *Tx) Link(snapshotID string, k Key) error {
	if err := k.Validate(); err != nil {
		return err
	}
	if snapshotID == "" || len(snapshotID) > maxOwner {
		return fmt.Errorf("store: link to %s: id %.80q: %w", k, snapshotID, errdefs.ErrInvalidArgument)
	}
	key := k.encode()
	if bytes.Equal(t.links.Get([]byte(snapshotID)), key) {
		return nil
	}
	if err := t.Unlink(snapshotID); err != nil {
		return err
	}
	if err := put(t.links, []byte(snapshotID), key, k); err != nil {
		return err
	}
	return put(t.refs, append(key, snapshotID...), []byte{}, k)
}

// LinkOf returns the key of the blob that a snapshot refers to. Whether the blob is there, Blob tells.
func (t *Tx) LinkOf(snapshotID string) (Key, bool) {
	v := t.links.Get([]byte(snapshotID))
	if v == nil {
		return Key{}, false
	}
	k, err := decodeKey(v)
	return k, err == nil
}

// Unlink removes the link of a snapshot, if there is one.
func (t *Tx) Unlink(snapshotID string) error {
	key := bytes.Clone(t.links.Get([]byte(snapshotID)))
	if key == nil {
		return nil
	}
	err := t.links.Delete([]byte(snapshotID))
	if err == nil {
		err = t.refs.Delete(append(key, snapshotID...))
	}
	if err != nil {
		return fmt.Errorf("store: link of snapshot %s: %w", snapshotID, err)
	}
	return nil
}

// Links yields all snapshot ids that have a link and the keys that they refer to. The records must not be
// changed meanwhile.
func (t *Tx) Links() iter.Seq2[string, Key] {
	return func(yield func(string, Key) bool) {
		c := t.links.Cursor()
		for id, v := c.First(); id != nil; id, v = c.Next() {
			if k, err := decodeKey(v); err == nil && !yield(string(id), k) {
				return
			}
		}
	}
}

// LinksTo returns the ids of the snapshots that refer to a blob.
func (t *Tx) LinksTo(k Key) []string {
	if k.Validate() != nil {
		return nil
	}
	var ids []string
	prefix := k.encode() // no key is the beginning of another: the length of the digest is that of its algorithm
	c := t.refs.Cursor()
	for ref, _ := c.Seek(prefix); bytes.HasPrefix(ref, prefix); ref, _ = c.Next() {
		ids = append(ids, string(ref[len(prefix):]))
	}
	return ids
}

// isLinked tells whether anybody refers to a blob.
func (t *Tx) isLinked(k Key) bool {
	prefix := k.encode()
	ref, _ := t.refs.Cursor().Seek(prefix)
	return bytes.HasPrefix(ref, prefix)
}

// SetChain remembers that the top layer of a chain (containerd's chainID) is a blob. It keeps no blob alive;
// Collect forgets it when the blob is gone.
func (t *Tx) SetChain(chainID digest.Digest, k Key) error {
	if err := k.Validate(); err != nil {
		return err
	}
	if !isDigest(string(chainID)) {
		return fmt.Errorf("store: chain %.150q: %w", chainID, errdefs.ErrInvalidArgument)
	}
	return put(t.chains, []byte(chainID), k.encode(), k)
}

// Chain returns the blob of the top layer of a chain, if it is known; Blob tells whether it is there.
func (t *Tx) Chain(chainID digest.Digest) (Key, bool) {
	v := t.chains.Get([]byte(chainID))
	if v == nil {
		return Key{}, false
	}
	k, err := decodeKey(v)
	return k, err == nil
}
