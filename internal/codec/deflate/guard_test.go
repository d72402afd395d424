package deflate

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/laminafs/lamina/internal/oracle"
)

// Neither loop touches a byte behind its input or its output, whatever the data are; one that did would end the process.
func TestNothingIsTouchedBehindInputAndOutput(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for name, data := range samples(5000) {
		for _, level := range []int{0, 1, 6, -2} {
			raw, member := rawStream(t, level, data), compress(t, level, data)
			for range 20 {
				untouched(t, name, raw, member, len(data))
				raw[r.IntN(len(raw))] ^= 1 << r.IntN(8)
				member[10+r.IntN(len(member)-10)] ^= 1 << r.IntN(8)
			}
		}
	}
}

func untouched(t testing.TB, name string, raw, member []byte, size int) {
	t.Helper()
	src, dst := guards()
	for _, b := range [][]byte{raw, raw[:len(raw)/2]} {
		in := src[len(src)-len(b):]
		copy(in, b)
		for _, n := range []int{size, size / 2, size + 1} {
			out := dst[len(dst)-n:]
			err := Decode(out, in)
			want := fmt.Sprint(err, sumOf(out, err))
			twin(func() {
				err := Decode(out, in)
				if got := fmt.Sprint(err, sumOf(out, err)); got != want {
					t.Fatalf("%s: %s; its twin %s", name, want, got)
				}
			})
		}
	}
	// a Reader whose input ends at the guard each time that it reads
	for _, n := range []int{100, 1000} {
		run := func() string {
			z := NewReader(bytes.NewReader(member))
			z.in = src[len(src)-n:]
			var got []byte
			var err error
			for err == nil {
				var b []byte
				b, err = z.Next(dst)
				got = append(got, b...)
			}
			return fmt.Sprint(err, sumOf(got, nil))
		}
		want := run()
		twin(func() {
			if got := run(); got != want {
				t.Fatalf("%s: %s; its twin %s", name, want, got)
			}
		})
	}
}

// guards are for input and output.
var guards = sync.OnceValues(func() (input, output []byte) {
	return oracle.NewArena(1 << 16).Last(1 << 16), oracle.NewArena(MinBuffer + 1000).Last(MinBuffer + 1000)
})

func sumOf(b []byte, err error) uint64 {
	if err != nil {
		return 0
	}
	sum := uint64(len(b))
	for _, c := range b {
		sum = sum*1099511628211 + uint64(c)
	}
	return sum
}

func FuzzBounds(f *testing.F) {
	for _, data := range samples(600) {
		f.Add(rawStream(f, 6, data), uint16(600))
	}
	f.Fuzz(func(t *testing.T, in []byte, size uint16) {
		if len(in) > 1<<14 || int(size) > 20000 {
			return
		}
		untouched(t, "fuzzed", in, append([]byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"), in...), int(size))
	})
}
