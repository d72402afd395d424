package store

import (
	"context"
	"fmt"
	"os"

	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/core/snapshots/storage"

	"github.com/laminafs/lamina/internal/mount"
)

// Status is the state of a store at one moment.
type Status struct {
	Blobs     []BlobStatus // in the order of their keys
	Bytes     int64        // of all blobs, each counted once
	Shared    int64        // bytes that would be stored again if every link had its own copy
	Links     int
	Mounts    int // blobs that are mounted
	Damaged   int // blobs set aside and not published again yet
	Snapshots int // with a record
	Staged    int // directories in staging
}

// BlobStatus is the state of a blob.
type BlobStatus struct {
	Blob
	Mounted bool
	Links   []string // ids of the snapshots that link it, and of others that do
	Names   []string // names of these snapshots, as far as they have a record
	Users   []string // names of the active snapshots and views that stand on it
}

// Status tells what is in the store and who uses it. It takes as long as there are blobs, and layers of active
// snapshots.
func (s *Store) Status(ctx context.Context) (Status, error) {
	var st Status
	err := s.View(ctx, func(ctx context.Context, tx *Tx) (err error) {
		st, err = tx.status(ctx)
		return err
	})
	if err != nil {
		return Status{}, err
	}
	for i := range st.Blobs {
		b := &st.Blobs[i]
		if b.Mounted, _ = mount.Mounted(s.MountPoint(b.N)); b.Mounted { // no such directory: never mounted
			st.Mounts++
		}
	}
	list, err := os.ReadDir(s.staging())
	if err != nil {
		return Status{}, fmt.Errorf("store: %w", err)
	}
	st.Staged = len(list)
	return st, nil
}

func (t *Tx) status(ctx context.Context) (Status, error) {
	ids, err := names(ctx)
	if err != nil {
		return Status{}, err
	}
	st := Status{Snapshots: len(ids)}
	at := map[Key]int{}
	for b, err := range t.Blobs() {
		if err != nil {
			return Status{}, err
		}
		at[b.Key] = len(st.Blobs)
		st.Blobs = append(st.Blobs, BlobStatus{Blob: b})
		if b.Damaged {
			st.Damaged++
		} else {
			st.Bytes += b.Bytes()
		}
	}
	for id, k := range t.Links() {
		st.Links++
		i, ok := at[k]
		if !ok {
			continue
		}
		b := &st.Blobs[i]
		b.Links = append(b.Links, id)
		if len(b.Links) > 1 && !b.Damaged {
			st.Shared += b.Bytes()
		}
		if name, ok := ids[id]; ok {
			b.Names = append(b.Names, name)
		}
	}
	return st, t.users(ctx, ids, func(k Key, name string) {
		if i, ok := at[k]; ok {
			st.Blobs[i].Users = append(st.Blobs[i].Users, name)
		}
	})
}

// users calls add for each active snapshot and view and each blob that it stands on.
func (t *Tx) users(ctx context.Context, ids map[string]string, add func(k Key, name string)) error {
	if len(ids) == 0 {
		return nil
	}
	var active []string
	err := storage.WalkInfo(ctx, func(_ context.Context, info snapshots.Info) error {
		if info.Kind != snapshots.KindCommitted {
			active = append(active, info.Name)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("store: snapshots: %w", err)
	}
	for _, name := range active {
		snap, err := storage.GetSnapshot(ctx, name)
		if err != nil {
			return fmt.Errorf("store: snapshot %s: %w", name, err)
		}
		for _, id := range append(snap.ParentIDs, snap.ID) {
			if k, ok := t.LinkOf(id); ok {
				add(k, name)
			}
		}
	}
	return nil
}
