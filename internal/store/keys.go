package store

import (
	"context"
	"fmt"
	"sync"

	"github.com/containerd/containerd/v2/core/snapshots/storage"
	"github.com/containerd/errdefs"
)

// keys remembers the keys of snapshots by their ids, which the database has no index of. What it says is a guess: the
// snapshot may have been committed or removed since, by any process.
type keys struct {
	mu sync.Mutex // guards of
	of map[string]string
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
