package microlzma

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// samples returns data of several kinds, n bytes each.
func samples(n int) map[string][]byte {
	r := rand.New(rand.NewPCG(1, 2))
	s := map[string][]byte{"random": make([]byte, n), "zeros": make([]byte, n), "few symbols": make([]byte, n), "skewed": make([]byte, n)}
	for i := range n {
		s["random"][i] = byte(r.Uint32())
		s["few symbols"][i] = "ab"[r.IntN(2)]
		s["skewed"][i] = byte(r.ExpFloat64() * 9)
	}
	for _, far := range []int{20, 5000, 1 << 20} {
		var b []byte
		for len(b) < n {
			b = append(b, byte(r.Uint32()), byte(r.Uint32()))
			for at, k := max(len(b)-1-r.IntN(far), 0), int(r.ExpFloat64()*20); k > 0; k-- {
				b = append(b, b[at])
				at++
			}
		}
		s["matches within "+string(rune('a'+far%23))] = b[:n]
	}
	return s
}

func TestRoundTrip(t *testing.T) {
	for _, o := range []Options{{}, {Level: 3}, {Level: DefaultLevel, Dict: MinDict}, {Level: DefaultLevel}, {Level: 109}} {
		e, err := NewEncoder(o)
		if err != nil {
			t.Fatal(err)
		}
		for name, data := range samples(100000) {
			for _, size := range []int{0, 5, 6, 7, 8, 20, 100, 4096, 65536, 120000} {
				for _, src := range [][]byte{data, data[:min(len(data), size)], data[:1], nil} {
					dst := make([]byte, size)
					w, c := e.FitDst(dst, src)
					if w > len(dst) || c > len(src) || (c > 0) != (w < c) {
						t.Fatalf("%s: %d bytes of %d in %d of %d", name, c, len(src), w, len(dst))
					}
					if c == 0 {
						continue
					}
					for _, part := range []int{c, c - 1, c / 2} {
						got := make([]byte, part)
						if err := Decode(got, dst[:w], e.dict); err != nil || !bytes.Equal(got, src[:part]) {
							t.Fatalf("%s: %d bytes of %d in %d of %d: %v", name, part, c, w, len(dst), err)
						}
					}
				}
			}
		}
	}
}
