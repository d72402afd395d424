package deflate

import (
	"bufio"
	"io"
)

// readSize is how much Read decodes at a time.
const readSize = 64 << 10

// Read implements io.Reader.
func (z *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for len(z.rest) == 0 {
		if z.err != nil {
			return 0, z.err
		}
		z.refill()
	}
	n := copy(p, z.rest)
	z.rest = z.rest[n:]
	return n, nil
}

// WriteTo implements io.WriterTo.
func (z *Reader) WriteTo(w io.Writer) (n int64, err error) {
	for {
		if len(z.rest) > 0 {
			c, err := w.Write(z.rest)
			n += int64(c)
			z.rest = z.rest[c:]
			if err == nil && len(z.rest) > 0 {
				err = io.ErrShortWrite
			}
			if err != nil {
				return n, err
			}
		}
		if z.err == io.EOF {
			return n, nil
		}
		if z.err != nil {
			return n, z.err
		}
		z.refill()
	}
}

// refill decodes into the Reader's own buffer; z.err says what comes behind that.
func (z *Reader) refill() {
	if z.own == nil {
		z.own = make([]byte, History+slack+readSize)
	}
	z.rest, _ = z.Next(z.own)
}

// minPeek is what the buffer of an exact source must hold: what a Reader has not decoded when it asks for more.
const minPeek = 64

// exact is a source from which a byte is only taken when it is known to belong to the data, and only asked for when the
// data cannot end before it.
type exact struct {
	r      *bufio.Reader
	peeked int // bytes of r's buffer that the Reader has got
}

// peek takes all that was peeked but the last kept bytes, which the Reader has not decoded, and copies what is behind
// them to b.
func (x *exact) peek(b []byte, kept int) (int, error) {
	if _, err := x.r.Discard(x.peeked - kept); err != nil {
		return 0, err
	}
	x.peeked = kept
	if _, err := x.r.Peek(kept + 1); err != nil {
		return 0, err
	}
	all, err := x.r.Peek(min(x.r.Buffered(), kept+len(b)))
	x.peeked = len(all)
	return copy(b, all[kept:]), err
}

// leave ends the data of a Reader that reads no further, io.EOF, and leaves to its source what is behind them.
func (z *Reader) leave() error {
	if x := z.exact; x != nil {
		if _, err := x.r.Discard(x.peeked - (z.end - z.pos)); err != nil {
			return err
		}
		x.peeked = z.end - z.pos
	}
	return io.EOF
}
