package snapshotter

import (
	"context"
	"io/fs"
	"path/filepath"
	"testing"

	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/errdefs"

	"github.com/laminafs/lamina/internal/mount"
)

// removeAll removes every snapshot, children first, and what they had.
func removeAll(ctx context.Context, s *Snapshotter) error {
	for left := true; left; {
		left = false
		err := s.Walk(ctx, func(ctx context.Context, info snapshots.Info) error {
			err := s.Remove(ctx, info.Name)
			if errdefs.IsFailedPrecondition(err) { // it has children
				left = true
				return nil
			}
			return err
		})
		if err != nil {
			return err
		}
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
