package store

import (
	"context"
	"fmt"
	"testing"

	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/core/snapshots/storage"
	"github.com/containerd/errdefs"
)

// What is remembered is only believed if the database says the same.
func TestSnapshotKeyIsThatOfTheDatabase(t *testing.T) {
	s, err := Open(t.Context(), Config{Root: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	var id string
	in := func(do func(ctx context.Context) error) {
		t.Helper()
		if err := s.Update(t.Context(), func(ctx context.Context, _ *Tx) error { return do(ctx) }); err != nil {
			t.Fatal(err)
		}
	}
	find := func(want string) {
		t.Helper()
		if err := s.View(t.Context(), func(ctx context.Context, _ *Tx) error {
			got, err := s.SnapshotKey(ctx, id)
			if got != want || (err == nil) != (want != "") || err != nil && !errdefs.IsNotFound(err) {
				t.Errorf("%q, %v; want %q", got, err, want)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	in(func(ctx context.Context) error {
		_, err := storage.CreateSnapshot(ctx, snapshots.KindActive, "other", "")
		return err
	})
	in(func(ctx context.Context) error {
		snap, err := storage.CreateSnapshot(ctx, snapshots.KindActive, "a", "")
		id = snap.ID
		return err
	})
	find("a")
	for _, wrong := range []string{"a", "other", "nobody"} {
		s.Remember(id, wrong)
		find("a")
	}
	in(func(ctx context.Context) error {
		_, err := storage.CommitActive(ctx, "a", "b", snapshots.Usage{})
		return err
	})
	find("b")
	in(func(ctx context.Context) error {
		_, _, err := storage.Remove(ctx, "b")
		return err
	})
	find("")
	for i := range 3 * maxKeys {
		s.Remember(fmt.Sprint(i), "x")
	}
	if n := len(s.keys.of); n > maxKeys {
		t.Errorf("%d keys are remembered", n)
	}
}
