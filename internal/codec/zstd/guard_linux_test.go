package zstd

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"
)

// guarded returns n bytes with nothing to be read or written behind them, or before them.
func guarded(n int, before bool) []byte {
	page := syscall.Getpagesize()
	size := (n + page - 1) / page * page
	b, err := syscall.Mmap(-1, 0, size+2*page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err == nil {
		err = syscall.Mprotect(b[:page], syscall.PROT_NONE)
	}
	if err == nil {
		err = syscall.Mprotect(b[page+size:], syscall.PROT_NONE)
	}
	if err != nil {
		panic(err)
	}
	if before {
		return b[page : page+n]
	}
	return b[page+size-n : page+size : page+size]
}

// guards are for input and output, the second of each with the guard before it.
var guards = sync.OnceValue(func() (g [4][]byte) {
	for i := range g {
		g[i] = guarded(1<<17, i%2 == 1)
	}
	return g
})

// untouched decodes in where it would end the process to touch a byte before or behind in, or dst.
func untouched(t testing.TB, name string, in []byte, size int) {
	t.Helper()
	g := guards()
	for i := range 2 {
		src, dst := g[i], g[2+i]
		if i == 0 {
			src, dst = src[len(src)-len(in):], dst[len(dst)-size:]
		}
		src, dst = src[:len(in)], dst[:size]
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
