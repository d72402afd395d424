package zstd

import (
	"bytes"
	"fmt"
	"io"
	"math/bits"
	"os"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// windowLog returns the window that suits pclusters of size bytes: eight of them, up to the largest one.
func windowLog(size int) int { return min(bits.Len(uint(8*size))-1, MaxWindowLog) }

// sample reads the file LAMINA_SAMPLE.
func sample(b *testing.B) []byte {
	b.Helper()
	path := os.Getenv("LAMINA_SAMPLE")
	if path == "" {
		b.Skip("LAMINA_SAMPLE names no file")
	}
	src, err := os.ReadFile(path)
	if err != nil {
		b.Fatal(err)
	}
	return src
}

// pclusters encodes src into pclusters of size bytes and calls each with every one; it returns what the blocks
// of 4 KiB take.
func pclusters(e *Encoder, size int, src []byte, each func(dst []byte, n int)) (total int) {
	dst := make([]byte, size)
	for len(src) > 0 {
		w, c := e.FitDst(dst, src[:min(len(src), 4<<20)])
		if c == 0 {
			w, c = 4096, min(4096, len(src))
		} else if each != nil {
			each(dst[:w], c)
		}
		total += (w + 4095) &^ 4095
		src = src[c:]
	}
	return total
}

func BenchmarkFitDst(b *testing.B) {
	src := sample(b)
	for level := 1; level <= MaxLevel; level++ {
		for _, size := range []int{4 << 10, 64 << 10, 1 << 20} {
			b.Run(fmt.Sprintf("level=%d/size=%d", level, size), func(b *testing.B) {
				e := newEncoder(b, Options{Level: level, WindowLog: windowLog(size)})
				b.SetBytes(int64(len(src)))
				total := 0
				for b.Loop() {
					total = pclusters(e, size, src, nil)
				}
				b.ReportMetric(float64(total), "bytes")
			})
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	src := sample(b)
	for _, size := range []int{4 << 10, 16 << 10, 64 << 10, 128 << 10, 1 << 20} {
		e := newEncoder(b, Options{WindowLog: windowLog(size)})
		var in [][]byte
		var lens []int
		total := 0
		pclusters(e, size, src, func(dst []byte, n int) {
			in, lens, total = append(in, append([]byte(nil), dst...)), append(lens, n), total+n
		})
		out := make([]byte, 16<<20)
		for _, part := range []struct {
			name string
			div  int
		}{{"whole", 1}, {"half", 2}} {
			b.Run(fmt.Sprintf("size=%d/%s", size, part.name), func(b *testing.B) {
				b.SetBytes(int64(total / part.div))
				for b.Loop() {
					for i, p := range in {
						if err := Decode(out[:lens[i]/part.div], p, windowLog(size)); err != nil {
							b.Fatal(err)
						}
					}
				}
			})
		}
	}
}

// BenchmarkReader decodes the whole of LAMINA_SAMPLE, a .zst file, with our decoder and with that of klauspost/compress. To compare, run one
// of them a process, in turns, and take user time: -bench Reader/ours -benchtime 1x.
func BenchmarkReader(b *testing.B) {
	src := sample(b)
	buf := make([]byte, 256<<10)
	read := func(b *testing.B, next func() io.Reader) {
		var n int64
		for b.Loop() {
			n = 0
			for r := next(); ; {
				c, err := r.Read(buf)
				if n += int64(c); err == io.EOF {
					break
				} else if err != nil {
					b.Fatal(err)
				}
			}
		}
		b.SetBytes(n)
	}
	b.Run("ours", func(b *testing.B) {
		read(b, func() io.Reader { return NewReader(bytes.NewReader(src), 128<<20) })
	})
	b.Run("klauspost", func(b *testing.B) {
		z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(128<<20))
		if err != nil {
			b.Fatal(err)
		}
		defer z.Close()
		read(b, func() io.Reader {
			if err := z.Reset(bytes.NewReader(src)); err != nil {
				b.Fatal(err)
			}
			return z
		})
	})
}
