package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/core/snapshots/storage"
	"github.com/containerd/errdefs"

	"github.com/laminafs/lamina/internal/mount"
)

// unmountTime is how long a transaction of Collect goes on unmounting; each unmount waits for all processors.
const unmountTime = 20 * time.Millisecond

// unmounts takes away mounts of blobs that nobody needs, in transactions, so that no snapshot that needs one is made
// meanwhile.
func (c *collection) unmounts(ctx context.Context) error {
	table, err := c.mountTable()
	if err != nil {
		return err
	}
	var at []uint64
	for _, e := range table.entries {
		if n, ok := c.number(e.Target); ok {
			at = append(at, n)
		}
	}
	for len(at) > 0 {
		err := c.Update(ctx, func(ctx context.Context, tx *Tx) error {
			needed, err := tx.needed(ctx)
			if err != nil {
				return err
			}
			for end := time.Now().Add(unmountTime); len(at) > 0 && time.Now().Before(end); at = at[1:] {
				if !needed[at[0]] && c.unmount(c.MountPoint(at[0])) {
					c.Mounts++
				}
			}
			return errNoChange
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// needed returns the numbers of the blobs that active snapshots and views stand on. Links that are no snapshot's
// keep a blob, not its mount.
func (t *Tx) needed(ctx context.Context) (map[uint64]bool, error) {
	stands, err := standing(ctx)
	if err != nil {
		return nil, err
	}
	needed := map[uint64]bool{}
	for id, k := range t.Links() {
		if !stands[id] {
			continue
		}
		if b, ok, err := t.record(k); err == nil && ok {
			needed[b.N] = true
		}
	}
	return needed, nil
}

// standing returns the ids of all snapshots that active ones and views are or stand on. Each is visited once.
func standing(ctx context.Context) (map[string]bool, error) {
	ids, err := names(ctx)
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	type node struct {
		id, parent string
		used       bool
	}
	nodes := make(map[string]*node, len(ids))
	for id, name := range ids {
		nodes[name] = &node{id: id}
	}
	var used []string
	err = storage.WalkInfo(ctx, func(_ context.Context, info snapshots.Info) error {
		n := nodes[info.Name]
		if n == nil {
			return nil
		}
		n.parent = info.Parent
		if info.Kind != snapshots.KindCommitted {
			used = append(used, info.Name)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("store: snapshots: %w", err)
	}
	stands := map[string]bool{}
	for _, name := range used {
		for n := nodes[name]; n != nil && !n.used; n = nodes[n.parent] {
			n.used = true
			stands[n.id] = true
		}
	}
	return stands, nil
}

// mountPoints removes the mount points of blobs that have no record.
func (c *collection) mountPoints(ctx context.Context) error {
	list, err := os.ReadDir(c.mounts())
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	if len(list) == 0 {
		return nil
	}
	known := map[string]bool{}
	if err := c.View(ctx, func(_ context.Context, tx *Tx) error {
		for b, err := range tx.Blobs() {
			if err != nil {
				return err
			}
			known[c.MountPoint(b.N)] = true
		}
		return nil
	}); err != nil {
		return err
	}
	for _, e := range list {
		if dir := filepath.Join(c.mounts(), e.Name()); !known[dir] {
			_ = os.Remove(dir) // still mounted: next time
		}
	}
	return nil
}

// DropSnapshot removes the directory of a snapshot whose record is gone, and the mounts at the places in it that Layout
// knows. What it could not remove, Collect does.
func (s *Store) DropSnapshot(_ context.Context, id string) error {
	if !isNumber(id) {
		return fmt.Errorf("store: snapshot %.80q: not an id: %w", id, errdefs.ErrInvalidArgument)
	}
	dir := s.Snapshot(id)
	for _, at := range []string{s.Rootfs(id), s.Upper(id), s.QuotaMount(id)} {
		if mounted, _ := mount.Mounted(at); mounted {
			s.unmount(at)
		}
	}
	trash, err := s.stagingDir()
	if err != nil {
		return err
	}
	err = s.files.rename(dir, filepath.Join(trash.path, id))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err = errors.Join(err, trash.remove()); err != nil {
		return fmt.Errorf("store: snapshot %s: %w", id, err)
	}
	return nil
}

// UnmountIdle is the part of Collect that unmounts: blobs that no active snapshot or view needs. It returns how
// many it has unmounted.
func (s *Store) UnmountIdle(ctx context.Context) (int, error) {
	if err := s.nested(ctx); err != nil {
		return 0, err
	}
	c := &collection{Store: s}
	err := c.unmounts(ctx)
	return c.Mounts, err
}
