package deflate

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// failing gives b and then err; together with the last bytes if at once.
type failing struct {
	b      []byte
	err    error
	atOnce bool
}

func (f *failing) Read(p []byte) (int, error) {
	if len(f.b) == 0 {
		return 0, f.err
	}
	n := copy(p, f.b)
	if f.b = f.b[n:]; len(f.b) == 0 && f.atOnce {
		return n, f.err
	}
	return n, nil
}

// The error of a source is never taken for its end, whichever it is, and comes behind all that can be decoded.
func TestSourcesThatFail(t *testing.T) {
	data := samplesOf("skewed", 30000)
	for name, in := range map[string][]byte{
		"coded": compress(t, 6, data), "stored": compress(t, 0, data), "zeros behind": append(compress(t, 6, data), make([]byte, 512)...),
		"two members": append(compress(t, 6, data[:20000]), compress(t, 6, data[20000:])...),
	} {
		for _, n := range []int{0, 5, 20, len(in) / 2, len(in) - 1, len(in)} {
			whole, _ := decode(bytes.NewReader(in[:n]), MinBuffer)
			for _, broken := range []error{errors.New("broken"), io.ErrUnexpectedEOF, inputEnds{}} {
				for _, atOnce := range []bool{false, true} {
					got, err := decode(&failing{in[:n], broken, atOnce}, MinBuffer)
					if err != broken || !bytes.Equal(got, whole) {
						t.Fatalf("%s, %v after %d of %d bytes: got %d bytes and %v", name, broken, n, len(in), len(got), err)
					}
					got, err = streamed(&failing{in[:n], broken, atOnce}, MinBuffer, 3)
					if err != broken || !bytes.Equal(got, whole) {
						t.Fatalf("%s, %v after %d of %d bytes: a Stream got %d bytes and %v", name, broken, n, len(in), len(got), err)
					}
				}
			}
		}
	}
}

// A Reader of one member does not ask for anything behind it, however the source gives what is before.
func TestNothingIsAskedForBehindTheEnd(t *testing.T) {
	broken := errors.New("asked")
	for name, data := range samples(3000) {
		for _, level := range []int{0, 1, 6} {
			for kind, open := range map[string]func(*bufio.Reader) *Reader{"gzip": NewMemberReader, "raw": NewRawReader} {
				in := rawStream(t, level, data)
				if kind == "gzip" {
					in = compress(t, level, data)
				}
				for _, r := range []io.Reader{&failing{b: in, err: broken}, iotest.OneByteReader(&failing{b: in, err: broken}), iotest.HalfReader(&failing{b: in, err: broken})} {
					got, err := io.ReadAll(open(bufio.NewReaderSize(r, minPeek)))
					if err != nil || !bytes.Equal(got, data) {
						t.Fatalf("%s, %s, level %d: %d bytes, %v", kind, name, level, len(got), err)
					}
				}
			}
		}
	}
}

// endless gives itself over and over.
type endless string

func (e endless) Read(p []byte) (n int, err error) {
	for len(p)-n >= len(e) {
		n += copy(p[n:], e)
	}
	return n, nil
}

func TestCancelEndsWhatDecodesToNothing(t *testing.T) {
	header := "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
	member, empty := string(compress(t, 6, []byte("x"))), endless(compress(t, 6, nil))
	for _, workers := range []int{1, 3} {
		for name, source := range map[string]struct {
			head string
			loop endless
		}{
			"blocks": {header, "\x00\x00\x00\xff\xff"}, "members": {member, empty}, "zeros": {member, "\x00"},
			"a name": {header[:3] + "\x08" + header[4:], "a"},
		} {
			s := NewStream(io.MultiReader(strings.NewReader(source.head), source.loop), workers)
			ended := make(chan error)
			go func() {
				_, err := drained(s, MinBuffer)
				ended <- err
			}()
			s.Cancel()
			if err := <-ended; err != errCancelled { // or the test takes for ever
				t.Errorf("%s, %d workers: %v", name, workers, err)
			}
		}
	}
}
