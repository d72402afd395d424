package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/core/snapshots/storage"
	bolt "go.etcd.io/bbolt"
)

// failing is a system whose nth change of the disk fails, and all after it if sticky is set: a disk that is full
// stays full.
type failing struct {
	system
	err    error
	nth    int // counts down; 0 fails
	sticky bool
	only   string // the first to fail is an operation of this name; "": any
	hit    string // the operation that failed first
	late   bool   // a commit fails after it was made, as an fsync does that comes too late
}

func (f *failing) fail(what string) error {
	if f.only != "" && f.hit == "" && f.only != what {
		return nil
	}
	f.nth--
	if f.nth == -1 || f.sticky && f.nth < 0 {
		if f.hit == "" {
			f.hit = what
		}
		return &os.PathError{Op: what, Path: "injected", Err: f.err}
	}
	return nil
}

func (f *failing) mkdir(dir string) error {
	return f.then("mkdir", func() error { return f.system.mkdir(dir) })
}

func (f *failing) then(what string, do func() error) error {
	if err := f.fail(what); err != nil {
		return err
	}
	return do()
}

func (f *failing) create(path string) (*os.File, error) {
	if err := f.fail("create"); err != nil {
		return nil, err
	}
	return f.system.create(path)
}

// openDatabase gives a file that cannot be written to: bbolt's own first write fails.
func (f *failing) openDatabase(path string, flag int, mode os.FileMode) (*os.File, error) {
	if f.fail("write metadata.db") != nil {
		return os.OpenFile(path, os.O_RDONLY, 0)
	}
	return f.system.openDatabase(path, flag, mode)
}

func (f *failing) copy(dst, src *os.File) error {
	return f.then("copy", func() error { return f.system.copy(dst, src) })
}

func (f *failing) sync(file *os.File) error {
	return f.then("fsync", func() error { return f.system.sync(file) })
}

func (f *failing) syncDir(dir string) error {
	return f.then("fsync directory", func() error { return f.system.syncDir(dir) })
}

func (f *failing) link(from, to string) error {
	return f.then("link", func() error { return f.system.link(from, to) })
}

func (f *failing) rename(from, to string) error {
	return f.then("rename", func() error { return f.system.rename(from, to) })
}

func (f *failing) removeAll(path string) error {
	return f.then("remove", func() error { return f.system.removeAll(path) })
}

func (f *failing) commit(tx *bolt.Tx) error {
	if f.late {
		return errors.Join(f.system.commit(tx), f.fail("commit"))
	}
	return f.then("commit", func() error { return f.system.commit(tx) })
}

// life is what is done with a store while its disk fails. It returns the first error, and the texts that were
// published without one.
func life(t *testing.T, root string, f *failing) (published []string, err error) {
	ctx := t.Context()
	s, err := open(ctx, Config{Root: root}, f)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	theirs := filepath.Join(t.TempDir(), "content")
	check(t, os.WriteFile(theirs, imageOf(t, "adopted"), 0o600))
	for i, text := range []string{"first", "second", "adopted", "damaged"} {
		id := ""
		if err := s.Update(ctx, func(ctx context.Context, _ *Tx) error {
			snap, err := storage.CreateSnapshot(ctx, snapshots.KindActive, text, "")
			id = snap.ID
			return err
		}); err != nil {
			return published, err
		}
		st, err := s.Stage(ctx)
		if err != nil {
			return published, err
		}
		if i == 2 {
			err = st.Adopt(theirs)
		} else {
			_, err = st.File().Write(imageOf(t, text))
		}
		if err == nil {
			_, err = st.Publish(ctx, keyOf(text), id)
		}
		if err != nil {
			return published, errors.Join(err, st.Discard())
		}
		published = append(published, text)
	}
	check(t, os.Truncate(s.image(keyOf("damaged")), 100))
	published = published[:3]
	if err := s.Close(); err != nil {
		return published, err
	}
	again, err := open(ctx, Config{Root: root}, f)
	if err != nil {
		return published, err
	}
	_, err = again.Collect(ctx)
	return published, errors.Join(err, again.Close())
}

// Every single operation on the disk fails once, or from then on, in every way. What was published without an
// error is whole; nothing is half there; and once the disk works again, everything works.
func TestEveryOperationMayFail(t *testing.T) {
	t.Parallel()
	hits := map[string]int{}
	dir := quickDir(t)
	for m, mode := range []failing{
		{err: syscall.ENOSPC, sticky: true},
		{err: syscall.EIO},
		{err: syscall.EIO, late: true},
	} {
		for n := 0; ; n++ {
			f := mode
			f.nth = n
			root := filepath.Join(dir, fmt.Sprint(m, "-", n))
			published, err := life(t, root, &f)
			if f.hit == "" {
				check(t, err)
				break
			}
			hits[f.hit]++
			name := fmt.Sprintf("%v sticky %v late %v, operation %d (%s)", f.err, f.sticky, f.late, n, f.hit)
			judgeFailure(t, name, &f, err)
			afterwards(t, name, root, published)
		}
	}
	for _, what := range strings.Split("mkdir,create,write metadata.db,fsync,fsync directory,link,rename,remove,commit", ",") {
		if hits[what] == 0 {
			t.Errorf("%s never failed", what)
		}
	}
	t.Log(hits)
}

// quickDir is a directory in memory, where an fsync costs nothing, if the system has one.
func quickDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "lamina-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { check(t, os.RemoveAll(dir)) })
	return dir
}

// judgeFailure: the error names what the system said. A hard link that fails is copied around, and what cannot be removed
// is left to Collect, so these may go unnoticed.
func judgeFailure(t *testing.T, name string, f *failing, err error) {
	t.Helper()
	switch {
	case err == nil && (f.hit == "remove" || f.hit == "link" || f.hit == "rename"):
	case err == nil && f.hit == "write metadata.db": // no transaction wrote in that burst
	case f.hit == "write metadata.db": // bbolt says EBADF
	case !errors.Is(err, f.err):
		t.Errorf("%s: %v", name, err)
	case !strings.HasPrefix(err.Error(), "store: "):
		t.Errorf("%s: %q does not say where", name, err)
	}
}

// afterwards opens the store with a disk that works.
func afterwards(t *testing.T, name, root string, published []string) {
	t.Helper()
	s, err := Open(t.Context(), Config{Root: root})
	if err != nil {
		t.Fatalf("%s: afterwards: %v", name, err)
	}
	defer func() { check(t, s.Close()) }()
	if st := must(s.Status(t.Context()))(t); st.Damaged > 1 { // the one that life damages
		t.Errorf("%s: %d damaged", name, st.Damaged)
	}
	for _, text := range published {
		b, err := lookup(t, s, keyOf(text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got, err := os.ReadFile(s.Path(b)); err != nil || !bytes.Equal(got, imageOf(t, text)) {
			t.Errorf("%s: %s: %d bytes, %v", name, text, len(got), err)
		}
	}
	for _, text := range []string{"first", "second", "adopted", "damaged", "new"} {
		st := stage(t, s, imageOf(t, text))
		b := must(st.Publish(t.Context(), keyOf(text), "pin "+text))(t)
		if err := s.check(&b); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	clean(t, s)
}

// A Staged whose fsync has failed cannot be published any more: the kernel forgets what it could not write.
func TestFailedFsyncSpoilsTheStaged(t *testing.T) {
	s := newStore(t)
	st := stage(t, s, imageOf(t, "a"))
	s.files = &failing{err: syscall.EIO, nth: 0}
	s.db.files = system{}
	if err := st.sync(); !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
	if _, err := st.Publish(t.Context(), keyOf("a"), ""); err == nil {
		t.Error("published after a failed fsync")
	}
}
