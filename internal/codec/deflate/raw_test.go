package deflate

import (
	"bytes"
	"compress/flate"
	"io"
	"math/rand/v2"
	"testing"
)

// rawStream returns what compress/flate makes of data.
func rawStream(t testing.TB, level int, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, level)
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

func TestDecodeGivesAnyPrefix(t *testing.T) {
	for name, data := range samples(20000) {
		for _, level := range []int{flate.NoCompression, 1, 9, flate.HuffmanOnly} {
			in := rawStream(t, level, data)
			for _, n := range []int{0, 1, 2, 3, 100, slack - 1, slack, slack + 1, 1000, 4096, 19999, 20000} {
				checkDecode(t, in, data[:n])
			}
			if err := Decode(make([]byte, len(data)+1), in); err != io.ErrUnexpectedEOF {
				t.Fatalf("%s, level %d: one byte more than there is: %v", name, level, err)
			}
		}
	}
}

// checkDecode decodes in between bytes that must not change.
func checkDecode(t testing.TB, in, want []byte) {
	t.Helper()
	check := func() {
		const guard = 64
		buf := bytes.Repeat([]byte{0xA5}, len(want)+2*guard)
		if err := Decode(buf[guard:guard+len(want):guard+len(want)], in); err != nil {
			t.Fatalf("%d bytes: %v", len(want), err)
		}
		if !bytes.Equal(buf[guard:guard+len(want)], want) {
			t.Fatalf("%d bytes: other data", len(want))
		}
		if g := bytes.Repeat([]byte{0xA5}, guard); !bytes.Equal(buf[:guard], g) || !bytes.Equal(buf[guard+len(want):], g) {
			t.Fatalf("%d bytes: bytes around dst changed", len(want))
		}
	}
	check()
	twin(check)
}

func TestDecodeOfEveryTruncation(t *testing.T) {
	data := samples(3000)["any distance"]
	for _, level := range []int{0, 6} {
		in := rawStream(t, level, data)
		need := 0 // bytes of in that hold all of data; the end of the block may need more
		for need = len(in); Decode(make([]byte, len(data)), in[:need]) == nil; need-- {
		}
		if need < len(in)-8 {
			t.Fatalf("%d of %d bytes are enough", need+1, len(in))
		}
		for n := range need {
			if err := Decode(make([]byte, len(data)), in[:n:n]); err != io.ErrUnexpectedEOF {
				t.Fatalf("cut at %d of %d: %v", n, len(in), err)
			}
		}
	}
}

// What is cut is too short, wherever it is cut: also within a code that is longer than the table.
func TestDecodeOfCutDataIsUnexpectedEOF(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	data := make([]byte, 6000)
	for i := range data {
		data[i] = byte(r.IntN(1 << r.IntN(9))) // some bytes are rare: their codes are long
	}
	in, got := rawStream(t, 9, data), make([]byte, len(data))
	for n := range len(in) - 1 {
		if err := Decode(got, in[:n]); err != io.ErrUnexpectedEOF && (err != nil || n < len(in)-16) { // the end of the block is not asked for
			t.Fatalf("%d bytes of %d: %v", n, len(in), err)
		}
	}
}

func FuzzDecodeRaw(f *testing.F) {
	for _, data := range samples(600) {
		f.Add(rawStream(f, 6, data), uint16(600))
	}
	f.Fuzz(func(t *testing.T, in []byte, size uint16) {
		want, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(in)), int64(size)))
		n := len(want)
		if n == int(size) { // what follows may be wrong: compress/flate says so at once
			checkDecode(t, in, want)
			return
		}
		// Where the input ends, compress/flate asks for as many bits as the end of the block has before it looks at a
		// symbol, so the last ones of a truncated stream, which zlib decodes, need bytes behind them.
		padded := make([]byte, size)
		more := err == io.ErrUnexpectedEOF
		if more {
			_, e := io.ReadFull(flate.NewReader(bytes.NewReader(append(bytes.Clone(in), 0, 0))), padded)
			more = e == nil
		}
		run := func() {
			got := make([]byte, size)
			if err := Decode(got, in); err == nil && !(more && bytes.Equal(got, padded)) {
				t.Fatalf("decoded %d bytes, compress/flate %d", size, n)
			}
		}
		run()
		twin(run)
		if n > 0 && size > 0 {
			checkDecode(t, in, want)
		}
	})
}
