package store

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/core/snapshots/storage"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"

	"github.com/laminafs/lamina/mkfs"
	"github.com/laminafs/lamina/tartree"
)

// memory is an mkfs.File.
type memory struct{ b []byte }

func (m *memory) ReadAt(p []byte, off int64) (int, error) {
	return bytes.NewReader(m.b).ReadAt(p, off)
}

func (m *memory) WriteAt(p []byte, off int64) (int, error) {
	if need := int(off) + len(p); need > len(m.b) {
		m.b = append(m.b, make([]byte, need-len(m.b))...)
	}
	return copy(m.b[off:], p), nil
}

func (m *memory) Truncate(size int64) error {
	if int(size) <= len(m.b) {
		m.b = m.b[:size]
		return nil
	}
	m.b = append(m.b, make([]byte, int(size)-len(m.b))...)
	return nil
}

var images sync.Map // by their text

// imageOf returns an EROFS image with one file, "text". It is not to be changed.
func imageOf(t testing.TB, text string) []byte {
	t.Helper()
	if image, ok := images.Load(text); ok {
		return image.([]byte)
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	check(t, w.WriteHeader(&tar.Header{Name: "text", Mode: 0o644, Size: int64(len(text))}))
	must(w.Write([]byte(text)))(t)
	check(t, w.Close())
	var m memory
	fs := must(mkfs.New(&m, mkfs.Options{}))(t)
	tree := must(tartree.Read(&b, fs, tartree.Options{}))(t)
	must(fs.Finish(tree))(t)
	images.Store(text, m.b)
	return m.b
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		check(t, err)
		return v
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func keyOf(text string) Key { return Key{"1", digest.FromString(text)} }

// openAt opens a store until the test ends.
func openAt(t testing.TB, root string) *Store {
	t.Helper()
	s := must(Open(t.Context(), Config{Root: root}))(t)
	t.Cleanup(func() { check(t, s.Close()) })
	return s
}

func newStore(t testing.TB) *Store {
	t.Helper()
	return openAt(t, filepath.Join(t.TempDir(), "store"))
}

// reopen closes a store and opens it again: the recovery of the next start.
func reopen(t testing.TB, s *Store) *Store {
	t.Helper()
	check(t, s.Close())
	return openAt(t, s.Root)
}

// stage puts bytes in a new Staged, which is discarded after the test.
func stage(t testing.TB, s *Store, image []byte) *Staged {
	t.Helper()
	st := must(s.Stage(t.Context()))(t)
	t.Cleanup(func() { _ = st.Discard() })
	must(st.File().Write(image))(t)
	return st
}

// publish publishes imageOf(text) as keyOf(text), linked to id.
func publish(t testing.TB, s *Store, text, id string) Blob {
	t.Helper()
	return must(stage(t, s, imageOf(t, text)).Publish(t.Context(), keyOf(text), id))(t)
}

// lookup returns what a transaction sees of a key.
func lookup(t testing.TB, s *Store, k Key) (b Blob, err error) {
	t.Helper()
	e := s.View(t.Context(), func(_ context.Context, tx *Tx) error {
		b, err = tx.Blob(k)
		return nil
	})
	check(t, e)
	return b, err
}

func update(t testing.TB, s *Store, fn func(ctx context.Context, tx *Tx) error) {
	t.Helper()
	check(t, s.Update(t.Context(), fn))
}

// snapshot makes a snapshot on a parent, "" for none, with its directory, and commits it if committed is
// set. It returns the id.
func snapshot(t testing.TB, s *Store, name, parent string, committed bool) (id string) {
	t.Helper()
	update(t, s, func(ctx context.Context, _ *Tx) error {
		snap, err := storage.CreateSnapshot(ctx, snapshots.KindActive, name+"-active", parent)
		if err != nil {
			return err
		}
		if id = snap.ID; !committed {
			return makeSnapshot(ctx, s, id)
		}
		_, err = storage.CommitActive(ctx, name+"-active", name, snapshots.Usage{})
		return err
	})
	return id
}

// makeSnapshot makes the directory of a snapshot, as a snapshotter does.
func makeSnapshot(ctx context.Context, s *Store, id string) error {
	err := os.Mkdir(s.Snapshot(id), 0o700)
	if errors.Is(err, fs.ErrExist) {
		err = errors.Join(s.DropSnapshot(ctx, id), os.Mkdir(s.Snapshot(id), 0o700))
	}
	return err
}

// tree lists what is below a directory, without the directories themselves.
func tree(t testing.TB, dir string) []string {
	t.Helper()
	var out []string
	check(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			out = append(out, strings.TrimPrefix(path, dir+"/"))
		}
		return err
	}))
	return out
}

func TestPublishedBlobIsThereForTheNextProcess(t *testing.T) {
	s := newStore(t)
	st := stage(t, s, imageOf(t, "a"))
	st.ImageDigest = digest.FromString("image")
	b := must(st.Publish(t.Context(), keyOf("a"), "7"))(t)
	if b.N == 0 || b.Size == 0 || b.Key != keyOf("a") || b.ImageDigest != digest.FromString("image") {
		t.Fatalf("%+v", b)
	}
	s = reopen(t, s)
	got, err := lookup(t, s, keyOf("a"))
	check(t, err)
	if got.N != b.N || got.Size != b.Size || got.ImageDigest != b.ImageDigest || !got.Created.Equal(b.Created) {
		t.Errorf("%+v, published %+v", got, b)
	}
	if b, err := os.ReadFile(s.Path(got)); err != nil || !bytes.Equal(b, imageOf(t, "a")) {
		t.Errorf("content: %d bytes, %v", len(b), err)
	}
	check(t, s.View(t.Context(), func(_ context.Context, tx *Tx) error {
		if k, ok := tx.LinkOf("7"); !ok || k != keyOf("a") {
			t.Errorf("link: %v %v", k, ok)
		}
		return nil
	}))
	if left := tree(t, s.staging()); len(left) > 0 {
		t.Errorf("staging: %q", left)
	}
}

func TestSecondPublicationUsesTheFirst(t *testing.T) {
	s := newStore(t)
	a, b := publish(t, s, "a", "1"), publish(t, s, "a", "2")
	if a.N != b.N {
		t.Errorf("numbers %d, %d", a.N, b.N)
	}
	check(t, s.View(t.Context(), func(_ context.Context, tx *Tx) error {
		if ids := tx.LinksTo(keyOf("a")); strings.Join(ids, " ") != "1 2" {
			t.Errorf("links: %q", ids)
		}
		return nil
	}))
	if left := tree(t, s.blobs()); len(left) != 1 {
		t.Errorf("files: %q", left)
	}
}

func TestPublishRefusesWhatIsNoImage(t *testing.T) {
	s := newStore(t)
	for name, bytes := range map[string][]byte{"empty": nil, "text": make([]byte, 8192), "short": imageOf(t, "x")[:1100]} {
		st := stage(t, s, bytes)
		if _, err := st.Publish(t.Context(), keyOf(name), ""); !errdefs.IsInvalidArgument(err) {
			t.Errorf("%s: %v", name, err)
		}
		check(t, st.Discard())
	}
	if left := append(tree(t, s.blobs()), tree(t, s.staging())...); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
}

func TestKeysThatAreNoPathsAreRefused(t *testing.T) {
	ok := digest.FromString("")
	for _, k := range []Key{
		{}, {"1", ""}, {"", ok}, {"..", ok}, {"a/b", ok}, {strings.Repeat("x", 65), ok}, {"a\x00", ok},
		{"1", "sha256:abc"}, {"1", "sha256:" + digest.Digest(strings.Repeat("/", 64))}, {"1", "md5:" + ok[7:39]},
	} {
		if err := k.Validate(); !errdefs.IsInvalidArgument(err) {
			t.Errorf("%q: %v", k, err)
		}
	}
	for _, alg := range []digest.Algorithm{digest.SHA256, digest.SHA384, digest.SHA512} {
		k := Key{"lamina-1.2+x_y", alg.FromString("x")}
		if got, err := decodeKey(k.encode()); err != nil || got != k {
			t.Errorf("%v: %v %v", k, got, err)
		}
	}
}

func TestDeviceIsPublishedBesideItsImage(t *testing.T) {
	s := newStore(t)
	st := stage(t, s, imageOf(t, "index"))
	must(must(st.Device())(t).Write(make([]byte, 1024)))(t)
	b := must(st.Publish(t.Context(), keyOf("index"), "1"))(t)
	if len(b.Devices) != 1 || b.Devices[0].Size != 1024 || len(s.DevicePaths(b)) != 1 {
		t.Fatalf("%+v", b)
	}
	check(t, os.Truncate(s.DevicePaths(b)[0], 512))
	s = reopen(t, s)
	if _, err := lookup(t, s, b.Key); !errdefs.IsNotFound(err) {
		t.Errorf("a blob whose device is cut: %v", err)
	}
	if n := len(tree(t, s.damaged())); n != 2 {
		t.Errorf("%d files set aside", n)
	}
}

func TestAdoptedFileIsNotCopied(t *testing.T) {
	for name, immutable := range map[string]bool{"link": false, "immutable": true} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := must(Open(t.Context(), Config{Root: filepath.Join(dir, "store"), Immutable: immutable}))(t)
			defer func() { check(t, s.Close()) }()
			theirs := filepath.Join(dir, "content")
			check(t, os.WriteFile(theirs, imageOf(t, "a"), 0o600))
			st := must(s.Stage(t.Context()))(t)
			check(t, st.Adopt(theirs))
			b := must(st.Publish(t.Context(), Key{ProfileNative, digest.FromBytes(imageOf(t, "a"))}, ""))(t)
			x, y := must(os.Stat(theirs))(t), must(os.Stat(s.Path(b)))(t)
			if os.SameFile(x, y) == immutable {
				t.Errorf("same file: %v", !immutable)
			}
			_ = s.take(s.Path(b), filepath.Join(dir, "out")) // without its flag the test can remove it
		})
	}
	s := newStore(t)
	st := stage(t, s, nil)
	if err := st.Adopt(t.TempDir()); !errdefs.IsInvalidArgument(err) {
		t.Errorf("a directory: %v", err)
	}
}

func TestTransactionIsAllOrNothing(t *testing.T) {
	s := newStore(t)
	publish(t, s, "a", "")
	boom := errors.New("boom")
	err := s.Update(t.Context(), func(ctx context.Context, tx *Tx) error {
		if _, err := storage.CreateSnapshot(ctx, snapshots.KindActive, "snap", ""); err != nil {
			return err
		}
		if err := tx.Link("1", keyOf("a")); err != nil {
			return err
		}
		return boom
	})
	if !errors.Is(err, boom) {
		t.Fatal(err)
	}
	check(t, s.View(t.Context(), func(ctx context.Context, tx *Tx) error {
		if _, ok := tx.LinkOf("1"); ok || tx.isLinked(keyOf("a")) {
			t.Error("the link stayed")
		}
		if ids, _ := names(ctx); len(ids) > 0 {
			t.Errorf("the snapshot stayed: %v", ids)
		}
		return nil
	}))
}

func TestTransactionInsideATransactionIsRefused(t *testing.T) {
	s := newStore(t)
	check(t, s.View(t.Context(), func(ctx context.Context, _ *Tx) error {
		for name, do := range map[string]func() error{
			"Update":  func() error { return s.Update(ctx, nil) },
			"View":    func() error { return s.View(ctx, nil) },
			"Collect": func() error { _, err := s.Collect(ctx); return err },
		} {
			if err := do(); !errdefs.IsFailedPrecondition(err) {
				t.Errorf("%s: %v", name, err)
			}
		}
		return nil
	}))
}

func TestPanicInATransactionLeavesTheStoreUsable(t *testing.T) {
	s := newStore(t)
	func() {
		defer func() { _ = recover() }()
		_ = s.Update(t.Context(), func(context.Context, *Tx) error { panic("ours") })
	}()
	publish(t, s, "a", "")
}

func TestLinkMovesFromBlobToBlob(t *testing.T) {
	s := newStore(t)
	publish(t, s, "a", "1")
	publish(t, s, "b", "1")
	update(t, s, func(_ context.Context, tx *Tx) error {
		if tx.isLinked(keyOf("a")) || !tx.isLinked(keyOf("b")) {
			t.Error("the old link stayed, or the new one is not there")
		}
		for id := range tx.Links() {
			if id != "1" {
				t.Errorf("link of %s", id)
			}
		}
		return tx.Unlink("1")
	})
	if _, err := lookup(t, s, keyOf("b")); err != nil {
		t.Errorf("without links the blob stays until Collect: %v", err)
	}
}

func TestWaitingForAnotherProcessEndsWithTheContext(t *testing.T) {
	s := newStore(t)
	other := openAt(t, s.Root)
	inside, done := make(chan bool), make(chan bool)
	var wg sync.WaitGroup
	wg.Go(func() {
		check(t, other.View(t.Context(), func(context.Context, *Tx) error {
			close(inside)
			<-done
			return nil
		}))
	})
	<-inside
	ctx, cancel := context.WithTimeout(t.Context(), maxPoll)
	defer cancel()
	err := s.View(ctx, nil)
	if !errdefs.IsUnavailable(err) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	close(done)
	wg.Wait()
	check(t, s.View(t.Context(), func(context.Context, *Tx) error { return nil }))
}
