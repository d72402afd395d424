package microlzma

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"
)

func TestCorruptStreams(t *testing.T) {
	src := samples(20000)["matches within 5000"]
	stream, n := fit(t, encoder(t, Options{Level: 6}), 4096, src)
	dst := make([]byte, n)
	change := func(i int, b byte) []byte {
		s := bytes.Clone(stream)
		s[i] = b
		return s
	}
	for name, c := range map[string]struct {
		src  []byte
		want error
	}{
		"empty":               {nil, errShort},
		"shorter than a code": {stream[:4], errShort},
		"cut":                 {stream[:len(stream)/2], errShort},
		"nothing but a code":  {stream[:5], errShort},
		"pb 5":                {change(0, ^byte(225)), errProps},
		"lc+lp 5":             {change(0, ^byte(1*9+4)), errProps},
		"match at the start":  {change(1, 0xff), errDistance},
	} {
		if err := Decode(dst, c.src, MaxDict); err != c.want {
			t.Errorf("%s: %v, not %v", name, err, c.want)
		}
	}
	for _, dict := range []int{0, -1} {
		if err := Decode(dst, stream, dict); err != errDistance {
			t.Errorf("dictionary of %d: %v", dict, err)
		}
	}
}

func TestDamagedStreamsAreDecodedOrRefused(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	src := samples(20000)["matches within 20"]
	stream, n := fit(t, encoder(t, Options{Level: 6}), 4096, src)
	refused := 0
	for range 2000 {
		s := bytes.Clone(stream[:5+r.IntN(len(stream)-5)])
		for range r.IntN(4) {
			s[r.IntN(len(s))] ^= 1 << r.IntN(8)
		}
		err := Decode(make([]byte, n), s, r.IntN(1<<16))
		var corrupt CorruptError
		if err != nil && !errors.As(err, &corrupt) {
			t.Fatal(err)
		}
		if err != nil {
			refused++
		}
	}
	if refused < 1000 {
		t.Errorf("%d of 2000 refused", refused)
	}
}

func TestDecodeNeedsNoMemory(t *testing.T) {
	src := samples(20000)["skewed"]
	stream, n := fit(t, encoder(t, Options{}), 4096, src)
	dst := make([]byte, n)
	if got := testing.AllocsPerRun(100, func() {
		if err := Decode(dst, stream, MaxDict); err != nil {
			t.Fatal(err)
		}
	}); got > 0.5 { // the pool may be emptied
		t.Errorf("%v allocations", got)
	}
}

func FuzzDecode(f *testing.F) {
	for _, src := range samples(3000) {
		stream, n := fit(f, encoder(f, Options{Level: 6}), 1000, src)
		if n > 0 {
			f.Add(stream, uint32(n), uint32(MaxDict))
		}
	}
	f.Fuzz(func(t *testing.T, src []byte, n, dict uint32) {
		dst := make([]byte, n%(1<<20))
		if Decode(dst, src, int(dict%(2*MaxDict))) != nil {
			return
		}
		part := make([]byte, len(dst)/2)
		if err := Decode(part, src, int(dict%(2*MaxDict))); err != nil || !bytes.Equal(part, dst[:len(part)]) {
			t.Fatalf("half of it: %v", err)
		}
	})
}

func FuzzFitDst(f *testing.F) {
	for _, src := range samples(3000) {
		f.Add(src, uint32(1000), byte(6))
	}
	var encoders [110]*Encoder
	f.Fuzz(func(t *testing.T, src []byte, size uint32, level byte) {
		level %= 20
		if level > 9 {
			level += 90
		}
		if encoders[level] == nil {
			encoders[level] = encoder(t, Options{Level: int(level), Dict: MinDict})
		}
		stream, n := fit(t, encoders[level], int(size%(1<<16)), src)
		if n > 0 {
			decodes(t, stream, src[:n], MinDict)
		}
	})
}
