package dirtree

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/laminafs/lamina/tree"
)

const benchFiles = 20_000

// files makes a directory like those of packages: small files, 50 in each of many directories.
func files(b *testing.B) string {
	dir := b.TempDir()
	s := strings.Repeat("all work and no play makes a dull file\n", 400)
	for i := range benchFiles {
		write(b, filepath.Join(dir, fmt.Sprint(i/1000), fmt.Sprint(i/50%20), fmt.Sprint("file", i)), s[:i*37%len(s)])
	}
	return dir
}

func perFile(b *testing.B) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchFiles, "ns/file")
}

// drain is a spool that reads and forgets.
type drain struct{ buf []byte }

func (d *drain) Put(f tree.File, r io.Reader) (tree.Content, error) {
	for n := f.DataLen(); n > 0; {
		k, err := r.Read(d.buf[:min(n, int64(len(d.buf)))])
		if err != nil {
			return nil, err
		}
		n -= int64(k)
	}
	return tree.Bytes(""), nil
}

// What it pays for is type file: with os.File and os.Root the same takes twice the CPU time.
func BenchmarkRead(b *testing.B) {
	dir := files(b)
	for b.Loop() {
		_, err := Read(dir, &drain{make([]byte, 1<<20)}, Options{})
		must(b, err)
	}
	perFile(b)
}

func BenchmarkExtract(b *testing.B) {
	tr := read(b, files(b))
	for b.Loop() {
		must(b, Extract(tr, filepath.Join(b.TempDir(), "x"), ExtractOptions{}))
	}
	perFile(b)
}
