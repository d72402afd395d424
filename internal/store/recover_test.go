package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
)

// spoil are the ways in which a file of a blob is lost, and one in which it is not.
var spoil = map[string]struct {
	do   func(path string) error
	lost bool
}{
	"missing": {os.Remove, true},
	"empty":   {func(p string) error { return os.Truncate(p, 0) }, true},
	"cut":     {func(p string) error { return os.Truncate(p, 1500) }, true},
	"longer":  {func(p string) error { return os.Truncate(p, 1<<20) }, true},
	"superblock": {func(p string) error {
		f, err := os.OpenFile(p, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		_, err = f.WriteAt([]byte("x"), 1024+0x40)
		return errors.Join(err, f.Close())
	}, true},
	"directory": {func(p string) error { return errors.Join(os.Remove(p), os.Mkdir(p, 0o700)) }, true},
	"symlink":   {func(p string) error { return errors.Join(os.Rename(p, p+"x"), os.Symlink(p+"x", p)) }, true},
	"touched":   {func(p string) error { return os.Chmod(p, 0o400) }, false},
}

func TestDamagedBlobIsSetAsideAndHealed(t *testing.T) {
	for name, c := range spoil {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			b := publish(t, s, "a", "1")
			publish(t, s, "b", "2")
			update(t, s, func(_ context.Context, tx *Tx) error { return tx.Link("3", b.Key) })
			check(t, c.do(s.Path(b)))
			s = reopen(t, s)
			_, err := lookup(t, s, b.Key)
			if errdefs.IsNotFound(err) != c.lost {
				t.Fatalf("%v", err)
			}
			if _, err := lookup(t, s, keyOf("b")); err != nil {
				t.Errorf("the other blob: %v", err)
			}
			if !c.lost {
				return
			}
			if st := must(s.Status(t.Context()))(t); st.Damaged != 1 {
				t.Errorf("%d damaged", st.Damaged)
			}
			again := publish(t, s, "a", "")
			if again.N == b.N {
				t.Error("the number of the damaged file is used again: it may be mounted")
			}
			check(t, s.View(t.Context(), func(_ context.Context, tx *Tx) error {
				if ids := tx.LinksTo(b.Key); len(ids) != 2 {
					t.Errorf("links %q: every snapshot should be healed", ids)
				}
				return nil
			}))
			if got := must(os.ReadFile(s.Path(again)))(t); !bytes.Equal(got, imageOf(t, "a")) {
				t.Error("content")
			}
		})
	}
}

func TestDamagedBlobWithoutLinksIsForgotten(t *testing.T) {
	s := newStore(t)
	b := publish(t, s, "a", "")
	check(t, os.Truncate(s.Path(b), 0))
	s = reopen(t, s)
	if st := must(s.Status(t.Context()))(t); len(st.Blobs) != 0 {
		t.Errorf("%+v", st.Blobs)
	}
	if n := len(tree(t, s.damaged())); n != 1 {
		t.Errorf("%d files set aside", n)
	}
}

func TestDamageIsNoticedAtTheNextPublication(t *testing.T) {
	s := newStore(t)
	b := publish(t, s, "a", "1")
	check(t, os.Truncate(s.Path(b), 4096))
	again := publish(t, s, "a", "2")
	if got := must(os.ReadFile(s.Path(again)))(t); !bytes.Equal(got, imageOf(t, "a")) || again.N == b.N {
		t.Errorf("%d bytes, number %d", len(got), again.N)
	}
}

func TestWhatCannotBeLookedAtIsNotSetAside(t *testing.T) {
	s := newStore(t)
	b := publish(t, s, "a", "1")
	check(t, s.Close())
	dir := filepath.Dir(s.Path(b))
	check(t, os.Rename(dir, dir+".away"))
	check(t, os.WriteFile(dir, nil, 0o600)) // ENOTDIR
	if s, err := Open(t.Context(), Config{Root: s.Root}); err == nil {
		_ = s.Close()
		t.Fatal("opened")
	}
	check(t, os.Remove(dir))
	check(t, os.Rename(dir+".away", dir))
	s = openAt(t, s.Root)
	if _, err := lookup(t, s, b.Key); err != nil {
		t.Error(err)
	}
}

func TestUnreadableRecordIsDroppedAndWrittenAgain(t *testing.T) {
	s := newStore(t)
	b := publish(t, s, "a", "1")
	update(t, s, func(_ context.Context, tx *Tx) error { return tx.blobs.Put(b.Key.encode(), []byte{9, 9, 9}) })
	s = reopen(t, s)
	if _, err := lookup(t, s, b.Key); !errdefs.IsNotFound(err) {
		t.Fatal(err)
	}
	publish(t, s, "a", "")
}

func TestStagingIsEmptiedWhenItsProcessIsDead(t *testing.T) {
	s := newStore(t)
	alive := stage(t, s, imageOf(t, "a"))
	for _, name := range []string{"0123", "dead/deep", metadataLeft} {
		check(t, os.MkdirAll(filepath.Join(s.staging(), name), 0o700))
	}
	check(t, os.WriteFile(filepath.Join(s.staging(), "file"), nil, 0o600))
	openAt(t, s.Root) // not the first: it leaves staging alone
	f := must(s.Collect(t.Context()))(t)
	if f.Staged != 4 {
		t.Errorf("%d removed", f.Staged)
	}
	if _, err := alive.Publish(t.Context(), keyOf("a"), ""); err != nil {
		t.Errorf("a staging that lives was removed: %v", err)
	}
	check(t, os.Mkdir(filepath.Join(s.staging(), "more"), 0o700))
	check(t, s.Close())
	other := openAt(t, s.Root)
	if st := must(other.Status(t.Context()))(t); st.Staged != 1 {
		t.Errorf("%d: the first of the two is still open, nobody recovers", st.Staged)
	}
}

const metadataLeft = "metadata.db.d"

func TestSomethingThatIsNoStoreIsRefused(t *testing.T) {
	root := filepath.Join(t.TempDir(), "store")
	check(t, os.Mkdir(root, 0o700))
	check(t, os.WriteFile(filepath.Join(root, databaseName), bytes.Repeat([]byte("no database "), 4096), 0o600))
	if s, err := Open(t.Context(), Config{Root: root}); err == nil {
		_ = s.Close()
		t.Fatal("opened")
	}
	for _, bad := range []string{"", filepath.Join(root, "lock", "x")} {
		if _, err := Open(t.Context(), Config{Root: bad}); err == nil {
			t.Errorf("%q: opened", bad)
		}
	}
}

func TestHalfMadeDatabaseIsMadeAgain(t *testing.T) {
	s := newStore(t)
	check(t, s.Close())
	check(t, os.Remove(s.database()))
	check(t, os.WriteFile(filepath.Join(s.staging(), databaseName), []byte("half"), 0o600))
	s = openAt(t, s.Root)
	publish(t, s, "a", "1")
}

func TestRecoveryOfAnotherProcessIsWaitedFor(t *testing.T) {
	s := newStore(t)
	check(t, s.Close())
	f := must(os.OpenFile(s.Layout.lock(), os.O_RDWR, 0))(t)
	defer func() { check(t, f.Close()) }()
	check(t, (&rangeLock{f}).try(lockUsers, true))
	ctx, cancel := context.WithTimeout(t.Context(), 2*maxPoll)
	defer cancel()
	if _, err := Open(ctx, Config{Root: s.Root}); !errdefs.IsUnavailable(err) {
		t.Errorf("%v", err)
	}
}

func TestEventsTellWhatHappened(t *testing.T) {
	var kinds []EventKind
	root := filepath.Join(t.TempDir(), "store")
	c := Config{Root: root, Observe: func(e Event) { kinds = append(kinds, e.Kind) }}
	s := must(Open(t.Context(), c))(t)
	b := publish(t, s, "a", "1")
	check(t, s.Close())
	check(t, os.Remove(s.Path(b)))
	s = must(Open(t.Context(), c))(t)
	publish(t, s, "a", "")
	update(t, s, func(_ context.Context, tx *Tx) error { return tx.Unlink("1") })
	must(s.Collect(t.Context()))(t)
	check(t, s.Close())
	want := []EventKind{Published, Damaged, Healed, Collected}
	if len(kinds) != len(want) {
		t.Fatalf("%v", kinds)
	}
	for i := range want {
		if kinds[i] != want[i] {
			t.Fatalf("%v, want %v", kinds, want)
		}
	}
}

func TestChainLeadsToItsBlob(t *testing.T) {
	s := newStore(t)
	publish(t, s, "a", "1")
	chain := digest.FromString("chain")
	update(t, s, func(_ context.Context, tx *Tx) error { return tx.SetChain(chain, keyOf("a")) })
	ask := func() (k Key, ok bool) {
		check(t, s.View(t.Context(), func(_ context.Context, tx *Tx) error { k, ok = tx.Chain(chain); return nil }))
		return k, ok
	}
	if k, ok := ask(); !ok || k != keyOf("a") {
		t.Errorf("%v %v", k, ok)
	}
	update(t, s, func(_ context.Context, tx *Tx) error { return tx.Unlink("1") })
	must(s.Collect(t.Context()))(t)
	if k, ok := ask(); ok {
		t.Errorf("after Collect: %v", k)
	}
}

// A database that a disk has torn ends Open with an error, not the process.
func TestTornDatabaseIsRefused(t *testing.T) {
	s := newStore(t)
	update(t, s, func(_ context.Context, tx *Tx) error {
		for i := range 500 {
			if _, err := tx.PutBlob(Blob{Key: keyOf(fmt.Sprint(i))}); err != nil {
				return err
			}
		}
		return nil
	})
	check(t, s.Close())
	b := must(os.ReadFile(s.database()))(t)
	for i := 4 * os.Getpagesize(); i < len(b); i++ {
		b[i] = 0xA5
	}
	check(t, os.WriteFile(s.database(), b, 0o600))
	if s, err := Open(t.Context(), Config{Root: s.Root}); err == nil {
		_ = s.Close()
		t.Error("opened")
	}
}
