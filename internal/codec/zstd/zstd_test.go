package zstd

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// samples returns data of several kinds, n bytes each.
func samples(n int) map[string][]byte {
	r := rand.New(rand.NewPCG(1, 2))
	s := map[string][]byte{"random": make([]byte, n), "zeros": make([]byte, n), "few symbols": make([]byte, n), "skewed": make([]byte, n)}
	for i := range n {
		s["random"][i] = byte(r.Uint32())
		s["few symbols"][i] = "ab"[r.IntN(2)]
		s["skewed"][i] = byte(r.ExpFloat64() * 9) // codes of any length
	}
	for _, d := range []int{1, 2, 3, 4, 7, 8, 9, 1000} {
		var b []byte
		for len(b) < n {
			b = append(b, byte(r.Uint32()))
			for k := r.IntN(300); k > 0; k-- {
				b = append(b, b[max(len(b)-d, 0)])
			}
		}
		s["distance "+string(rune('a'+d%20))] = b[:n]
	}
	words := []string{"lamina ", "layer ", "of ", "the ", "a ", "erofs\n", "cluster ", "{}", "0123", "zstd-"}
	var text, far, mixed []byte
	for len(text) < n {
		text = append(text, words[r.IntN(len(words))]...)
		if r.IntN(4) == 0 {
			text = append(text, byte(r.Uint32()))
		}
	}
	for len(far) < n {
		far = append(far, byte(r.Uint32()), byte(r.Uint32()))
		at := r.IntN(len(far))
		for k := r.IntN(300); k > 0; k-- {
			far = append(far, far[at])
			at++
		}
	}
	for len(mixed) < n {
		k := r.IntN(20000)
		mixed = append(mixed, s["random"][:min(k, n)]...)
		k = r.IntN(20000)
		mixed = append(mixed, text[:min(k, n)]...)
	}
	s["text"], s["any distance"], s["mixed"] = text[:n], far[:n], mixed[:n]
	return s
}

func newEncoder(t testing.TB, o Options) *Encoder {
	t.Helper()
	e, err := NewEncoder(o)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

var judges = map[int]*zstd.Decoder{} // by window

// judge decodes with the decoder of klauspost/compress.
func judge(t testing.TB, frame []byte, window int) []byte {
	t.Helper()
	d := judges[window]
	if d == nil {
		var err error
		d, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(uint64(window)))
		if err != nil {
			t.Fatal(err)
		}
		judges[window] = d
	}
	got, err := d.DecodeAll(frame, nil)
	if err != nil {
		t.Fatalf("klauspost/compress: %v", err)
	}
	return got
}

// checkDecode decodes in between bytes that must not change.
func checkDecode(t testing.TB, in, want []byte, log int) {
	t.Helper()
	const guard = 64
	buf := bytes.Repeat([]byte{0xA5}, len(want)+2*guard)
	if err := Decode(buf[guard:guard+len(want):guard+len(want)], in, log); err != nil {
		t.Fatalf("%d bytes: %v", len(want), err)
	}
	if !bytes.Equal(buf[guard:guard+len(want)], want) {
		t.Fatalf("%d bytes: other data", len(want))
	}
	if g := bytes.Repeat([]byte{0xA5}, guard); !bytes.Equal(buf[:guard], g) || !bytes.Equal(buf[guard+len(want):], g) {
		t.Fatalf("%d bytes: bytes around dst changed", len(want))
	}
}

// checkFitDst encodes, and decodes with our decoder and with the judge.
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
	frame := buf[guard : guard+written]
	if got := judge(t, frame, 1<<e.windowLog); !bytes.Equal(got, src[:consumed]) {
		t.Fatalf("%d bytes into %d: klauspost/compress decodes something else", len(src), size)
	}
	for _, n := range []int{consumed, consumed / 2, 1} {
		checkDecode(t, frame, src[:n], e.windowLog)
	}
	if Decode(make([]byte, consumed+1), frame, e.windowLog) == nil {
		t.Fatal("decoded more than there is")
	}
	return written, consumed
}

func TestFitDstRoundTrip(t *testing.T) {
	for name, data := range samples(60000) {
		for _, o := range []Options{{1, 15}, {2, 13}, {3, 10}, {3, 17}, {4, 16}, {7, 20}, {9, 15}, {10, 15}, {16, 17}, {20, 13}} {
			if testing.Short() && o.WindowLog != 15 {
				continue
			}
			e := newEncoder(t, o)
			for _, size := range []int{0, 20, 1000, 4096, 20000} {
				w, c := checkFitDst(t, e, size, data)
				if c < len(data) && c > 0 && len(data)-c > 10 && w < size-size/100-24 && name != "zeros" && name[:2] != "di" {
					t.Errorf("%s, %+v: %d of %d bytes are used", name, o, w, size)
				}
				checkFitDst(t, e, size, data[:min(size*3/2, len(data))])
			}
		}
	}
}

func TestFitDstForgetsWhatWasBefore(t *testing.T) {
	for _, level := range []int{1, 3, 4, 10, 19} {
		e := newEncoder(t, Options{Level: level, WindowLog: 15})
		for name, data := range samples(30000) {
			want, got := make([]byte, 4096), make([]byte, 4096)
			w, c := newEncoder(t, Options{Level: level, WindowLog: 15}).FitDst(want, data)
			for range 2 {
				if w2, c2 := e.FitDst(got, data); w2 != w || c2 != c || !bytes.Equal(got[:w], want[:w]) {
					t.Fatalf("%s, level %d: %d, %d and %d, %d", name, level, w, c, w2, c2)
				}
			}
		}
	}
}

func TestFitDstKeepsToTheWindow(t *testing.T) {
	r := samples(40000)["random"]
	data := append(bytes.Clone(r), r...)
	if _, c := checkFitDst(t, newEncoder(t, Options{Level: 9, WindowLog: 15}), 60000, data); c != 0 {
		t.Errorf("a match reaches too far: consumed %d", c)
	}
	if _, c := checkFitDst(t, newEncoder(t, Options{Level: 9, WindowLog: 16}), 60000, data); c != len(data) {
		t.Errorf("no match: consumed %d", c)
	}
}

func TestBadOptions(t *testing.T) {
	for _, o := range []Options{{Level: -1}, {Level: 23}, {WindowLog: 9}, {WindowLog: 21}} {
		if _, err := NewEncoder(o); err == nil {
			t.Errorf("%+v: no error", o)
		}
	}
	if Decode(make([]byte, 1), nil, 9) == nil || Decode(make([]byte, 1), nil, 21) == nil {
		t.Error("no error for a window log")
	}
}

// FuzzWide compares the loads and copies that are used, which wide_unsafe.go may have, with those that check bounds.
func FuzzWide(f *testing.F) {
	f.Add([]byte("0123456789abcdef0123456789abcdef"), uint8(3), uint8(9))
	f.Fuzz(func(t *testing.T, b []byte, i, j uint8) {
		x, y := int(i), int(j)
		if max(x, y)+16 > len(b) {
			return
		}
		if load32(b, x) != binary.LittleEndian.Uint32(b[x:]) || load64(b, x) != binary.LittleEndian.Uint64(b[x:]) {
			t.Fatalf("%d: other bytes are loaded", x)
		}
		want, got := bytes.Clone(b), bytes.Clone(b)
		copy(want[x:x+16], want[y:y+16])
		if copy16(got, x, got, y); !bytes.Equal(got, want) {
			t.Fatalf("from %d to %d: other bytes are copied", y, x)
		}
	})
}

func TestLevelsBelowTheOptimalParserDoNotGrow(t *testing.T) {
	data := samples(200000)["text"]
	for _, size := range []int{4096, 65536} {
		before := 0
		for _, level := range []int{1, 3, 4, 9, 15} {
			e := newEncoder(t, Options{Level: level, WindowLog: windowLog(size)})
			n := pclusters(e, size, data, nil)
			if before > 0 && n > before+before/50 {
				t.Errorf("level %d, %d: %d bytes, the level before takes %d", level, size, n, before)
			}
			before = n
		}
	}
}

func FuzzFitDst(f *testing.F) {
	for _, data := range samples(600) {
		f.Add(data, uint16(200), uint8(3), uint8(1))
		f.Add(data, uint16(300), uint8(19), uint8(5))
	}
	f.Fuzz(func(t *testing.T, src []byte, size uint16, level, log uint8) {
		e := newEncoder(t, Options{Level: int(level) % (MaxLevel + 1), WindowLog: MinWindowLog + int(log)%6})
		checkFitDst(t, e, int(size), src)
		checkFitDst(t, e, int(size), src)
	})
}
