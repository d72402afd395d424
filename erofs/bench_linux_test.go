package erofs

import (
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/laminafs/lamina/internal/oracle"
)

// place is 4 KiB of a file.
type place struct {
	path string
	off  int64
}

// randomPlaces returns n places in the regular files of an image, large files more often.
func randomPlaces(b *testing.B, im *Image, n int) []place {
	var files []place // off is the size
	var total int64
	err := fs.WalkDir(im, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		st, err := d.Info()
		if err == nil && st.Size() >= 4096 {
			files = append(files, place{path, st.Size()})
			total += st.Size()
		}
		return err
	})
	if err != nil || total == 0 {
		b.Fatalf("%v, %d bytes", err, total)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	var list []place
	for len(list) < n {
		at := rng.Int64N(total)
		for _, f := range files {
			if at < f.off {
				list = append(list, place{f.path, at &^ 4095})
				break
			}
			at -= f.off
		}
	}
	return list
}

// BenchmarkRandom4K reads 4 KiB in 2000 random places of a compressed image that LAMINA_BENCH_IMAGE names: by
// a fresh Image, and by the kernel from a fresh mount. The image file is in the page cache.
func BenchmarkRandom4K(b *testing.B) {
	f := benchImage(b)
	im := open(b, f)
	const n = 2000
	places := randomPlaces(b, im, n)
	run := func(b *testing.B, open func(path string) (io.ReaderAt, func())) {
		buf := make([]byte, 4096)
		for _, p := range places {
			r, done := open(p.path)
			if _, err := r.ReadAt(buf, p.off); err != nil && err != io.EOF {
				b.Fatalf("%s: %v", p.path, err)
			}
			done()
		}
	}
	report := func(b *testing.B) { b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/read") }
	b.Run("lamina", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			im := open(b, f)
			run(b, func(path string) (io.ReaderAt, func()) {
				i, err := im.Lookup(path)
				if err != nil {
					b.Fatal(err)
				}
				return i.Content(), func() {}
			})
		}
		report(b)
	})
	b.Run("kernel", func(b *testing.B) {
		oracle.NeedRoot(b)
		for n := 0; b.Loop(); n++ {
			b.StopTimer()
			dir := oracle.MountImage(b, f.Name())
			b.StartTimer()
			run(b, func(path string) (io.ReaderAt, func()) {
				file, err := os.Open(fmt.Sprintf("%s/%s", dir, path))
				if err != nil {
					b.Fatal(err)
				}
				return file, func() { _ = file.Close() }
			})
		}
		report(b)
	})
}
