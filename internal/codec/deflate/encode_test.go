package deflate

import (
	"bytes"
	"compress/flate"
	"io"
	"testing"
)

func newEncoder(t testing.TB, o Options) *Encoder {
	t.Helper()
	e, err := NewEncoder(o)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// checkFitDst encodes, and decodes with our decoder and with compress/flate.
func checkFitDst(t testing.TB, e *Encoder, size int, src []byte) (written, consumed int) {
	t.Helper()
	const guard = 64
	buf := bytes.Repeat([]byte{0xA5}, size+2*guard)
	written, consumed = e.FitDst(buf[guard:guard+size:guard+size], src)
	if written > size || consumed > len(src) || (written == 0) != (consumed == 0) || written > 0 && written >= consumed {
		t.Fatalf("%d bytes into %d: written %d, consumed %d", len(src), size, written, consumed)
	}
	if g := bytes.Repeat([]byte{0xA5}, guard); !bytes.Equal(buf[:guard], g) || !bytes.Equal(buf[guard+size:], g) {
		t.Fatalf("%d bytes into %d: bytes around dst changed", len(src), size)
	}
	if written == 0 {
		return 0, 0
	}
	got := buf[guard : guard+written]
	if got[0] == 0 {
		t.Fatal("first byte is 0")
	}
	checkDecode(t, got, src[:consumed])
	z := flate.NewReader(bytes.NewReader(got))
	if all, err := io.ReadAll(z); err != nil || !bytes.Equal(all, src[:consumed]) {
		t.Fatalf("compress/flate decodes %d bytes of %d, %v", len(all), consumed, err)
	}
	return written, consumed
}

func TestFitDstRoundTrip(t *testing.T) {
	for name, data := range samples(150000) {
		for level := MinLevel; level <= MaxLevel; level++ {
			if testing.Short() && level%4 != 1 {
				continue
			}
			e := newEncoder(t, Options{Level: level})
			for _, size := range []int{0, 1, 2, 3, 5, 10, 100, 1000, 4096, 16384, 65536, 200000} {
				w, c := checkFitDst(t, e, size, data)
				if c < len(data) && c > 0 && w < size-16 && name != "zeros" {
					t.Errorf("%s, level %d: %d of %d bytes are used", name, level, w, size)
				}
				checkFitDst(t, e, size, data[:min(size*3/2, len(data))])
			}
		}
	}
}

func TestFitDstForgetsWhatWasBefore(t *testing.T) {
	all := samples(30000)
	e := newEncoder(t, Options{Level: 6})
	for name, data := range all {
		want, got := make([]byte, 4096), make([]byte, 4096)
		w, c := newEncoder(t, Options{Level: 6}).FitDst(want, data)
		for range 2 {
			if w2, c2 := e.FitDst(got, data); w2 != w || c2 != c || !bytes.Equal(got[:w], want[:w]) {
				t.Fatalf("%s: %d, %d and %d, %d", name, w, c, w2, c2)
			}
		}
	}
}

func TestFitDstKeepsTheDistance(t *testing.T) {
	r := samples(2000)["random"]
	data := append(bytes.Clone(r), r...)
	if w, c := checkFitDst(t, newEncoder(t, Options{Level: 9, MaxDistance: 1999}), 4096, data); w != 0 {
		t.Errorf("a match reaches too far: written %d, consumed %d", w, c)
	}
	if w, _ := checkFitDst(t, newEncoder(t, Options{Level: 9, MaxDistance: 2000}), 4096, data); w == 0 {
		t.Error("no match")
	}
}

func TestBadOptions(t *testing.T) {
	for _, o := range []Options{{Level: -1}, {Level: 10}, {MaxDistance: -1}, {MaxDistance: History + 1}} {
		if _, err := NewEncoder(o); err == nil {
			t.Errorf("%+v: no error", o)
		}
	}
}

func FuzzFitDst(f *testing.F) {
	for _, data := range samples(600) {
		f.Add(data, uint16(200), uint8(6))
	}
	f.Fuzz(func(t *testing.T, src []byte, size uint16, level uint8) {
		e := newEncoder(t, Options{Level: int(level) % (MaxLevel + 1)})
		checkFitDst(t, e, int(size), src)
		checkFitDst(t, e, int(size), src)
	})
}
