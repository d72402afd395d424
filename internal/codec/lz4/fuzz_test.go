package lz4

import (
	"math/rand"
	"testing"
)

// FuzzDecode: no input makes Decode leave its buffers or differ from a decoder that goes byte by byte.
func FuzzDecode(f *testing.F) {
	f.Add(example, 26)
	f.Add(randomBlock(rand.New(rand.NewSource(1)), 500), 2000)
	f.Fuzz(func(t *testing.T, block []byte, n int) {
		if n < 0 || n > 1<<16 || len(block) > 1<<16 {
			t.Skip()
		}
		compareDecoders(t, block, n)
	})
}

// FuzzFitDst: what any encoder makes of any input fits, obeys the rules of the end and is decoded to the input.
func FuzzFitDst(f *testing.F) {
	f.Add([]byte("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaHELLO!"), 20, 0, 0)
	f.Add(randomBlock(rand.New(rand.NewSource(1)), 500), 300, 9, 100)
	f.Add(make([]byte, 3000), 30, 12, 65535)
	f.Fuzz(func(t *testing.T, src []byte, size, level, distance int) {
		if size < 0 || size > 1<<16 || level < -1 || level > MaxLevel || distance < 0 || distance > MaxDistance {
			t.Skip()
		}
		e, err := NewEncoder(Options{HC: level >= 0, Level: max(level, 0), MaxDistance: distance})
		if err != nil {
			t.Fatal(err)
		}
		checkFitDst(t, e, src, size)
	})
}
