package store

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/containerd/errdefs"
)

// state is what lies in a store, and what its database says of the blob keyOf("a").
type state struct {
	staging, blobs, damaged int // files
	record                  bool
}

func stateOf(t *testing.T, s *Store) state {
	t.Helper()
	st := state{staging: len(tree(t, s.staging())), blobs: len(tree(t, s.blobs())), damaged: len(tree(t, s.damaged()))}
	check(t, s.View(t.Context(), func(_ context.Context, tx *Tx) error {
		_, err := tx.Blob(keyOf("a"))
		st.record = err == nil
		if err != nil && !errdefs.IsNotFound(err) {
			return err
		}
		return nil
	}))
	return st
}

// dieAt lets the nth operation of a name, and all operations after it, fail: for the disk that is what the death of
// the process does.
func dieAt(s *Store, nth int, name string) {
	f := &failing{err: syscall.EIO, only: name, nth: nth - 1, sticky: true}
	s.files, s.db.files = f, f
}

func publishA(t *testing.T, s *Store) {
	st, err := s.Stage(t.Context())
	if err != nil {
		return
	}
	must(st.File().Write(imageOf(t, "a")))(t)
	if d, err := st.Device(); err == nil {
		must(d.Write(make([]byte, 512)))(t)
		_, _ = st.Publish(t.Context(), keyOf("a"), "pin")
	}
	_ = st.Discard()
}

func collectA(t *testing.T, s *Store) { _, _ = s.Collect(t.Context()) }

// The crash table of the package comment: an operation dies at a step; what lies on disk then, after the next start, and
// after a Collect.
func TestCrashTable(t *testing.T) {
	t.Parallel()
	whole := state{blobs: 2, record: true}
	dir := quickDir(t)
	for i, row := range []struct {
		name  string
		whole bool // the blob is published before, and not linked
		do    func(*testing.T, *Store)
		nth   int // of the operations called step
		step  string

		left, started, collected state
	}{
		{"P1", false, publishA, 1, "mkdir", state{}, state{}, state{}},
		{"P1", false, publishA, 1, "create", state{}, state{}, state{}},
		{"P1", false, publishA, 2, "create", state{staging: 1}, state{}, state{}},
		{"P2", false, publishA, 1, "fsync", state{staging: 2}, state{}, state{}},
		{"P2", false, publishA, 2, "fsync", state{staging: 2}, state{}, state{}},
		{"P3", false, publishA, 4, "mkdir", state{staging: 2}, state{}, state{}},
		{"P3", false, publishA, 3, "fsync directory", state{staging: 2}, state{}, state{}},
		{"P4", false, publishA, 1, "link", state{staging: 2}, state{}, state{}},
		{"P4", false, publishA, 2, "link", state{staging: 2, blobs: 1}, state{blobs: 1}, state{}},
		{"P5", false, publishA, 4, "fsync directory", state{staging: 2, blobs: 2}, state{blobs: 2}, state{}},
		{"P6", false, publishA, 1, "commit", state{staging: 2, blobs: 2}, state{blobs: 2}, state{}},
		{"P7", false, publishA, 1, "remove", state{staging: 2, blobs: 2, record: true}, whole, whole},
		{"C1", true, collectA, 1, "commit", whole, whole, state{}},
		{"C2", true, collectA, 1, "mkdir", state{blobs: 2}, state{blobs: 2}, state{}},
		{"C2", true, collectA, 1, "rename", state{blobs: 2}, state{blobs: 2}, state{}},
		{"C2", true, collectA, 2, "rename", state{staging: 1, blobs: 1}, state{blobs: 1}, state{}},
		{"C3", true, collectA, 1, "remove", state{staging: 2}, state{}, state{}},
	} {
		s := openAt(t, filepath.Join(dir, fmt.Sprint(i)))
		if row.whole {
			publishA(t, s)
			update(t, s, func(_ context.Context, tx *Tx) error { return tx.Unlink("pin") })
		}
		dieAt(s, row.nth, row.step)
		row.do(t, s)
		if s.files.(*failing).hit == "" {
			t.Errorf("%s: %s %d: there is no such step", row.name, row.step, row.nth)
		}
		s.files, s.db.files = system{}, system{}
		if got := stateOf(t, s); got != row.left {
			t.Errorf("%s: %s %d: left %+v, want %+v", row.name, row.step, row.nth, got, row.left)
		}
		s = reopen(t, s)
		if got := stateOf(t, s); got != row.started {
			t.Errorf("%s: %s %d: after the next start %+v, want %+v", row.name, row.step, row.nth, got, row.started)
		}
		must(s.Collect(t.Context()))(t)
		if got := stateOf(t, s); got != row.collected {
			t.Errorf("%s: %s %d: after Collect %+v, want %+v", row.name, row.step, row.nth, got, row.collected)
		}
		publishA(t, s)
		if got := stateOf(t, s); got != whole {
			t.Errorf("%s: %s %d: after the next publication %+v", row.name, row.step, row.nth, got)
		}
	}
}

// Rows R1 and R2: recovery dies between the move and the commit, and does not come to it.
func TestRecoveryMayDieToo(t *testing.T) {
	for nth, step := range map[int]string{1: "rename", 2: "commit"} {
		s := newStore(t)
		publishA(t, s)
		path := s.image(keyOf("a"))
		check(t, os.Truncate(path, 1500))
		check(t, s.Close())
		f := &failing{err: syscall.EIO, only: step, sticky: true}
		if s, err := open(t.Context(), Config{Root: s.Root}, f); err == nil {
			t.Error("opened")
			check(t, s.Close())
		}
		s = openAt(t, s.Root)
		if got := stateOf(t, s); got.record || got.blobs != 0 || got.damaged != 2 {
			t.Errorf("%d: %+v", nth, got)
		}
		publishA(t, s)
		if got := stateOf(t, s); !got.record {
			t.Errorf("%d: not healed: %+v", nth, got)
		}
	}
}

// Rows D1 and D2: a store that is being made.
func TestMakingAStoreMayDie(t *testing.T) {
	for _, c := range []struct {
		step string
		nth  int
	}{{"mkdir", 1}, {"fsync directory", 1}, {"mkdir", 4}, {"fsync directory", 2}, {"create", 1}, {"commit", 1}, {"rename", 1}, {"fsync directory", 3}} {
		root := filepath.Join(quickDir(t), "store")
		f := &failing{err: syscall.EIO, only: c.step, nth: c.nth - 1, sticky: true}
		if s, err := open(t.Context(), Config{Root: root}, f); err == nil {
			t.Errorf("%+v: opened", c)
			check(t, s.Close())
		}
		s := openAt(t, root)
		publishA(t, s)
		if got := stateOf(t, s); !got.record {
			t.Errorf("%+v: %+v", c, got)
		}
	}
}

// Rows S1 and S2: the directory of a snapshot whose record is not there, or is gone.
func TestDirectoriesOfSnapshotsMayStay(t *testing.T) {
	s := newStore(t)
	_ = s.Update(t.Context(), func(ctx context.Context, _ *Tx) error {
		check(t, makeSnapshot(ctx, s, "7"))
		return os.ErrInvalid
	})
	check(t, os.MkdirAll(s.Upper("8"), 0o700))
	dieAt(s, 1, "remove")
	if err := s.DropSnapshot(t.Context(), "8"); err == nil {
		t.Error("removed")
	}
	s = reopen(t, s)
	if list := must(os.ReadDir(s.staging()))(t); len(list) != 0 {
		t.Errorf("staging: %v", list)
	}
	must(s.Collect(t.Context()))(t)
	if list := must(os.ReadDir(s.snapshots()))(t); len(list) != 0 {
		t.Errorf("snapshots: %v", list)
	}
}
