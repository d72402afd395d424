package differ

import (
	"bufio"
	"os"
	"path/filepath"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/laminafs/lamina/internal/convert"
)

// benchLayer is LAMINA_LAYER, a large tar.gz, and its descriptor.
func benchLayer(b *testing.B) (string, ocispec.Descriptor) {
	path := os.Getenv("LAMINA_LAYER")
	if path == "" {
		b.Skip("LAMINA_LAYER names no layer")
	}
	f, err := os.Open(path)
	must(b, err)
	defer func() { _ = f.Close() }()
	d, err := digest.FromReader(bufio.NewReaderSize(f, 1<<20))
	must(b, err)
	st, err := f.Stat()
	must(b, err)
	return path, ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayerGzip, Digest: d, Size: st.Size()}
}

// BenchmarkApply is a layer from the file of the content store to the durable blob; BenchmarkConvert the
// conversion and the fsync alone, which it should take as long as.
func BenchmarkApply(b *testing.B) {
	path, desc := benchLayer(b)
	b.SetBytes(desc.Size)
	for b.Loop() {
		b.StopTimer()
		e := newEnvAt(b, benchDir(b), Config{ContentRoot: "local"})
		dir := filepath.Join(e.dir, "content/blobs/sha256")
		must(b, os.MkdirAll(dir, 0o755))
		must(b, os.Link(path, filepath.Join(dir, desc.Digest.Encoded())))
		s := e.unpacking("", nil)
		b.StartTimer()
		_, err := e.d.Apply(b.Context(), desc, s.mounts)
		b.StopTimer()
		must(b, err)
		must(b, os.RemoveAll(filepath.Join(e.store.Root, "blobs")))
		b.StartTimer()
	}
}

func BenchmarkConvert(b *testing.B) {
	path, desc := benchLayer(b)
	b.SetBytes(desc.Size)
	for b.Loop() {
		b.StopTimer()
		dir := benchDir(b)
		b.StartTimer()
		in, err := os.Open(path)
		must(b, err)
		out, err := os.Create(filepath.Join(dir, "image"))
		must(b, err)
		_, err = convert.Layer(in, out, convert.Options{})
		must(b, err)
		must(b, out.Sync())
		b.StopTimer()
		must(b, in.Close())
		must(b, out.Close())
		must(b, os.RemoveAll(dir))
		b.StartTimer()
	}
}

// benchDir is a directory on the file system of the layer.
func benchDir(b *testing.B) string {
	dir, err := os.MkdirTemp(filepath.Dir(os.Getenv("LAMINA_LAYER")), "lamina-bench")
	must(b, err)
	b.Cleanup(func() { must(b, os.RemoveAll(dir)) })
	return dir
}
