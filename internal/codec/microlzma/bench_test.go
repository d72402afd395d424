package microlzma

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// corpora returns parts of the corpora, or a sample of this package's own where there are none.
func corpora(b *testing.B) map[string][]byte {
	parts := map[string][]byte{"sample": samples(1 << 20)["matches within 5000"]}
	for _, name := range []string{"base", "golang"} {
		f, err := os.Open(filepath.Join(os.Getenv("LAMINA_CORPUS"), name+".tar"))
		if err != nil {
			continue
		}
		part := make([]byte, 4<<20)
		_, err = io.ReadFull(io.NewSectionReader(f, 48<<20, 1<<30), part)
		if err := f.Close(); err != nil {
			b.Fatal(err)
		}
		if err != nil {
			b.Fatal(err)
		}
		parts[name] = part
	}
	return parts
}

// pclusters encodes all of src and returns the streams with the lengths of what is in them.
func pclusters(e *Encoder, size int, src []byte) (streams [][]byte, lengths []int) {
	for len(src) > 0 {
		dst := make([]byte, size)
		w, n := e.FitDst(dst, src)
		if n == 0 {
			n = min(size, len(src)) // to be stored
		} else {
			streams, lengths = append(streams, dst[:w]), append(lengths, n)
		}
		src = src[n:]
	}
	return streams, lengths
}

func BenchmarkFitDst(b *testing.B) {
	for name, src := range corpora(b) {
		for _, level := range []int{0, 3, DefaultLevel, 109} {
			for _, size := range []int{4 << 10, 64 << 10, 1 << 20} {
				b.Run(fmt.Sprintf("%s/level=%d/pcluster=%d", name, level, size), func(b *testing.B) {
					e := encoder(b, Options{Level: level, Dict: DefaultDict(size)})
					b.SetBytes(int64(len(src)))
					written := 0
					for b.Loop() {
						written = 0
						streams, lengths := pclusters(e, size, src)
						stored := len(src)
						for i, s := range streams {
							written += len(s)
							stored -= lengths[i]
						}
						written += stored
					}
					b.ReportMetric(float64(written)/float64(len(src)), "ratio")
				})
			}
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	for name, src := range corpora(b) {
		for _, size := range []int{4 << 10, 64 << 10, 1 << 20} {
			b.Run(fmt.Sprintf("%s/pcluster=%d", name, size), func(b *testing.B) {
				streams, lengths := pclusters(encoder(b, Options{Level: 3, Dict: DefaultDict(size)}), size, src)
				dst, total := make([]byte, len(src)), 0
				for _, n := range lengths {
					total += n
				}
				b.SetBytes(int64(total))
				for b.Loop() {
					for i, s := range streams {
						if err := Decode(dst[:lengths[i]], s, MaxDict); err != nil {
							b.Fatal(err)
						}
					}
				}
			})
		}
	}
}
