package differ

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/containerd/containerd/v2/core/diff"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/laminafs/lamina/dirtree"
	"github.com/laminafs/lamina/internal/convert"
	"github.com/laminafs/lamina/internal/oracle"
	"github.com/laminafs/lamina/tartree"
)

// peak is a compressor that looks at the heap while the layer goes by.
type peak struct {
	io.Writer
	n, next int64
	heap    uint64
}

func (p *peak) Close() error { return nil }

func (p *peak) Write(b []byte) (int, error) {
	p.n += int64(len(b))
	if p.n >= p.next {
		p.next = p.n + 8<<20
		p.heap = max(p.heap, heap())
	}
	return p.Writer.Write(b)
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// The memory that Compare takes does not grow with the number of files.
func TestCompareStreams(t *testing.T) {
	e := newEnv(t, Config{})
	s := e.prepare("ns/1/container", "", nil)
	const dirs, files = 60, 250
	for i := range dirs {
		dir := filepath.Join(e.store.Upper(s.id), fmt.Sprint(i))
		must(t, os.Mkdir(dir, 0o755))
		for k := range files {
			f, err := os.Create(filepath.Join(dir, fmt.Sprintf("a file with a rather long name, number %d", k)))
			must(t, err)
			must(t, f.Close())
		}
	}
	before := heap()
	var p *peak
	_, err := e.d.Compare(t.Context(), nil, s.mounts, diff.WithMediaType(ocispec.MediaTypeImageLayer),
		diff.WithCompressor(func(w io.Writer, _ string) (io.WriteCloser, error) { p = &peak{Writer: w}; return p, nil }))
	must(t, err)
	if p.n < dirs*files*512 {
		t.Fatalf("%d bytes", p.n)
	}
	const most = 5 << 19 // 2.5 MiB; a tree of it takes more
	if grown := int64(p.heap) - int64(before); grown > most {
		t.Errorf("the heap grew by %d bytes for %d files", grown, dirs*files)
	}
}

// A layer of the files of this Debian, as a builder makes one, comes through the content store and the kernel as
// it is on disk.
func TestALayerOfDebianFiles(t *testing.T) {
	const dir = "/etc"
	oracle.NeedRoot(t)
	var layer bytes.Buffer
	w := tartree.NewWriter(&layer, tartree.WriteOptions{})
	must(t, dirtree.Walk(dir, dirtree.Options{OneFileSystem: true}, func(v dirtree.Visit) error {
		if v.Link != "" {
			return w.Link(v.Path, v.Link, v.Node)
		}
		return w.Entry(v.Path, v.Node)
	}))
	must(t, w.Close())
	tr, err := dirtree.Read(dir, readAll{}, dirtree.Options{OneFileSystem: true})
	must(t, err)
	want := flat(t, tr)
	for _, index := range []bool{false, true} {
		e := newEnv(t, Config{ContentRoot: "local", EnableTarIndex: index})
		s := e.unpacking("", nil)
		out, err := e.d.Apply(t.Context(), e.put(ocispec.MediaTypeImageLayerZstd, zstded(t, layer.Bytes())), s.mounts)
		must(t, err)
		if out.Digest != digest.FromBytes(layer.Bytes()) {
			t.Errorf("%+v", out)
		}
		e.commit(s, "etc")
		equal(t, e.shown(e.view("etc")), want)
	}
}

// With LAMINA_LAYERS, a directory of tar.gz and tar.zst files, each of them becomes what convert makes of it.
func TestApplyOfLargeLayers(t *testing.T) {
	root := os.Getenv("LAMINA_LAYERS")
	if root == "" {
		t.Skip("LAMINA_LAYERS names no directory")
	}
	list, err := filepath.Glob(filepath.Join(root, "*.tar.*"))
	must(t, err)
	for _, path := range list {
		e := newEnv(t, Config{})
		in, err := os.Open(path)
		must(t, err)
		out, err := os.Create(filepath.Join(t.TempDir(), "image"))
		must(t, err)
		_, refused := convert.Layer(in, out, convert.Options{})
		layer, err := os.ReadFile(path)
		must(t, err)
		mediaType := ocispec.MediaTypeImageLayerGzip
		if filepath.Ext(path) == ".zst" {
			mediaType = ocispec.MediaTypeImageLayerZstd
		}
		s := e.unpacking("", nil)
		_, err = e.d.Apply(t.Context(), e.put(mediaType, layer), s.mounts)
		must(t, in.Close())
		must(t, out.Close())
		if (err == nil) != (refused == nil) || err != nil && !errdefs.IsInvalidArgument(err) {
			t.Errorf("%s: %v, convert alone: %v", path, err, refused)
		}
		if err != nil {
			e.nothingLeft()
			continue
		}
		got, err := digestOf(e.store.Path(e.blob(s.id)))
		must(t, err)
		want, err := digestOf(out.Name())
		must(t, err)
		if got != want {
			t.Errorf("%s: %s, convert alone makes %s", path, got, want)
		}
	}
}

func digestOf(path string) (digest.Digest, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	return digest.FromReader(f)
}
