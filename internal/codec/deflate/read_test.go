package deflate

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"
)

func TestReadAndWriteTo(t *testing.T) {
	data := samplesOf("skewed", 300000)
	in := compress(t, 6, data)
	if err := iotest.TestReader(NewReader(bytes.NewReader(in)), data); err != nil {
		t.Error(err)
	}
	var out bytes.Buffer
	z := NewReader(bytes.NewReader(in))
	if _, err := io.ReadFull(z, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	if n, err := z.WriteTo(&out); err != nil || int(n) != len(data)-1000 || !bytes.Equal(out.Bytes(), data[1000:]) {
		t.Errorf("WriteTo: %d bytes, %v", n, err)
	}
	if n, err := z.WriteTo(&out); n != 0 || err != nil {
		t.Errorf("WriteTo at the end: %d bytes, %v", n, err)
	}
	full := errors.New("full")
	z = NewReader(bytes.NewReader(in))
	if n, err := z.WriteTo(&limited{5000, full}); n != 5000 || err != full {
		t.Errorf("WriteTo into what is full: %d bytes, %v", n, err)
	}
	if b, err := io.ReadAll(z); err != nil || !bytes.Equal(b, data[5000:]) {
		t.Errorf("Read behind that: %d bytes, %v", len(b), err)
	}
	if n, err := NewReader(bytes.NewReader(in[:len(in)/2])).WriteTo(io.Discard); n == 0 || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("WriteTo of half the data: %d bytes, %v", n, err)
	}
}

// limited takes left bytes.
type limited struct {
	left int
	err  error
}

func (l *limited) Write(p []byte) (int, error) {
	if n := min(len(p), l.left); n < len(p) {
		l.left -= n
		return n, l.err
	}
	l.left -= len(p)
	return len(p), nil
}

// What is behind a member, or behind raw data, stays in the source.
func TestNothingIsTakenBehindTheEnd(t *testing.T) {
	behind := "\x1f\x8b\x08 and so on " + strings.Repeat("z", 200000)
	for name, data := range samples(70000) {
		for _, level := range []int{0, 1, 6} {
			for _, size := range []int{minPeek, 1000, 1 << 20} {
				for kind, open := range map[string]func(*bufio.Reader) *Reader{"gzip": NewMemberReader, "raw": NewRawReader} {
					in := rawStream(t, level, data)
					if kind == "gzip" {
						in = compress(t, level, data)
					}
					r := bufio.NewReaderSize(iotest.HalfReader(strings.NewReader(string(in)+behind)), size)
					got, err := io.ReadAll(open(r))
					if err != nil || !bytes.Equal(got, data) {
						t.Fatalf("%s, %s, level %d, buffer of %d: %d bytes, %v", kind, name, level, size, len(got), err)
					}
					if rest, err := io.ReadAll(r); err != nil || string(rest) != behind {
						t.Fatalf("%s, %s, level %d, buffer of %d: %d of %d bytes are left, %v", kind, name, level, size, len(rest), len(behind), err)
					}
				}
			}
		}
	}
}

// chopped gives nothing, a few bytes or some thousand at a time.
type chopped struct {
	b []byte
	r *rand.Rand
}

func (c *chopped) Read(p []byte) (int, error) {
	if len(c.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.b[:min(len(c.b), c.r.IntN(5)<<c.r.IntN(12))])
	c.b = c.b[n:]
	if len(c.b) == 0 && c.r.IntN(2) == 0 {
		return n, io.EOF
	}
	return n, nil
}

// FuzzReads gives the data in small pieces, and compares with compress/gzip and compress/flate where the data end, too.
func FuzzReads(f *testing.F) {
	for _, data := range samples(300) {
		f.Add(compress(f, 6, data), uint32(1))
		f.Add(rawStream(f, 6, data), uint32(2))
	}
	f.Add(append(compress(f, 0, []byte("abc")), compress(f, 6, []byte("abcabcabc"))...), uint32(3))
	f.Fuzz(func(t *testing.T, in []byte, seed uint32) {
		if len(in) > 1<<14 {
			return
		}
		r := rand.New(rand.NewPCG(uint64(seed), 1))
		want, werr := decode(bytes.NewReader(in), MinBuffer+1000)
		check := func(what string, got []byte, err error) {
			if !bytes.Equal(got, want) || fmt.Sprint(err) != fmt.Sprint(werr) {
				t.Fatalf("%s: %d bytes, %v; from memory %d bytes, %v", what, len(got), err, len(want), werr)
			}
		}
		got, err := decode(&chopped{in, r}, MinBuffer+r.IntN(3000))
		check("Next", got, err)
		got, err = io.ReadAll(iotest.OneByteReader(NewReader(&chopped{in, r})))
		check("Read", got, err)

		source := bytes.NewReader(in)
		exactly(t, in, r, NewRawReader, flate.NewReader(source), source)
		source = bytes.NewReader(in)
		z, err := gzip.NewReader(source)
		if err == nil && in[3]&flagsReserved == 0 { // errReserved
			z.Multistream(false)
			exactly(t, in, r, NewMemberReader, z, source)
		}
	})
}

// exactly wants what theirs gives, and the same left in the source.
func exactly(t *testing.T, in []byte, r *rand.Rand, open func(*bufio.Reader) *Reader, theirs io.Reader, source *bytes.Reader) {
	t.Helper()
	want, werr := io.ReadAll(theirs)
	b := bufio.NewReaderSize(&chopped{in, r}, minPeek+r.IntN(100))
	got, err := io.ReadAll(open(b))
	if (err == nil) != (werr == nil) || err == nil && !bytes.Equal(got, want) {
		t.Fatalf("%d bytes, %v; the standard library %d bytes, %v", len(got), err, len(want), werr)
	}
	if err != nil {
		return
	}
	if rest, err := io.ReadAll(b); err != nil || len(rest) != source.Len() {
		t.Fatalf("%d bytes are left, %v; by the standard library %d", len(rest), err, source.Len())
	}
}
