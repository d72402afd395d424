package microlzma

import (
	"bytes"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/laminafs/lamina/internal/oracle"
)

// arenas are for output and input.
var arenas = sync.OnceValues(func() (dst, src oracle.Arena) { return oracle.NewArena(1 << 21), oracle.NewArena(1 << 21) })

// decodeTwice decodes n bytes of src with both loops, in memory that ends where nobody may read, once where it ends and once
// where it begins, and fails if they differ. It returns the content, nil for an error.
func decodeTwice(t testing.TB, src []byte, n, dict int) []byte {
	t.Helper()
	outs, ins := arenas()
	want := make([]byte, n)
	var wantErr error
	twin(func() { wantErr = Decode(want, src, dict) })
	for _, atEnd := range []bool{true, false} {
		dst, in := outs.First(n), ins.First(len(src))
		if atEnd {
			dst, in = outs.Last(n), ins.Last(len(src))
		}
		copy(in, src)
		if err := Decode(dst, in, dict); err != wantErr {
			t.Fatalf("%x, %d bytes: %v; in Go: %v", src, n, err, wantErr)
		} else if err == nil && !bytes.Equal(dst, want) {
			t.Fatalf("%x, %d bytes: other content than in Go", src, n)
		}
	}
	if wantErr != nil {
		return nil
	}
	return want
}

func TestBothLoopsDecodeTheSame(t *testing.T) {
	for name, src := range samples(30000) {
		for _, level := range []int{1, 6, 9} {
			stream, all := fit(t, encoder(t, Options{Level: level}), 4096, src)
			if all == 0 {
				continue
			}
			for _, n := range []int{1, maxMatch + 33, all / 2, all - 1, all} { // some less than the loop in assembly takes
				if n = min(n, all); !bytes.Equal(decodeTwice(t, stream, n, MaxDict), src[:n]) {
					t.Fatalf("%s, level %d: %d bytes", name, level, n)
				}
			}
		}
	}
}

// Bytes at random are symbols at random, most of which are wrong after some; streams with a few wrong bits get further.
func TestBothLoopsRefuseTheSame(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	stream, n := fit(t, encoder(t, Options{Level: 6}), 4096, samples(20000)["matches within 20"])
	decoded := 0
	for k := range 10000 {
		src := bytes.Clone(stream)
		for range 1 + r.IntN(3) {
			src[r.IntN(len(src))] ^= 1 << r.IntN(8)
		}
		if k%2 == 0 {
			src = src[:5+r.IntN(600)]
			for i := range src {
				src[i] = byte(r.Uint32() >> r.IntN(16))
			}
		}
		src[0] = ^byte(r.IntN(225))
		if decodeTwice(t, src, 1+r.IntN(n), r.IntN(8000)) != nil {
			decoded++
		}
	}
	if decoded == 0 || decoded > 9000 {
		t.Errorf("%d of 10000 are streams", decoded)
	}
}

// The specification has a value that is not below the range for corrupt; loops of 32 and of 64 bits would differ on it.
func TestValueBeyondTheRange(t *testing.T) {
	src := append([]byte{0xff}, bytes.Repeat([]byte{0xff}, 40)...)
	if err := Decode(make([]byte, 100), src, MaxDict); err != errRange {
		t.Error(err)
	}
}

// fitTwice encodes with both searches, from memory that ends where nobody may read, and fails if they differ.
func fitTwice(t testing.TB, e *Encoder, size int, src []byte) {
	t.Helper()
	_, ins := arenas()
	in := ins.Last(len(src))
	copy(in, src)
	var want []byte
	var all int
	twin(func() { want, all = fit(t, e, size, in) })
	if got, n := fit(t, e, size, in); n != all || !bytes.Equal(got, want) {
		t.Fatalf("%d bytes of %d in %d; in Go: %d in %d", n, len(src), len(got), all, len(want))
	}
}

func TestBothSearchesFindTheSame(t *testing.T) {
	for _, level := range []int{4, 6, 106} {
		e := encoder(t, Options{Level: level, Dict: 32 << 10})
		for _, src := range samples(60000) {
			for _, n := range []int{8, maxMatch + 9, 5000, len(src)} {
				fitTwice(t, e, 20000, src[:n])
			}
		}
	}
}

func FuzzSearches(f *testing.F) {
	for _, src := range samples(3000) {
		f.Add(src, uint32(1000), byte(6))
	}
	var encoders [4]*Encoder
	for i, level := range []int{4, 5, 6, 109} {
		encoders[i] = encoder(f, Options{Level: level, Dict: MinDict})
	}
	f.Fuzz(func(t *testing.T, src []byte, size uint32, effort byte) {
		if len(src) > 1<<16 {
			return
		}
		fitTwice(t, encoders[effort%4], int(size%(1<<16)), src)
	})
}

func FuzzTwins(f *testing.F) {
	for _, src := range samples(3000) {
		if stream, n := fit(f, encoder(f, Options{Level: 6}), 1000, src); n > 0 {
			f.Add(stream, uint32(n), uint32(MaxDict))
		}
	}
	f.Fuzz(func(t *testing.T, src []byte, n, dict uint32) {
		if len(src) > 1<<20 {
			return
		}
		decodeTwice(t, src, int(n%(1<<16)), int(dict%(2*MaxDict)))
	})
}
