package store

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/containerd/containerd/v2/core/snapshots/storage"
	"github.com/containerd/errdefs"

	"github.com/laminafs/lamina/internal/mount"
	"github.com/laminafs/lamina/internal/oracle"
)

// mountStore is newStore for tests that mount: whatever they leave mounted is unmounted.
func mountStore(t *testing.T) *Store {
	t.Helper()
	oracle.NeedRoot(t)
	s := newStore(t)
	t.Cleanup(func() {
		table, err := s.mountTable()
		check(t, err)
		for _, e := range table.entries {
			check(t, mount.Umount(e.Target, true))
		}
	})
	return s
}

func mountsBelow(t *testing.T, s *Store) (n int) {
	t.Helper()
	return len(must(mount.Table(s.Root))(t))
}

func TestBlobIsMountedOnceForEverybody(t *testing.T) {
	s := mountStore(t)
	other := openAt(t, s.Root)
	b := publish(t, s, "a", "1")
	var wg sync.WaitGroup
	for i := range 40 {
		s := []*Store{s, other}[i%2]
		wg.Go(func() {
			dir, err := s.MountBlob(t.Context(), b)
			if err != nil || dir != s.MountPoint(b.N) {
				t.Errorf("%s %v", dir, err)
			}
		})
	}
	wg.Wait()
	if n := mountsBelow(t, s); n != 1 {
		t.Errorf("%d mounts", n)
	}
	if got, err := os.ReadFile(filepath.Join(s.MountPoint(b.N), "text")); err != nil || string(got) != "a" {
		t.Errorf("%q %v", got, err)
	}
	check(t, mount.Umount(s.MountPoint(b.N), false)) // another process may do so
	must(s.MountBlob(t.Context(), b))(t)
	if n := mountsBelow(t, s); n != 1 {
		t.Errorf("%d mounts after the second", n)
	}
}

func TestCollectUnmountsWhatNoActiveSnapshotNeeds(t *testing.T) {
	s := mountStore(t)
	base := snapshot(t, s, "base", "", true)
	top := snapshot(t, s, "top", "base", true)
	single := snapshot(t, s, "single", "", true)
	snapshot(t, s, "container", "top", false)
	blobs := []Blob{publish(t, s, "base", base), publish(t, s, "top", top), publish(t, s, "single", single), publish(t, s, "free", "")}
	for _, b := range blobs {
		must(s.MountBlob(t.Context(), b))(t)
	}
	f := must(s.Collect(t.Context()))(t)
	if f.Mounts != 2 || f.Blobs != 1 {
		t.Errorf("%+v", f)
	}
	if st := must(s.Status(t.Context()))(t); st.Mounts != 2 {
		t.Errorf("%+v", st)
	}
	update(t, s, func(ctx context.Context, _ *Tx) error {
		_, _, err := storage.Remove(ctx, "container-active")
		return err
	})
	if f := must(s.Collect(t.Context()))(t); f.Mounts != 2 || f.Snapshots != 1 {
		t.Errorf("%+v", f)
	}
	if n := mountsBelow(t, s); n != 0 {
		t.Errorf("%d mounts", n)
	}
	if list := must(os.ReadDir(s.mounts()))(t); len(list) != 3 {
		t.Errorf("%d mount points for 3 blobs", len(list))
	}
}

func TestDamageIsNoticedBeforeTheKernelDoes(t *testing.T) {
	s := mountStore(t)
	b := publish(t, s, "a", "1")
	check(t, os.Truncate(s.Path(b), 1100))
	if _, err := s.MountBlob(t.Context(), b); !errdefs.IsNotFound(err) {
		t.Fatalf("%v", err)
	}
	if _, err := lookup(t, s, b.Key); !errdefs.IsNotFound(err) {
		t.Errorf("%v", err)
	}
	must(s.MountBlob(t.Context(), publish(t, s, "a", "")))(t)
}

func TestMountsOfAnotherStoreAtThisPlaceGo(t *testing.T) {
	s := mountStore(t)
	must(s.MountBlob(t.Context(), publish(t, s, "a", "1")))(t)
	check(t, s.Close())
	check(t, os.RemoveAll(s.database()))
	check(t, os.RemoveAll(s.blobs()))
	s = openAt(t, s.Root)
	b := publish(t, s, "b", "1") // number 1, as the other
	must(s.MountBlob(t.Context(), b))(t)
	if got, err := os.ReadFile(filepath.Join(s.MountPoint(b.N), "text")); err != nil || string(got) != "b" {
		t.Errorf("%q %v", got, err)
	}
	s = reopen(t, s)
	if mounted, err := mount.Mounted(s.MountPoint(b.N)); !mounted {
		t.Errorf("the next start unmounts what is right: %v", err)
	}
}

func TestCollectUnmountsBeforeItRemoves(t *testing.T) {
	s := mountStore(t)
	dir := filepath.Join(s.Snapshot("4711"), "rw")
	check(t, os.MkdirAll(dir, 0o700))
	b := publish(t, s, "a", "1")
	check(t, os.WriteFile(filepath.Join(dir, "below"), nil, 0o600))
	steps := must(mount.Plan(mount.Root{Layers: []mount.Layer{{Image: s.Path(b)}}, Target: dir}, must(s.kernel())(t)))(t)
	check(t, mount.Apply(steps))
	if f := must(s.Collect(t.Context()))(t); f.Snapshots != 1 {
		t.Errorf("%+v", f)
	}
	if n := mountsBelow(t, s); n != 0 {
		t.Errorf("%d mounts", n)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Error(err)
	}
}

func TestImmutableBlobs(t *testing.T) {
	oracle.NeedRoot(t)
	var seen []error
	c := Config{Root: filepath.Join(t.TempDir(), "store"), Immutable: true, Observe: func(e Event) { seen = append(seen, e.Err) }}
	s := must(Open(t.Context(), c))(t)
	defer func() { check(t, s.Close()) }()
	b := publish(t, s, "a", "")
	if seen[0] != nil {
		oracle.Missing(t, "immutable flag in "+s.Root)
	}
	if err := os.Remove(s.Path(b)); err == nil {
		t.Error("removed")
	}
	if f := must(s.Collect(t.Context()))(t); f.Files != 1 {
		t.Errorf("%+v", f)
	}
}

func TestMountBlobWantsARecord(t *testing.T) {
	s := newStore(t)
	for _, b := range []Blob{{}, {Key: keyOf("a")}, {Key: Key{"..", keyOf("a").Digest}, N: 1}} {
		if _, err := s.MountBlob(t.Context(), b); !errdefs.IsInvalidArgument(err) {
			t.Errorf("%+v: %v", b, err)
		}
	}
}

// Asking for a blob that is mounted is one system call.
func BenchmarkMountBlobAgain(b *testing.B) {
	oracle.NeedRoot(b)
	s := newStore(b)
	blob := publish(b, s, "a", "1")
	must(s.MountBlob(b.Context(), blob))(b)
	defer func() { check(b, mount.Umount(s.MountPoint(blob.N), true)) }()
	for b.Loop() {
		must(s.MountBlob(b.Context(), blob))(b)
	}
}
