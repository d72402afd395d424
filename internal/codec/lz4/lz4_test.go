package lz4

import (
	"bytes"
	"math/rand"
	"testing"
)

func TestRoundTrip(t *testing.T) {
	e, err := NewEncoder(Options{})
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewSource(1))
	for i := range 2000 {
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
