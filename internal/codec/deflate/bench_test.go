package deflate

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	kgzip "github.com/klauspost/compress/gzip"
)

// BenchmarkDecode compares with the decoders that this package replaces, over the corpora.
func BenchmarkDecode(b *testing.B) {
	dir := os.Getenv("LAMINA_CORPUS")
	if dir == "" {
		b.Skip("LAMINA_CORPUS names no directory of corpora")
	}
	paths, err := filepath.Glob(filepath.Join(dir, "*.tar.gz"))
	if err != nil || len(paths) == 0 {
		b.Fatalf("no *.tar.gz in %s: %v", dir, err)
	}
	buf := make([]byte, History+slack+256<<10)
	decoders := []struct {
		name   string
		decode func(io.Reader) (int64, error)
	}{
		{"deflate", func(r io.Reader) (n int64, err error) {
			for z := NewReader(r); err == nil; {
				var data []byte
				data, err = z.Next(buf)
				n += int64(len(data))
			}
			if err == io.EOF {
				err = nil
			}
			return n, err
		}},
		{"klauspost", func(r io.Reader) (int64, error) {
			z, err := kgzip.NewReader(r)
			if err != nil {
				return 0, err
			}
			return io.CopyBuffer(io.Discard, struct{ io.Reader }{z}, buf)
		}},
		{"standard", func(r io.Reader) (int64, error) {
			z, err := gzip.NewReader(r)
			if err != nil {
				return 0, err
			}
			return io.CopyBuffer(io.Discard, struct{ io.Reader }{z}, buf)
		}},
	}
	for _, p := range paths {
		in, err := os.ReadFile(p)
		if err != nil {
			b.Fatal(err)
		}
		for _, d := range decoders {
			b.Run(filepath.Base(p)+"/"+d.name, func(b *testing.B) {
				for b.Loop() {
					n, err := d.decode(bytes.NewReader(in))
					if err != nil {
						b.Fatal(err)
					}
					b.SetBytes(n)
				}
			})
		}
	}
}

// BenchmarkFitDst encodes the file LAMINA_SAMPLE into pclusters and reports what the blocks of 4 KiB take.
func BenchmarkFitDst(b *testing.B) {
	path := os.Getenv("LAMINA_SAMPLE")
	if path == "" {
		b.Skip("LAMINA_SAMPLE names no file")
	}
	src, err := os.ReadFile(path)
	if err != nil {
		b.Fatal(err)
	}
	for level := 1; level <= MaxLevel; level++ {
		for _, size := range []int{4 << 10, 64 << 10, 1 << 20} {
			b.Run(fmt.Sprintf("level=%d/size=%d", level, size), func(b *testing.B) {
				e := newEncoder(b, Options{Level: level})
				dst := make([]byte, size)
				b.SetBytes(int64(len(src)))
				total := 0
				for b.Loop() {
					total = 0
					for rest := src; len(rest) > 0; {
						w, c := e.FitDst(dst, rest[:min(len(rest), 4<<20)])
						if c == 0 {
							w, c = 4096, min(4096, len(rest))
						}
						total += (w + 4095) &^ 4095
						rest = rest[c:]
					}
				}
				b.ReportMetric(float64(total), "bytes")
			})
		}
	}
}

// BenchmarkCheckpoints is BenchmarkDecode with checkpoints every 4 MiB.
func BenchmarkCheckpoints(b *testing.B) {
	path := os.Getenv("LAMINA_GZ")
	if path == "" {
		b.Skip("LAMINA_GZ names no file")
	}
	in, err := os.ReadFile(path)
	if err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, History+slack+256<<10)
	for _, every := range []int64{0, 4 << 20} {
		b.Run(fmt.Sprintf("every=%d", every), func(b *testing.B) {
			for b.Loop() {
				var list Points
				z := NewReader(bytes.NewReader(in))
				if every > 0 {
					z.Checkpoints(every, list.Add)
				}
				var err error
				for err == nil {
					_, err = z.Next(buf)
				}
				if err != io.EOF {
					b.Fatal(err)
				}
				b.SetBytes(z.out)
			}
		})
	}
}
