package store

import (
	"context"
	"fmt"
	"sync"

	"github.com/containerd/containerd/v2/core/snapshots/storage"
	"github.com/containerd/errdefs"
)

// keys remembers the keys of snapshots by their ids, and those of blobs by their numbers, which the database has no index
// of. What it says is a guess: all may have changed since, by any process.
type keys struct {
	mu sync.Mutex // guards of, at
	of map[string]string
	at map[uint64]Key
}

// maxNumbers bounds the blobs that are remembered, some 200 bytes of each.
const maxNumbers = 10_000

// number remembers the number of a blob.
func (k *keys) number(n uint64, key Key) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.at == nil || len(k.at) >= maxNumbers {
		k.at = make(map[uint64]Key)
	}
	k.at[n] = key
}

// BlobAt finds the blob with a number, that of its mount point: ErrNotFound if there is none, or it is damaged. It reads
// all records unless this store has mounted the blob, or has found it before.
func (s *Store) BlobAt(tx *Tx, n uint64) (Blob, error) {
	s.keys.mu.Lock()
	k, ok := s.keys.at[n]
	s.keys.mu.Unlock()
	if ok {
		if b, err := tx.Blob(k); err == nil && b.N == n {
			return b, nil
		}
	}
	found := Blob{}
	for b, err := range tx.Blobs() {
		if err != nil || b.Damaged {
			continue
		}
		s.keys.number(b.N, b.Key)
		if b.N == n {
			found = b
		}
	}
	if found.N != n || n == 0 {
		return Blob{}, fmt.Errorf("store: blob number %d: %w", n, errdefs.ErrNotFound)
	}
	return found, nil
}

// maxKeys bounds what is remembered; only snapshots that are being unpacked or compared matter.
const maxKeys = 1000

// Remember says that a snapshot has been made: SnapshotKey finds it at once then. What was made in a transaction
// that failed may be remembered too.
func (s *Store) Remember(id, key string) {
	s.keys.mu.Lock()
	defer s.keys.mu.Unlock()
	if s.keys.of == nil || len(s.keys.of) >= maxKeys {
		s.keys.of = make(map[string]string)
	}
	s.keys.of[id] = key
}

// SnapshotKey finds the key of the snapshot with an id, in a transaction, whose ctx it takes; mounts name snapshots by
// id only. It reads the keys of all snapshots unless this store was told by Remember, or has found it before.
func (s *Store) SnapshotKey(ctx context.Context, id string) (string, error) {
	s.keys.mu.Lock()
	key, ok := s.keys.of[id]
	s.keys.mu.Unlock()
	if ok {
		if is, _, _, err := storage.GetInfo(ctx, key); err == nil && is == id {
			return key, nil
		}
	}
	ids, err := names(ctx)
	if err != nil {
		return "", err
	}
	if key, ok = ids[id]; !ok {
		return "", fmt.Errorf("store: snapshot %.80q: %w", id, errdefs.ErrNotFound)
	}
	s.Remember(id, key)
	return key, nil
}
