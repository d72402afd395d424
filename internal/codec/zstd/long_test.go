package zstd

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// Sequences with long literals and long, distant matches have so many extra bits that with those of the states they
// fill the 64 bits of the writer to the last one.
func TestLongSequencesFillTheBitWriter(t *testing.T) {
	for _, level := range []int{1, DefaultLevel, 9} {
		e, err := NewEncoder(Options{Level: level})
		if err != nil {
			t.Fatal(err)
		}
		for seed := range uint64(120) {
			r := rand.New(rand.NewPCG(seed, 1))
			src := make([]byte, 0, 1<<20)
			for len(src) < 500<<10 {
				fresh := make([]byte, 1<<r.IntN(16)+r.IntN(1<<14))
				for i := range fresh {
					fresh[i] = byte(r.Uint32())
				}
				src = append(src, fresh...)
				for range r.IntN(4) {
					from := r.IntN(len(src))
					src = append(src, src[from:min(len(src), from+1<<r.IntN(17)+4)]...)
				}
			}
			dst := make([]byte, 512<<10)
			n, used := e.FitDst(dst, src)
			got := make([]byte, used)
			if err := Decode(got, dst[:n], MaxWindowLog); err != nil || !bytes.Equal(got, src[:used]) {
				t.Fatalf("level %d, seed %d: %d bytes of %d: %v", level, seed, n, used, err)
			}
		}
	}
}
