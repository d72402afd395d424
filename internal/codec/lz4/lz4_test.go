package lz4

import (
	"bytes"
	"fmt"
	"math/rand"
	"testing"
)

func TestRoundTrip(t *testing.T) {
	for level := -1; level <= MaxLevel; level++ {
		t.Run(fmt.Sprint(level), func(t *testing.T) { testRoundTrip(t, Options{HC: level >= 0, Level: max(level, 0)}) })
	}
}

func testRoundTrip(t *testing.T, o Options) {
	e, err := NewEncoder(o)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewSource(1))
	for i := range 200 {
		src := make([]byte, r.Intn(100000))
		for j := range src {
			if j > 300 && r.Intn(20) != 0 {
				src[j] = src[j-1-r.Intn(3)*100]
			} else {
				src[j] = byte(r.Intn(1 + i%256))
			}
		}
		dst := make([]byte, r.Intn(20000))
		n, m := e.FitDst(dst, src)
		got := make([]byte, m)
		if err := Decode(got, dst[:n]); err != nil || !bytes.Equal(got, src[:m]) {
			t.Fatalf("%d: %d of %d bytes in %d of %d: %v", i, m, len(src), n, len(dst), err)
		}
	}
}
