package deflate

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"
)

// decode decodes with buffers of the given size.
func decode(r io.Reader, size int) ([]byte, error) {
	z := NewReader(r)
	var out []byte
	bufs := [2][]byte{make([]byte, size), make([]byte, size)}
	for i := 0; ; i++ {
		data, err := z.Next(bufs[i&1])
		out = append(out, data...)
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return out, err
		}
	}
}

func compress(t testing.TB, level int, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, level)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// samplesOf returns n bytes of one kind.
func samplesOf(kind string, n int) []byte {
	r := rand.New(rand.NewPCG(3, 4))
	b := make([]byte, n)
	for i := range b {
		if kind == "random" {
			b[i] = byte(r.Uint32())
		} else {
			b[i] = byte(r.ExpFloat64() * 9)
		}
	}
	return b
}

// samples returns data of several kinds, n bytes each.
func samples(n int) map[string][]byte {
	r := rand.New(rand.NewPCG(1, 2))
	s := map[string][]byte{"random": make([]byte, n), "zeros": make([]byte, n), "few symbols": make([]byte, n), "skewed": make([]byte, n)}
	for i := range n {
		s["random"][i] = byte(r.Uint32())
		s["few symbols"][i] = "ab"[r.IntN(2)]
		s["skewed"][i] = byte(r.ExpFloat64() * 9) // codes of up to 15 bits
	}
	for d := 1; d < 20; d++ { // matches of every short distance
		var b []byte
		for len(b) < n {
			b = append(b, byte(r.Uint32()))
			for k := r.IntN(300); k > 0; k-- {
				b = append(b, b[max(len(b)-d, 0)])
			}
		}
		s["distance "+string(rune('a'+d))] = b[:n]
	}
	var b []byte
	for len(b) < n {
		b = append(b, byte(r.Uint32()), byte(r.Uint32()))
		at := max(len(b)-1-r.IntN(History), 0)
		for k := r.IntN(300); k > 0; k-- {
			b = append(b, b[at])
			at++
		}
	}
	s["any distance"] = b[:n]
	return s
}

func TestDecodesWhatOthersEncode(t *testing.T) {
	decodesWhatOthersEncode(t)
	twin(func() { decodesWhatOthersEncode(t) })
}

func decodesWhatOthersEncode(t *testing.T) {
	t.Helper()
	n := 200000
	if testing.Short() {
		n = 40000
	}
	for name, data := range samples(n) {
		for _, level := range []int{gzip.NoCompression, gzip.BestSpeed, gzip.DefaultCompression, gzip.BestCompression, gzip.HuffmanOnly} {
			in := compress(t, level, data)
			for _, size := range []int{MinBuffer, MinBuffer + 77, 300 << 10} {
				got, err := decode(bytes.NewReader(in), size)
				if err != nil || !bytes.Equal(got, data) {
					t.Fatalf("%s, level %d, buffers of %d: %d bytes, %v", name, level, size, len(got), err)
				}
			}
		}
	}
}

func TestSourcesThatGiveLittle(t *testing.T) {
	data := samples(50000)["any distance"]
	in := compress(t, 6, data)
	for name, r := range map[string]io.Reader{
		"one byte": iotest.OneByteReader(bytes.NewReader(in)), "data with EOF": iotest.DataErrReader(bytes.NewReader(in)), "half": iotest.HalfReader(bytes.NewReader(in)),
	} {
		if got, err := decode(r, MinBuffer); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
	if _, err := decode(stalled{}, MinBuffer); err != io.ErrNoProgress {
		t.Errorf("got %v", err)
	}
	broken := errors.New("broken")
	for n := range len(in) {
		got, err := decode(io.MultiReader(bytes.NewReader(in[:n]), iotest.ErrReader(broken)), MinBuffer)
		if err != broken || !bytes.HasPrefix(data, got) {
			t.Fatalf("source fails after %d bytes: %v", n, err)
		}
		if n > 200 {
			break
		}
	}
}

type stalled struct{}

func (stalled) Read([]byte) (int, error) { return 0, nil }

func TestEveryTruncation(t *testing.T) {
	data := samples(3000)["any distance"]
	for _, level := range []int{0, 6} {
		in := compress(t, level, data)
		for n := range in {
			got, err := decode(bytes.NewReader(in[:n]), MinBuffer)
			var e *DataError
			if !errors.Is(err, io.ErrUnexpectedEOF) || !errors.As(err, &e) || e.In != int64(n) || !bytes.HasPrefix(data, got) {
				t.Fatalf("cut at %d of %d: %d bytes, %v", n, len(in), len(got), err)
			}
		}
	}
}

// Every flipped bit that compress/gzip finds is found, and what comes before the error is good.
func TestEveryFlippedBit(t *testing.T) {
	data := samples(700)["any distance"]
	in := compress(t, 6, data)
	for bit := range 8 * len(in) {
		bad := bytes.Clone(in)
		bad[bit/8] ^= 1 << (bit % 8)
		compare(t, bad)
	}
}

// compare decodes with compress/gzip too.
func compare(t testing.TB, in []byte) {
	t.Helper()
	got, err := decode(bytes.NewReader(in), MinBuffer)
	twin(func() {
		again, aerr := decode(bytes.NewReader(in), MinBuffer)
		if !bytes.Equal(again, got) || (err == nil) != (aerr == nil) || err != nil && err.Error() != aerr.Error() {
			t.Fatalf("got %d bytes, %v; its twin %d bytes, %v", len(got), err, len(again), aerr)
		}
	})
	want, werr := std(in)
	if errors.Is(werr, errLongName) && err == nil || errors.Is(werr, errReserved) && err != nil {
		return
	}
	if (err == nil) != (werr == nil) {
		t.Fatalf("got %d bytes, %v; compress/gzip %d bytes, %v", len(got), err, len(want), werr)
	}
	if err == nil && !bytes.Equal(got, want) {
		t.Fatalf("got other data than compress/gzip")
	}
}

var (
	errLongName = errors.New("a name or comment longer than 511 bytes, which is beyond compress/gzip")
	errReserved = errors.New("a reserved flag, which compress/gzip does not look at: RFC 1952, 2.3.1.2 forbids that")
)

// std decodes member by member with compress/gzip; zeros behind the last one are ignored, as we do.
func std(in []byte) (out []byte, err error) {
	for r := bytes.NewReader(in); ; {
		at := len(in) - r.Len()
		z, err := gzip.NewReader(r)
		if err == nil && in[at+3]&flagsReserved != 0 {
			return out, errReserved
		}
		if err == gzip.ErrHeader && len(in)-at > 512 && string(in[at:at+3]) == "\x1f\x8b\x08" && in[at+3]&(flagName|flagComment) != 0 {
			return out, errLongName
		}
		if err != nil {
			return out, err
		}
		z.Multistream(false)
		b, err := io.ReadAll(z)
		out = append(out, b...)
		if err != nil || len(bytes.TrimLeft(in[len(in)-r.Len():], "\x00")) == 0 {
			return out, err
		}
	}
}

func TestMembers(t *testing.T) {
	a, b := samples(100000)["any distance"], samples(5000)["skewed"]
	whole := append(append(compress(t, 6, a), compress(t, 1, nil)...), compress(t, 9, b)...)
	got, err := decode(bytes.NewReader(whole), MinBuffer)
	if err != nil || !bytes.Equal(got, append(bytes.Clone(a), b...)) {
		t.Fatalf("got %d bytes, %v", len(got), err)
	}
	if got, err = decode(bytes.NewReader(append(whole, make([]byte, 100000)...)), MinBuffer); err != nil || len(got) != len(a)+len(b) {
		t.Errorf("zeros behind: %d bytes, %v", len(got), err)
	}
	if _, err = decode(bytes.NewReader(append(whole, 'x')), MinBuffer); err == nil || err.Error() != fmt.Sprintf("garbage behind the compressed data, at byte %d of the input", len(whole)) {
		t.Errorf("garbage behind: %v", err)
	}
	// a match that leaves its member
	var second bytes.Buffer
	w, _ := flate.NewWriterDict(&second, 9, a)
	if _, err := w.Write(a); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	member := append([]byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"), second.Bytes()...)
	member = binary.LittleEndian.AppendUint32(member, crc32.ChecksumIEEE(a))
	member = binary.LittleEndian.AppendUint32(member, uint32(len(a)))
	if _, err = decode(bytes.NewReader(append(compress(t, 6, a), member...)), MinBuffer); err == nil || !strings.Contains(err.Error(), "distance") {
		t.Errorf("match that leaves its member: %v", err)
	}
}

// bitSource makes streams that no encoder makes.
type bitSource struct {
	b    []byte
	bits uint64
	n    uint
}

func (w *bitSource) put(v uint64, n uint) *bitSource {
	w.bits |= v << w.n
	for w.n += n; w.n >= 8; w.n -= 8 {
		w.b = append(w.b, byte(w.bits))
		w.bits >>= 8
	}
	return w
}

func (w *bitSource) gzip() []byte {
	w.put(0, 7)
	return append([]byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"), append(w.b, make([]byte, 40)...)...)
}

func TestBrokenStreams(t *testing.T) {
	fixed := func() *bitSource { return new(bitSource).put(1, 1).put(1, 2) }
	dynamic := func(nlit, ndist, npre uint64) *bitSource {
		return new(bitSource).put(1, 1).put(2, 2).put(nlit-257, 5).put(ndist-1, 5).put(npre-4, 4)
	}
	for name, c := range map[string]struct {
		w    *bitSource
		want string
	}{
		"block of type 3":            {new(bitSource).put(1, 1).put(3, 2), "block of type 3"},
		"length of a stored block":   {new(bitSource).put(1, 1).put(0, 2).put(0, 5).put(5, 16).put(5, 16), "stored block"},
		"length symbol 286":          {fixed().put(0b01100011, 8), "literal or length"},
		"distance symbol 30":         {fixed().put(0b0000011, 8).put(0b1000000, 7).put(0b01111, 5), "distance"},
		"distance before the start":  {fixed().put(0b1000000, 7).put(0, 5), "distance of a match"},
		"287 literals":               {dynamic(287, 1, 4), "number of codes"},
		"31 distances":               {dynamic(257, 31, 4), "number of codes"},
		"code lengths, too many":     {dynamic(257, 1, 4).put(1, 3).put(1, 3).put(1, 3).put(1, 3), "code of the code lengths"},
		"code lengths, too few":      {dynamic(257, 1, 4).put(2, 3).put(2, 3).put(2, 3).put(0, 3), "code of the code lengths"},
		"no code lengths":            {dynamic(257, 1, 4).put(0, 12), "code of the code lengths"},
		"repeat without a length":    {dynamic(257, 1, 4).put(1, 3).put(0, 9).put(0, 1), "repeated code length"},
		"more lengths than codes":    {dynamic(257, 1, 4).put(0, 6).put(1, 3).put(1, 3).put(0b1, 1).put(0b1, 1).put(0b1, 1), "code"},
		"literals, incomplete":       {dynamic(257, 1, 4).put(0, 3).put(0, 3).put(1, 3).put(1, 3).put(1, 1).put(127, 7).put(1, 1).put(105, 7), "literal or length"},
		"unused code of one literal": {oneLiteral().put(1, 1), "literal or length"},
	} {
		_, err := decode(bytes.NewReader(c.w.gzip()), MinBuffer)
		var e CorruptError
		if !errors.As(err, &e) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// oneLiteral is a block whose only code is "0" for the end of the block.
func oneLiteral() *bitSource {
	w := new(bitSource).put(1, 1).put(2, 2).put(0, 5).put(0, 5).put(18-4, 4)
	for _, s := range order[:18] {
		switch s {
		case 18: // 138 times 0, code 0
			w.put(1, 3)
		case 1: // code 10
			w.put(2, 3)
		case 0: // code 11... reversed
			w.put(2, 3)
		default:
			w.put(0, 3)
		}
	}
	// 256 zeros, the end of the block with one bit, no distance
	return w.put(0, 1).put(127, 7).put(0, 1).put(107, 7).put(0b11, 2).put(0b01, 2)
}

func TestBlockWithOneCode(t *testing.T) {
	b := oneLiteral().put(0, 1).gzip()
	got, err := decode(bytes.NewReader(b), MinBuffer)
	if len(got) != 0 || err != nil {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
	compare(t, b)
}

func FuzzDecode(f *testing.F) {
	for _, data := range samples(300) {
		f.Add(compress(f, 6, data))
	}
	f.Add(oneLiteral().put(0, 1).gzip())
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) > 1<<16 {
			return
		}
		compare(t, in)
		// the body alone, with a header and without a checksum that would hide what it decodes to
		body := append([]byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"), in...)
		got, err := decode(bytes.NewReader(body), MinBuffer)
		twin(func() {
			again, aerr := decode(bytes.NewReader(body), MinBuffer)
			if !bytes.Equal(again, got) || fmt.Sprint(err) != fmt.Sprint(aerr) {
				t.Fatalf("got %d bytes, %v; its twin %d bytes, %v", len(got), err, len(again), aerr)
			}
		})
		want, _ := io.ReadAll(flate.NewReader(bytes.NewReader(in)))
		if n := min(len(got), len(want)); !bytes.Equal(got[:n], want[:n]) {
			t.Fatalf("got other data than compress/flate, %v", err)
		}
	})
}
