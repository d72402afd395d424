package snapshotter

import (
	"context"
	"io/fs"
	"path/filepath"
	"slices"
	"testing"

	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/errdefs"

	"github.com/laminafs/lamina/internal/mount"
)

// removeAll removes every snapshot, children first, and what they had.
func removeAll(ctx context.Context, s *Snapshotter) error {
	var all []snapshots.Info
	if err := s.Walk(ctx, func(_ context.Context, info snapshots.Info) error {
		all = append(all, info)
		return nil
	}); err != nil {
		return err
	}
	slices.SortFunc(all, func(a, b snapshots.Info) int { return b.Created.Compare(a.Created) })
	for len(all) > 0 {
		left := all[:0]
		for _, info := range all {
			err := s.Remove(ctx, info.Name)
			if errdefs.IsFailedPrecondition(err) { // it has children
				left = append(left, info)
			} else if err != nil {
				return err
			}
		}
		all = left
	}
	return s.Cleanup(ctx)
}

// checkEmpty fails the test if anything is in a store but its own directories and records.
func checkEmpty(t testing.TB, s *Snapshotter) {
	t.Helper()
	table, err := mount.Table(s.store.Root)
	if err != nil || len(table) != 0 {
		t.Errorf("mounts left: %v, %v", table, err)
	}
	for _, dir := range []string{"snapshots", "blobs", "staging", "m", "damaged"} {
		err := filepath.WalkDir(filepath.Join(s.store.Root, dir), func(path string, e fs.DirEntry, err error) error {
			if err == nil && (!e.IsDir() || dir == "snapshots" && filepath.Base(path) != dir) {
				t.Errorf("left: %s", path)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}
