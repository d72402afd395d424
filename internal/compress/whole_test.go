package compress

import (
	"bytes"
	"fmt"
	"testing"
)

// Of every algorithm, a pcluster is whole with the bytes that were encoded, and with no others.
func TestDecodeWholeKnowsTheLength(t *testing.T) {
	var text []byte
	for i := range 20_000 {
		text = fmt.Appendf(text, "%d lines and %x, ", i%977, i*i)
	}
	for a := range algorithmCount {
		m := Method{Algorithm: a, Pcluster: 16 << 10}
		e, err := m.NewEncoder()
		if err != nil {
			t.Fatal(err)
		}
		for _, size := range []int{20, 300, 4096, 16 << 10} {
			src := make([]byte, size)
			for from := 0; from < 100_000; from += 9973 {
				n, held := e.FitDst(src, text[from:])
				if n == 0 || held == 0 {
					continue
				}
				for _, length := range []int{held, held - 1, held / 2, held + 1} {
					if length == 0 {
						continue
					}
					dst := make([]byte, length, length+1)
					err := m.DecodeWhole(dst, append(make([]byte, 7), src[:n]...))
					switch {
					case (err == nil) != (length == held) && !(a == LZMA && length == held-1):
						t.Errorf("%v: %d bytes in %d as %d: %v", a, held, n, length, err)
					case err == nil && length == held && !bytes.Equal(dst, text[from:from+held]):
						t.Errorf("%v: %d bytes in %d: others are decoded", a, held, n)
					}
				}
			}
		}
	}
}
