package snapshotter

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"

	cmount "github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/opencontainers/go-digest"

	"github.com/laminafs/lamina/internal/convert"
	"github.com/laminafs/lamina/internal/mount"
	"github.com/laminafs/lamina/internal/oracle"
	"github.com/laminafs/lamina/internal/store"
)

// open makes a snapshotter on a store of its own, and checks in the end that what a Cleanup after removing
// everything leaves is nothing.
func open(t testing.TB, c Config) *Snapshotter {
	t.Helper()
	oracle.NeedRoot(t)
	root := filepath.Join(t.TempDir(), "s")
	st := openStore(t, root)
	s, err := New(t.Context(), st, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unmountBelow(t, root) })
	return s
}

func openStore(t testing.TB, root string) *store.Store {
	t.Helper()
	st, err := store.Open(t.Context(), store.Config{Root: root})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return st
}

// unmountBelow takes all mounts below a directory away, the last first.
func unmountBelow(t testing.TB, dir string) {
	t.Helper()
	table, err := mount.Table(dir)
	if err != nil {
		t.Error(err)
	}
	for _, e := range slices.Backward(table) {
		if err := mount.Umount(e.Target, true); err != nil {
			t.Error(err)
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// mountAt mounts what the snapshotter returned, as containerd does.
func mountAt(t testing.TB, m []cmount.Mount) string {
	t.Helper()
	dir, err := os.MkdirTemp(t.TempDir(), "m")
	must(t, err)
	must(t, cmount.All(m, dir))
	t.Cleanup(func() {
		if is, _ := mount.Mounted(dir); is {
			must(t, mount.Umount(dir, false))
		}
	})
	return dir
}

func unmount(t testing.TB, dir string) {
	t.Helper()
	must(t, mount.Umount(dir, false))
}

func write(t testing.TB, dir, name, text string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
	must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
}

func read(t testing.TB, dir, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	must(t, err)
	return string(b)
}

var unique atomic.Int64

func newKey(what string) string { return fmt.Sprintf("test/%d/%s", unique.Add(1), what) }

// commitFiles commits a snapshot with files on a parent and returns its name.
func commitFiles(t testing.TB, s *Snapshotter, parent string, files map[string]string) string {
	t.Helper()
	key := newKey("active")
	m, err := s.Prepare(t.Context(), key, parent)
	must(t, err)
	dir := mountAt(t, m)
	for name, text := range files {
		write(t, dir, name, text)
	}
	unmount(t, dir)
	name := newKey("committed")
	must(t, s.Commit(t.Context(), name, key))
	return name
}

// chain commits n snapshots on each other; each has its own file and overwrites one of all.
func chain(t testing.TB, s *Snapshotter, n int) string {
	t.Helper()
	name := ""
	for i := range n {
		b := publish(t, s, map[string]string{fmt.Sprint("file", i): fmt.Sprint(i), "all": fmt.Sprint(i)})
		name = commitBlob(t, s, name, b, nil)
	}
	return name
}

// publish puts a blob with files into the store as a differ does, under a diffID made of its image.
func publish(t testing.TB, s *Snapshotter, files map[string]string) store.Blob {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		write(t, dir, name, text)
	}
	st, err := s.store.Stage(context.Background())
	must(t, err)
	defer func() { _ = st.Discard() }()
	_, err = convert.Dir(context.Background(), dir, st.File(), convert.DirOptions{})
	must(t, err)
	sum, err := digestOf(context.Background(), st.File())
	must(t, err)
	b, err := st.Publish(context.Background(), store.Key{Profile: convert.Profile, Digest: digest.FromString("tar of " + sum.String())}, "")
	must(t, err)
	return b
}

// commitBlob commits a snapshot to which a blob was linked, as a differ does.
func commitBlob(t testing.TB, s *Snapshotter, parent string, b store.Blob, labels map[string]string) string {
	t.Helper()
	key, name := newKey("extract-1"), newKey("committed")
	_, err := s.Prepare(t.Context(), key, parent, snapshots.WithLabels(labels))
	must(t, err)
	link(t, s, key, b)
	must(t, s.Commit(t.Context(), name, key, snapshots.WithLabels(labels)))
	return name
}

func link(t testing.TB, s *Snapshotter, key string, b store.Blob) {
	t.Helper()
	id := idOf(t, s, key)
	must(t, s.store.Update(t.Context(), func(_ context.Context, tx *store.Tx) error { return tx.Link(id, b.Key) }))
}

func idOf(t testing.TB, s *Snapshotter, key string) (id string) {
	t.Helper()
	m, err := s.Mounts(t.Context(), key)
	must(t, err)
	id, ok := store.SnapshotID(s.store.Root, m)
	if !ok {
		t.Fatalf("no snapshot in %v", m)
	}
	return id
}
