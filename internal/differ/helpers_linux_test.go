package differ

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/containerd/containerd/v2/core/content"
	cmount "github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/core/snapshots/storage"
	"github.com/containerd/containerd/v2/plugins/content/local"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/laminafs/lamina/internal/mount"
	"github.com/laminafs/lamina/internal/oracle"
	"github.com/laminafs/lamina/internal/store"
)

// env is a store with a content store next to it, and what a snapshotter does.
type env struct {
	t       testing.TB
	dir     string
	store   *store.Store
	content content.Store
	d       *Differ
	events  []Event
	mu      sync.Mutex
	n       int
}

func newEnv(t testing.TB, c Config) *env { return newEnvAt(t, t.TempDir(), c) }

func newEnvAt(t testing.TB, dir string, c Config) *env {
	t.Helper()
	oracle.NeedRoot(t)
	e := &env{t: t, dir: dir}
	var err error
	e.store, err = store.Open(t.Context(), store.Config{Root: filepath.Join(dir, "store")})
	must(t, err)
	e.content, err = local.NewLabeledStore(filepath.Join(dir, "content"), &memLabels{all: map[digest.Digest]map[string]string{}})
	must(t, err)
	c.Observe = func(ev Event) {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.events = append(e.events, ev)
	}
	if c.ContentRoot == "local" {
		c.ContentRoot = filepath.Join(dir, "content")
	}
	e.d, err = New(e.store, e.content, c)
	must(t, err)
	t.Cleanup(e.close)
	return e
}

func (e *env) close() {
	table, err := mount.Table(e.dir)
	must(e.t, err)
	for _, m := range slices.Backward(table) {
		if m.Target != e.dir {
			must(e.t, mount.Umount(m.Target, true))
		}
	}
	must(e.t, e.store.Close())
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// last is what the differ told of last.
func (e *env) last() How {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.events) == 0 {
		return ""
	}
	return e.events[len(e.events)-1].How
}

// memLabels is a local.LabelStore.
type memLabels struct {
	mu  sync.Mutex
	all map[digest.Digest]map[string]string
}

func (m *memLabels) Get(d digest.Digest) (map[string]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.all[d]), nil
}

func (m *memLabels) Set(d digest.Digest, l map[string]string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.all[d] = maps.Clone(l)
	return nil
}

func (m *memLabels) Update(d digest.Digest, l map[string]string) (map[string]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.all[d] == nil {
		m.all[d] = map[string]string{}
	}
	maps.Copy(m.all[d], l)
	return maps.Clone(m.all[d]), nil
}

// put adds a blob to the content store.
func (e *env) put(mediaType string, b []byte) ocispec.Descriptor {
	e.t.Helper()
	desc := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(b), Size: int64(len(b))}
	err := content.WriteBlob(e.t.Context(), e.content, desc.Digest.String(), bytes.NewReader(b), desc)
	must(e.t, err)
	return desc
}

// snapshot is an active snapshot.
type snapshot struct {
	key, id string
	mounts  []cmount.Mount
}

// prepare makes a snapshot as a snapshotter does.
func (e *env) prepare(key, parent string, labels map[string]string) snapshot {
	e.t.Helper()
	s := snapshot{key: key}
	var blobs []store.Blob
	err := e.store.Update(e.t.Context(), func(ctx context.Context, tx *store.Tx) error {
		snap, err := storage.CreateSnapshot(ctx, snapshots.KindActive, key, parent, snapshots.WithLabels(labels))
		if err != nil {
			return err
		}
		s.id = snap.ID
		blobs = e.blobsOf(tx, snap.ParentIDs)
		for _, dir := range []string{e.store.Upper(s.id), e.store.Work(s.id)} {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return err
			}
		}
		return nil
	})
	must(e.t, err)
	s.mounts = []cmount.Mount{{Type: "overlay", Source: "overlay", Options: []string{
		"workdir=" + e.store.Work(s.id), "upperdir=" + e.store.Upper(s.id), "lowerdir=" + strings.Join(e.lowers(blobs), ":"),
	}}}
	return s
}

// unpacking makes a snapshot for a layer.
func (e *env) unpacking(parent string, labels map[string]string) snapshot {
	e.n++
	return e.prepare(fmt.Sprintf("ns/%d/extract-%d sha256:0", e.n, e.n), parent, labels)
}

func (e *env) blobsOf(tx *store.Tx, ids []string) (blobs []store.Blob) {
	for _, id := range ids {
		k, ok := tx.LinkOf(id)
		if !ok {
			e.t.Fatalf("snapshot %s has no blob", id)
		}
		b, err := tx.Blob(k)
		must(e.t, err)
		if !slices.ContainsFunc(blobs, func(o store.Blob) bool { return o.N == b.N }) {
			blobs = append(blobs, b)
		}
	}
	return blobs
}

func (e *env) lowers(blobs []store.Blob) []string {
	if len(blobs) == 0 {
		return []string{e.store.Empty()}
	}
	var dirs []string
	for _, b := range blobs {
		dir, err := e.store.MountBlob(e.t.Context(), b)
		must(e.t, err)
		dirs = append(dirs, dir)
	}
	return dirs
}

// commit commits an active snapshot that a layer was applied to.
func (e *env) commit(s snapshot, name string) {
	e.t.Helper()
	must(e.t, e.store.Update(e.t.Context(), func(ctx context.Context, _ *store.Tx) error {
		_, err := storage.CommitActive(ctx, s.key, name, snapshots.Usage{})
		return err
	}))
}

// view returns the mounts of a view of a snapshot, which may be "".
func (e *env) view(name string) []cmount.Mount {
	e.t.Helper()
	var blobs []store.Blob
	e.n++
	must(e.t, e.store.Update(e.t.Context(), func(ctx context.Context, tx *store.Tx) error {
		snap, err := storage.CreateSnapshot(ctx, snapshots.KindView, fmt.Sprint("view ", e.n), name)
		if err == nil {
			blobs = e.blobsOf(tx, snap.ParentIDs)
		}
		return err
	}))
	dirs := e.lowers(blobs)
	if len(dirs) == 1 {
		return []cmount.Mount{{Type: "bind", Source: dirs[0], Options: []string{"ro", "rbind"}}}
	}
	return []cmount.Mount{{Type: "overlay", Source: "overlay", Options: []string{"ro", "lowerdir=" + strings.Join(dirs, ":")}}}
}

// blob returns the blob that a snapshot is linked to.
func (e *env) blob(id string) store.Blob {
	e.t.Helper()
	var b store.Blob
	must(e.t, e.store.View(e.t.Context(), func(_ context.Context, tx *store.Tx) error {
		b = e.blobsOf(tx, []string{id})[0]
		return nil
	}))
	return b
}

// nothingLeft checks that there is neither a blob nor anything staged.
func (e *env) nothingLeft() {
	e.t.Helper()
	must(e.t, e.store.View(e.t.Context(), func(_ context.Context, tx *store.Tx) error {
		for b, err := range tx.Blobs() {
			e.t.Errorf("a blob is left: %v, %v", b.Key, err)
		}
		for id, k := range tx.Links() {
			e.t.Errorf("snapshot %s is linked to %v", id, k)
		}
		return nil
	}))
	for _, dir := range []string{"staging", "blobs"} {
		err := filepath.WalkDir(filepath.Join(e.store.Root, dir), func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				e.t.Errorf("%s is left", path)
			}
			return err
		})
		must(e.t, err)
	}
}

// entry is a part of a tar.
type entry struct {
	name, data string
	typ        byte // 0: a file, or a directory if the name ends in a slash
	link       string
	pax        map[string]string
}

// tarOf makes a tar.
func tarOf(t testing.TB, list ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range list {
		h := &tar.Header{Name: e.name, Mode: 0o644, Size: int64(len(e.data)), Typeflag: e.typ, Linkname: e.link, PAXRecords: e.pax}
		if e.typ == 0 {
			h.Typeflag = tar.TypeReg
			if strings.HasSuffix(e.name, "/") {
				h.Typeflag, h.Mode = tar.TypeDir, 0o755
			}
		}
		must(t, w.WriteHeader(h))
		_, err := w.Write([]byte(e.data))
		must(t, err)
	}
	must(t, w.Close())
	return b.Bytes()
}

func gzipped(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, err := w.Write(b)
	must(t, err)
	must(t, w.Close())
	return out.Bytes()
}

func zstded(t testing.TB, b []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	must(t, err)
	return w.EncodeAll(b, nil)
}

// small is a layer with a little of everything.
func small(t testing.TB) []byte {
	return tarOf(t,
		entry{name: "etc/"}, entry{name: "etc/passwd", data: "root:x:0:0\n"},
		entry{name: "etc/.wh.gone"}, entry{name: "opaque/"}, entry{name: "opaque/.wh..wh..opq"},
		entry{name: "etc/link", typ: tar.TypeLink, link: "etc/passwd"},
		entry{name: "attr", data: strings.Repeat("text ", 1000), pax: map[string]string{"SCHILY.xattr.user.a": "b"}},
		entry{name: "sym", typ: tar.TypeSymlink, link: "etc"})
}
