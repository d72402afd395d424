package zstd

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/laminafs/lamina/internal/oracle"
)

// arenas are for input and output.
var arenas = sync.OnceValues(func() (in, out oracle.Arena) { return oracle.NewArena(1 << 17), oracle.NewArena(1 << 17) })

// untouched decodes in where it would end the process to touch a byte before or behind in, or dst.
func untouched(t testing.TB, name string, in []byte, size int) {
	t.Helper()
	ins, outs := arenas()
	for _, atEnd := range []bool{true, false} {
		src, dst := ins.First(len(in)), outs.First(size)
		if atEnd {
			src, dst = ins.Last(len(in)), outs.Last(size)
		}
		copy(src, in)
		err := Decode(dst, src, 17)
		want := fmt.Sprint(err)
		got := bytes.Clone(dst)
		twin(func() {
			if err := Decode(dst, src, 17); fmt.Sprint(err) != want || err == nil && !bytes.Equal(got, dst) {
				t.Fatalf("%s: %s; its twin %v", name, want, err)
			}
		})
	}
}

func TestNothingIsTouchedAroundInputAndOutput(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for name, data := range samples(5000) {
		for _, window := range []int{1 << 10, 1 << 17} {
			in := peerFrame(t, data, window)
			for range 50 {
				for _, n := range []int{len(data), len(data) / 2, len(data) + 1} {
					untouched(t, name, in, n)
				}
				untouched(t, name, in[:len(in)/2], len(data))
				in[r.IntN(len(in))] ^= 1 << r.IntN(8)
			}
		}
	}
}

func FuzzBounds(f *testing.F) {
	for _, data := range samples(600) {
		f.Add(peerFrame(f, data, 1<<12), uint16(600))
	}
	f.Fuzz(func(t *testing.T, in []byte, size uint16) {
		if len(in) < 1<<16 && size > 0 {
			untouched(t, "fuzzed", in, int(size))
		}
	})
}
