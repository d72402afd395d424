package store

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/core/snapshots/storage"
	"github.com/containerd/errdefs"
)

func TestCollectRemovesWhatNobodyLinks(t *testing.T) {
	s := newStore(t)
	id := snapshot(t, s, "layer", "", true)
	used := publish(t, s, "used", id)
	pinned := publish(t, s, "pinned", "pin/1")
	publish(t, s, "orphan", "4711") // linked by a snapshot without record
	free := publish(t, s, "free", "")
	stray := s.image(keyOf("stray"))
	check(t, os.MkdirAll(filepath.Dir(stray), 0o700))
	check(t, os.WriteFile(stray, []byte("123"), 0o600))
	check(t, os.WriteFile(s.device(used.Key), []byte("4567"), 0o600)) // used has no device
	other := filepath.Join(s.blobs(), "README")
	check(t, os.WriteFile(other, nil, 0o600))

	f := must(s.Collect(t.Context()))(t)
	want := Freed{Blobs: 2, Files: 4, Bytes: 2*free.Size + 7, Links: 1}
	if f != want {
		t.Errorf("%+v, want %+v", f, want)
	}
	for _, b := range []Blob{used, pinned} {
		if _, err := os.Stat(s.Path(b)); err != nil {
			t.Error(err)
		}
	}
	if left := tree(t, s.blobs()); len(left) != 3 {
		t.Errorf("files: %q", left)
	}
	if f := must(s.Collect(t.Context()))(t); f != (Freed{}) {
		t.Errorf("the second time: %+v", f)
	}
	reopen(t, s)
}

func TestCollectRemovesDirectoriesOfSnapshotsWithoutRecord(t *testing.T) {
	s := newStore(t)
	id := snapshot(t, s, "active", "", false)
	gone := s.Snapshot("4711")
	check(t, os.MkdirAll(filepath.Join(gone, "fs", "etc"), 0o700))
	check(t, os.WriteFile(filepath.Join(gone, "fs", "etc", "x"), []byte("x"), 0o400))
	check(t, os.Mkdir(s.Snapshot("new-1"), 0o700))
	f := must(s.Collect(t.Context()))(t)
	if f.Snapshots != 1 {
		t.Errorf("%+v", f)
	}
	if _, err := os.Stat(gone); !os.IsNotExist(err) {
		t.Errorf("%s is still there: %v", gone, err)
	}
	for _, dir := range []string{s.Snapshot(id), s.Snapshot("new-1")} {
		if _, err := os.Stat(dir); err != nil {
			t.Error(err)
		}
	}
	if left := tree(t, s.staging()); len(left) > 0 {
		t.Errorf("staging: %q", left)
	}
}

func TestDropSnapshotRemovesTheDirectory(t *testing.T) {
	s := newStore(t)
	id := snapshot(t, s, "active", "", false)
	check(t, os.MkdirAll(s.Upper(id), 0o700))
	update(t, s, func(ctx context.Context, _ *Tx) error { _, _, err := storage.Remove(ctx, "active-active"); return err })
	for range 2 {
		check(t, s.DropSnapshot(t.Context(), id))
	}
	if _, err := os.Stat(s.Snapshot(id)); !os.IsNotExist(err) {
		t.Error(err)
	}
	for _, bad := range []string{"", "..", "a", "01"} {
		if err := s.DropSnapshot(t.Context(), bad); !errdefs.IsInvalidArgument(err) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// A Publish that has named its file and not recorded it yet loses it to Collect, and names it again.
func TestCollectDoesNotTakeABlobFromItsPublisher(t *testing.T) {
	s := newStore(t)
	other := openAt(t, s.Root)
	taken := 0
	s.files = &hooked{s.files, func() {
		if taken++; taken <= 3 {
			if f := must(other.Collect(t.Context()))(t); f.Files != 1 {
				t.Errorf("%+v", f)
			}
		}
	}}
	b := publish(t, s, "a", "1")
	if taken != 4 {
		t.Errorf("named %d times", taken)
	}
	if _, err := os.Stat(s.Path(b)); err != nil {
		t.Error(err)
	}
}

// hooked calls a function after the directory of a blob was synced: between name and record.
type hooked struct {
	files
	named func()
}

func (h *hooked) syncDir(dir string) error {
	err := h.files.syncDir(dir)
	if filepath.Base(filepath.Dir(dir)) == "sha256" {
		h.named()
	}
	return err
}

func TestStatusTellsWhoUsesWhat(t *testing.T) {
	s := newStore(t)
	base := snapshot(t, s, "base", "", true)
	top := snapshot(t, s, "top", "base", true)
	snapshot(t, s, "container", "top", false)
	snapshot(t, s, "other", "base", false)
	a, b := publish(t, s, "a", base), publish(t, s, "b", top)
	update(t, s, func(_ context.Context, tx *Tx) error { return tx.Link("pin", a.Key) })
	st := must(s.Status(t.Context()))(t)
	if st.Links != 3 || st.Bytes != a.Size+b.Size || st.Shared != a.Size || st.Snapshots != 4 || len(st.Blobs) != 2 {
		t.Errorf("%+v", st)
	}
	for _, x := range st.Blobs {
		users, names := 2, 1
		if x.Key == b.Key {
			users = 1
		}
		if len(x.Users) != users || len(x.Names) != names {
			t.Errorf("%+v", x)
		}
	}
}

// The id of a snapshot whose transaction fails is given again, and its directory is there already.
func TestDirectoryOfAFailedTransactionIsReplaced(t *testing.T) {
	s := newStore(t)
	ids := map[string]bool{}
	for i := range 2 {
		err := s.Update(t.Context(), func(ctx context.Context, _ *Tx) error {
			snap := must(storage.CreateSnapshot(ctx, snapshots.KindActive, "x", ""))(t)
			ids[snap.ID] = true
			check(t, makeSnapshot(ctx, s, snap.ID))
			if n := len(tree(t, s.Snapshot(snap.ID))); n > 0 {
				t.Errorf("%d files of the one that failed", n)
			}
			check(t, os.WriteFile(filepath.Join(s.Snapshot(snap.ID), "old"), nil, 0o600))
			if i == 0 {
				return os.ErrInvalid
			}
			return nil
		})
		if (err == nil) != (i == 1) {
			t.Fatal(err)
		}
	}
	if len(ids) != 1 {
		t.Errorf("ids %v: the test tests nothing", ids)
	}
}

// What cannot be moved away is told, and goes with the next Collect.
func TestCollectTellsWhatItCannotRemove(t *testing.T) {
	for name, make := range map[string]func(s *Store) string{
		"a file of nobody": func(s *Store) string {
			path := s.image(keyOf("stray"))
			check(t, os.MkdirAll(filepath.Dir(path), 0o700))
			check(t, os.WriteFile(path, []byte("123"), 0o600))
			return path
		},
		"the directory of a snapshot of nobody": func(s *Store) string {
			check(t, os.Mkdir(s.Snapshot("4711"), 0o700))
			return s.Snapshot("4711")
		},
	} {
		s := newStore(t)
		path := make(s)
		s.files = &failing{err: syscall.EROFS, only: "rename"}
		if f, err := s.Collect(t.Context()); !errors.Is(err, syscall.EROFS) || f != (Freed{}) {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
		s.files = system{}
		f := must(s.Collect(t.Context()))(t)
		if _, err := os.Lstat(path); !os.IsNotExist(err) || f.Files+f.Snapshots != 1 {
			t.Errorf("%s, again: %+v, %v", name, f, err)
		}
	}
}
