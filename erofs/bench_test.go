package erofs

import (
	"io/fs"
	"os"
	"testing"
)

// The benchmarks read the image that LAMINA_BENCH_IMAGE names.
func benchImage(b *testing.B) *os.File {
	b.Helper()
	name := os.Getenv("LAMINA_BENCH_IMAGE")
	if name == "" {
		b.Skip("LAMINA_BENCH_IMAGE is not set")
	}
	f, err := os.Open(name)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = f.Close() })
	return f
}

func BenchmarkTree(b *testing.B) {
	f := benchImage(b)
	b.ReportAllocs()
	for b.Loop() {
		im, err := Open(f)
		if err != nil {
			b.Fatal(err)
		}
		t, err := im.Tree()
		if err != nil {
			b.Fatal(err)
		}
		if t.Root.Len() == 0 {
			b.Fatal("empty")
		}
	}
}

func BenchmarkWalkDir(b *testing.B) {
	f := benchImage(b)
	b.ReportAllocs()
	for b.Loop() {
		im, err := Open(f)
		if err != nil {
			b.Fatal(err)
		}
		n := 0
		err = fs.WalkDir(im, ".", func(_ string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			n++
			_, err = d.Info()
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(n), "entries")
	}
}

func BenchmarkLookup(b *testing.B) {
	im, err := Open(benchImage(b))
	if err != nil {
		b.Fatal(err)
	}
	var paths []string
	err = fs.WalkDir(im, ".", func(path string, d fs.DirEntry, err error) error {
		if !d.IsDir() {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	k := 0
	for b.Loop() {
		if _, err := im.Lookup(paths[k]); err != nil {
			b.Fatal(err)
		}
		if k += 101; k >= len(paths) {
			k = 0
		}
	}
}
