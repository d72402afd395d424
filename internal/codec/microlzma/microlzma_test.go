package microlzma

import (
	"bytes"
	"fmt"
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
			at := max(len(b)-1-r.IntN(far), 0)
			for range int(r.ExpFloat64() * 20) {
				b = append(b, b[at])
				at++
			}
		}
		s[fmt.Sprintf("matches within %d", far)] = b[:n]
	}
	for _, d := range []int{1, 3, 7, 9, 15, 17} { // matches that repeat themselves at once
		var b []byte
		for len(b) < n {
			b = append(b, byte(r.Uint32()))
			for range r.IntN(300) {
				b = append(b, b[max(len(b)-d, 0)])
			}
		}
		s[fmt.Sprintf("distance %d", d)] = b[:n]
	}
	return s
}

func encoder(t testing.TB, o Options) *Encoder {
	t.Helper()
	e, err := NewEncoder(o)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// fit is FitDst with checks of what every result must be.
func fit(t testing.TB, e *Encoder, size int, src []byte) (stream []byte, consumed int) {
	t.Helper()
	const guard = 64
	buf := bytes.Repeat([]byte{0xa5}, size+guard)
	w, c := e.FitDst(buf[:size], src)
	if w < 0 || w > size || c < 0 || c > len(src) || (c > 0) != (w < c) || (c == 0) != (w == 0) {
		t.Fatalf("%d bytes of %d in %d of %d", c, len(src), w, size)
	}
	for _, b := range buf[size:] {
		if b != 0xa5 {
			t.Fatal("wrote behind its output")
		}
	}
	return buf[:w:w], c
}

// decodes fails unless the stream gives want, also when only a part of it is wanted.
func decodes(t testing.TB, stream, want []byte, dict int) {
	t.Helper()
	const guard = 64
	for _, n := range []int{len(want), len(want) - 1, len(want) / 2, 1} {
		buf := bytes.Repeat([]byte{0xa5}, n+guard)
		if err := Decode(buf[:n], stream, dict); err != nil {
			t.Fatalf("%d bytes of %d: %v", n, len(want), err)
		}
		if !bytes.Equal(buf[:n], want[:n]) {
			t.Fatalf("%d bytes of %d differ", n, len(want))
		}
		if !bytes.Equal(buf[n:], bytes.Repeat([]byte{0xa5}, guard)) {
			t.Fatal("wrote behind its output")
		}
	}
}

// levels are such that every parser and every depth is used.
var levels = []int{0, 1, 2, 3, 4, 5, 6, 103, 106}

func TestRoundTrip(t *testing.T) {
	data := samples(12000)
	for _, level := range levels {
		for _, dict := range []int{MinDict, 0} {
			e := encoder(t, Options{Level: level, Dict: dict})
			for name, data := range data {
				for _, size := range []int{0, 5, 6, 7, 20, 100, 1000, 20000} {
					for _, src := range [][]byte{data, data[:min(len(data), size)]} {
						t.Run(fmt.Sprintf("level %d, dict %d, %s, %d bytes into %d", level, dict, name, len(src), size), func(t *testing.T) {
							if stream, n := fit(t, e, size, src); n > 0 {
								decodes(t, stream, src[:n], e.dict)
							}
						})
					}
				}
			}
		}
	}
}

func TestResultDoesNotDependOnHistory(t *testing.T) {
	data := samples(50000)
	for _, level := range []int{3, 6} {
		used := encoder(t, Options{Level: level, Dict: 32 << 10})
		used.finder.base = lastNumber - 300000 // numbers start again on the way
		for range 2 {
			for name, src := range data {
				want, n := fit(t, encoder(t, Options{Level: level, Dict: 32 << 10}), 4096, src)
				got, m := fit(t, used, 4096, src)
				if m != n || !bytes.Equal(got, want) {
					t.Errorf("level %d, %s: %d bytes of a used encoder, %d of a new one", level, name, m, n)
				}
			}
		}
		if used.finder.base > lastNumber/2 {
			t.Error("numbers did not start again")
		}
	}
}

func TestOutputIsUsedToTheEnd(t *testing.T) {
	for _, level := range []int{1, 6} {
		e := encoder(t, Options{Level: level})
		for name, src := range samples(200000) {
			for _, size := range []int{500, 4096} {
				stream, n := fit(t, e, size, src)
				if n > 0 && n < len(src) && len(stream) < size-2 {
					t.Errorf("level %d, %s: %d of %d bytes used", level, name, len(stream), size)
				}
			}
		}
	}
}

func TestMatchesStayWithinTheDictionary(t *testing.T) {
	far := append(bytes.Clone(samples(40000)["random"]), samples(40000)["random"]...)
	for _, dict := range []int{MinDict, 36000, 40000, 40001, 1 << 20} {
		stream, n := fit(t, encoder(t, Options{Level: 6, Dict: dict}), 80000, far)
		if dict <= 36000 {
			if n != 0 {
				t.Errorf("dictionary of %d: %d bytes in %d", dict, n, len(stream))
			}
			continue
		}
		decodes(t, stream, far[:n], dict)
		if err := Decode(make([]byte, n), stream, 36000); err != errDistance {
			t.Errorf("a match at 40000 with a dictionary of 36000: %v", err)
		}
	}
}

func TestOptionsOutOfBounds(t *testing.T) {
	for _, o := range []Options{{Level: -1}, {Level: 10}, {Level: 99}, {Level: 110}, {Dict: -1}, {Dict: MinDict - 1}, {Dict: MaxDict + 1}} {
		if _, err := NewEncoder(o); err == nil {
			t.Errorf("%+v: no error", o)
		}
	}
	for _, level := range []int{MinLevel, DefaultLevel, 9, 100, MaxLevel} {
		encoder(t, Options{Level: level})
	}
}

func TestDefaultDict(t *testing.T) {
	for pcluster, want := range map[int]int{4096: 32 << 10, 16 << 10: 64 << 10, 1 << 20: 4 << 20, 4 << 20: MaxDict} {
		if got := DefaultDict(pcluster); got != want {
			t.Errorf("%d: %d, not %d", pcluster, got, want)
		}
	}
}
