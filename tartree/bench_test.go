package tartree

import (
	"crypto/sha256"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/laminafs/lamina/tree"
)

// countSpool skips what it gets and counts it.
type countSpool struct{ files, bytes int64 }

func (c *countSpool) Put(f tree.File, r io.Reader) (tree.Content, error) {
	c.files++
	c.bytes += f.DataLen()
	return nil, nil
}

// corpus calls fn for every file of the corpora that matches the pattern.
func corpus(b *testing.B, pattern string, fn func(b *testing.B, path string, size int64)) {
	dir := os.Getenv("LAMINA_CORPUS")
	if dir == "" {
		b.Skip("LAMINA_CORPUS names no directory of corpora")
	}
	paths, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(paths) == 0 {
		b.Fatalf("no %s in %s: %v", pattern, dir, err)
	}
	for _, p := range paths {
		st, err := os.Stat(p)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(filepath.Base(p), func(b *testing.B) { fn(b, p, st.Size()) })
	}
}

type windows struct {
	b    []byte
	size int
}

func (w *windows) NextWindow() ([]byte, error) {
	if len(w.b) == 0 {
		return nil, io.EOF
	}
	n := min(w.size, len(w.b))
	b := w.b[:n]
	w.b = w.b[n:]
	return b, nil
}

func (w *windows) Read([]byte) (int, error) { panic("has NextWindow") }

// BenchmarkParse reads archives that are in memory; payloads are skipped.
func BenchmarkParse(b *testing.B) {
	corpus(b, "*.tar", func(b *testing.B, path string, size int64) {
		data, err := os.ReadFile(path)
		if err != nil {
			b.Fatal(err)
		}
		var st Stats
		b.ReportAllocs()
		b.SetBytes(size)
		b.ResetTimer()
		for b.Loop() {
			if _, err := Read(&windows{data, 256 << 10}, &countSpool{}, Options{Stats: &st}); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(st.Entries), "ns/entry")
	})
}

// BenchmarkPipeline decodes, hashes and parses, each on its goroutine.
func BenchmarkPipeline(b *testing.B) {
	corpus(b, "*.tar*", func(b *testing.B, path string, size int64) {
		b.SetBytes(size)
		for b.Loop() {
			f, err := os.Open(path)
			if err != nil {
				b.Fatal(err)
			}
			h := sha256.New()
			d, _, err := DecompressTap(f, h)
			if err != nil {
				b.Fatal(err)
			}
			if _, err = Read(d, &countSpool{}, Options{}); err != nil {
				b.Fatal(err)
			}
			if _, err = io.Copy(io.Discard, d); err != nil {
				b.Fatal(err)
			}
			h.Sum(nil)
			d.Close()
			f.Close()
		}
	})
}
