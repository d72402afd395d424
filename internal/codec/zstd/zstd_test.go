package zstd

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

func text(n int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	words := []string{"lamina ", "layer ", "of ", "the ", "a ", "erofs\n", "cluster ", "{}", "0123", "zstd-"}
	var b []byte
	for len(b) < n {
		b = append(b, words[r.IntN(len(words))]...)
		if r.IntN(4) == 0 {
			b = append(b, byte(r.Uint32()))
		}
	}
	return b[:n]
}

func TestFitDstRoundTrip(t *testing.T) {
	data := text(100000)
	for _, level := range []int{0, 1, 3, 9, 22} {
		e, err := NewEncoder(Options{Level: level, WindowLog: 15})
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range []int{0, 1, 10, 100, 1000, 4096, 16384, 65536} {
			dst := make([]byte, n)
			w, c := e.FitDst(dst, data)
			if w > n || c < w || n > 100 && c == 0 {
				t.Fatalf("level %d: %d bytes: written %d, consumed %d", level, n, w, c)
			}
			for _, part := range []int{min(1, c), c / 2, c} {
				got := make([]byte, part)
				if err := Decode(got, dst[:w], 15); part > 0 && (err != nil || !bytes.Equal(got, data[:part])) {
					t.Fatalf("level %d: %d of %d bytes: %v", level, part, c, err)
				}
			}
			if err := Decode(make([]byte, c+1), dst[:w], 15); err == nil {
				t.Fatal("decoded more than there is")
			}
		}
	}
}
