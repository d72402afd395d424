package erofs

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// benchImage opens the image that LAMINA_BENCH_IMAGE names; without it, one of 30,000 small files.
func benchImage(b *testing.B) *os.File {
	b.Helper()
	name := os.Getenv("LAMINA_BENCH_IMAGE")
	if name == "" {
		name = filepath.Join(b.TempDir(), "image")
		if err := os.WriteFile(name, manyFiles(b), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	f, err := os.Open(name)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = f.Close() })
	return f
}

// manyFiles makes 300 directories of 100 files.
func manyFiles(b *testing.B) []byte {
	m := newMaker(b, 12)
	var dirs []DirEntry
	var data []byte
	for d := range 300 {
		var files []DirEntry
		for f := range 100 {
			files = append(files, DirEntry{fmt.Sprintf("file-%03d", f), m.file("some small text"), 1})
		}
		dirs = append(dirs, DirEntry{fmt.Sprintf("dir-%03d", d), m.dir(files...), 2})
		if len(dirs) == 100 {
			block := dirents(dirs...)
			data = append(append(data, block...), make([]byte, 4096-len(block))...)
			dirs = dirs[:0]
		}
	}
	return m.image(m.rawDir(data))
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
