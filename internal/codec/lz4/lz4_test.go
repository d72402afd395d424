package lz4

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math/rand"
	"testing"
)

// everyLevel runs test for the fast encoder, -1, and each level of HC.
func everyLevel(t *testing.T, test func(t *testing.T, o Options)) {
	for level := -1; level <= MaxLevel; level++ {
		t.Run(fmt.Sprint(level), func(t *testing.T) { test(t, Options{HC: level >= 0, Level: max(level, 0)}) })
	}
}

func newEncoder(t testing.TB, o Options) *Encoder {
	t.Helper()
	e, err := NewEncoder(o)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// words returns n bytes that look like text with runs: matches of all lengths and distances.
func words(seed int64, n int) []byte {
	r := rand.New(rand.NewSource(seed))
	vocabulary := make([][]byte, 300)
	for i := range vocabulary {
		vocabulary[i] = make([]byte, 1+r.Intn(12))
		r.Read(vocabulary[i])
	}
	b := make([]byte, 0, n+1000)
	for len(b) < n {
		switch k := r.Intn(100); {
		case k == 0:
			b = append(b, bytes.Repeat([]byte{byte(r.Intn(3))}, r.Intn(1000))...)
		case k < 4 && len(b) > 500:
			from := r.Intn(len(b) - 400)
			b = append(b, b[from:from+r.Intn(400)]...)
		case k < 10:
			b = append(b, byte(r.Intn(256)))
		default:
			b = append(b, vocabulary[min(r.Intn(len(vocabulary)), r.Intn(len(vocabulary)))]...)
		}
	}
	return b[:n]
}

// checkFitDst encodes a prefix of src into size bytes between pages that nobody may touch and checks all that FitDst
// promises. It returns the block and how many bytes it holds.
func checkFitDst(t *testing.T, e *Encoder, src []byte, size int) (block []byte, consumed int) {
	t.Helper()
	in := srcArena.Last(len(src))
	copy(in, src)
	dst := dstArena.Last(size)
	written, consumed := e.FitDst(dst, in)
	block = bytes.Clone(dst[:written])
	checkBlock(t, block, src, consumed, e.opts.MaxDistance)

	in = srcArena.First(len(src))
	copy(in, src)
	n, m := e.FitDst(dst, in)
	if m != consumed || !bytes.Equal(dst[:n], block) {
		t.Fatalf("the second time it is another block: %d of %d, not %d of %d", n, m, written, consumed)
	}
	return block, consumed
}

// checkBlock fails if block is not a correct one for src[:consumed] by the format's document.
func checkBlock(t *testing.T, block, src []byte, consumed, maxDistance int) {
	t.Helper()
	if consumed == 0 && len(block) == 0 {
		return
	}
	if consumed <= len(block) {
		t.Fatalf("%d bytes for %d", len(block), consumed)
	}
	all, err := parse(block)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(expand(all, 1<<30), src[:consumed]) {
		t.Fatalf("the block holds something else than the first %d bytes", consumed)
	}
	for _, s := range all {
		if s.offset > maxDistance {
			t.Fatalf("offset %d: more than %d", s.offset, maxDistance)
		}
		if s.n > 0 && (s.start > consumed-matchLimit || s.start+s.n > consumed-lastLiterals) {
			t.Fatalf("match of %d at %d: too near to the end at %d", s.n, s.start, consumed)
		}
	}
	got := make([]byte, consumed)
	if err := Decode(got, block); err != nil || !bytes.Equal(got, src[:consumed]) {
		t.Fatalf("Decode: %v", err)
	}
}

func TestFitDstFillsWholeFiles(t *testing.T) {
	src := words(3, 150_000)
	everyLevel(t, func(t *testing.T, o Options) {
		e := newEncoder(t, o)
		for _, size := range []int{512, 4096, 65536, 1 << 20} {
			for pos := 0; pos < len(src); {
				block, n := checkFitDst(t, e, src[pos:], size)
				if n == 0 {
					t.Fatalf("nothing fits into %d bytes at %d", size, pos)
				}
				if pos += n; pos < len(src) && len(block) < size-1 {
					t.Fatalf("%d of %d bytes are used", len(block), size)
				}
			}
		}
	})
}

// A smaller output never holds more, and no size makes an encoder leave its output.
func TestFitDstEverySize(t *testing.T) {
	src := words(4, 6000)
	everyLevel(t, func(t *testing.T, o Options) {
		e := newEncoder(t, o)
		for size := range 300 {
			checkFitDst(t, e, src, size)
		}
		for n := range 200 { // inputs that end in the middle of everything
			checkFitDst(t, e, src[5000:5000+n], 400)
		}
	})
}

func TestFitDstTakesNothingThatDoesNotPay(t *testing.T) {
	src := make([]byte, 10000)
	rand.New(rand.NewSource(5)).Read(src)
	everyLevel(t, func(t *testing.T, o Options) {
		e := newEncoder(t, o)
		if n, m := e.FitDst(make([]byte, 4096), src); n != 0 || m != 0 {
			t.Errorf("random bytes: %d in %d", m, n)
		}
		if n, m := e.FitDst(nil, make([]byte, 1000)); n != 0 || m != 0 {
			t.Errorf("no output: %d in %d", m, n)
		}
		if n, m := e.FitDst(make([]byte, 100), nil); n != 0 || m != 0 {
			t.Errorf("no input: %d in %d", m, n)
		}
	})
}

// A run is the content that an output of one block can hold most of.
func TestFitDstRuns(t *testing.T) {
	src := make([]byte, 4<<20)
	everyLevel(t, func(t *testing.T, o Options) {
		_, n := checkFitDst(t, newEncoder(t, o), src, 4096)
		if most := 4096 * 255; n < most-20*255 || n > most {
			t.Errorf("%d zeros in 4096 bytes", n)
		}
	})
}

// A match longer than all that the optimal parser looks at begins inside of a short one.
func TestFitDstTakesALongMatchInsideOfAShortOne(t *testing.T) {
	once := make([]byte, 20000)
	rand.New(rand.NewSource(1)).Read(once)
	copy(once[2000:], once[518:540]) // the length of the short match takes a byte more from 19 on
	src := append(append(bytes.Clone(once), once[500:518]...), once[2000:]...)
	everyLevel(t, func(t *testing.T, o Options) {
		block, consumed := checkFitDst(t, newEncoder(t, o), src, len(src))
		if consumed != len(src) || len(block) > len(once)+300 {
			t.Errorf("%d bytes of %d into %d", consumed, len(src), len(block))
		}
	})
}

func TestMaxDistance(t *testing.T) {
	src := words(6, 60000)
	everyLevel(t, func(t *testing.T, o Options) {
		for _, o.MaxDistance = range []int{1, 9, 4096, 65534} {
			checkFitDst(t, newEncoder(t, o), src, 4096)
		}
	})
}

func TestNewEncoderRefuses(t *testing.T) {
	for _, o := range []Options{
		{Level: 1}, {HC: true, Level: -1}, {HC: true, Level: 13}, {MaxDistance: -1}, {MaxDistance: 65536},
	} {
		if _, err := NewEncoder(o); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
}

// What an Encoder was used for before does not change what it writes, also when its positions start again from zero.
func TestHistoryHasNoInfluence(t *testing.T) {
	src, other := words(7, 40_000), words(8, 40_000)
	everyLevel(t, func(t *testing.T, o Options) {
		want := make([]byte, 4096)
		n, m := newEncoder(t, o).FitDst(want, src)
		e := newEncoder(t, o)
		got := make([]byte, 20000)
		for i := range 4 {
			e.FitDst(got, other[i*1000:])
			e.FitDst(got, src[i*1000+1:])
			if e.hc != nil && i == 2 {
				e.hc.base = 1<<32 - 100_000
			}
			if n2, m2 := e.FitDst(got[:4096], src); n2 != n || m2 != m || !bytes.Equal(got[:n], want[:n]) {
				t.Fatalf("use %d: %d of %d bytes, first %d of %d", i, n2, m2, n, m)
			}
		}
	})
}

// The same bytes on every system, with unsafe and without: an image must not depend on who built it.
func TestOutputIsPinned(t *testing.T) {
	h := sha256.New()
	src := words(9, 150_000)
	everyLevel(t, func(t *testing.T, o Options) {
		for _, size := range []int{4096, 65536} {
			block, n := checkFitDst(t, newEncoder(t, o), src, size)
			fmt.Fprintln(h, n, len(block))
			h.Write(block)
		}
	})
	const want = "bdc5aca8e78f9972"
	if got := fmt.Sprintf("%x", h.Sum(nil)[:8]); got != want {
		t.Errorf("%s, not %s", got, want)
	}
}
