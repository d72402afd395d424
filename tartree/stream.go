package tartree

import (
	"errors"
	"io"
)

// Windower is what a source offers that already holds its bytes in memory. NextWindow returns the next
// bytes of the stream, at least one; they may be read until the next call. At the end it returns io.EOF.
type Windower interface {
	NextWindow() ([]byte, error)
}

const (
	blockSize  = 512
	bufferSize = 256 << 10 // of a source that is no Windower: a few hundred small entries, and fits in L2
	maxEmpty   = 100       // empty windows or reads in a row before io.ErrNoProgress
)

// stream is the archive as windows. win is what is left of the current one.
type stream struct {
	win    []byte
	end    int64 // offset of the end of win
	next   func() ([]byte, error)
	err    error // sticky: io.EOF, or what the source failed with
	buf    []byte
	header [blockSize]byte // a block that straddles windows
	body   []byte          // an extended header that does
}

func (s *stream) open(r io.Reader) {
	if w, ok := r.(Windower); ok {
		s.next = w.NextWindow
		return
	}
	s.buf = make([]byte, bufferSize)
	s.next = func() ([]byte, error) {
		n, err := r.Read(s.buf)
		return s.buf[:n], err
	}
}

// pos returns the offset of the next unread byte.
func (s *stream) pos() int64 { return s.end - int64(len(s.win)) }

// fill replaces an empty window by the next one and reports whether there is one; if not, s.err is set.
func (s *stream) fill() bool {
	for range maxEmpty {
		if s.err != nil {
			return false
		}
		var w []byte
		w, s.err = s.next()
		if len(w) > 0 {
			s.win = w
			s.end += int64(len(w))
			return true
		}
	}
	s.err = io.ErrNoProgress
	return false
}

// block returns the next block, valid until the next call of a method of s. n is how many bytes there
// were: less than 512, and b is nil, only if the stream ends, see s.err.
func (s *stream) block() (b *[blockSize]byte, n int) {
	if len(s.win) >= blockSize {
		b = (*[blockSize]byte)(s.win)
		s.win = s.win[blockSize:]
		return b, blockSize
	}
	for n < blockSize {
		if len(s.win) == 0 && !s.fill() {
			return nil, n
		}
		c := copy(s.header[n:], s.win)
		s.win = s.win[c:]
		n += c
	}
	return &s.header, n
}

// bytes returns the next n bytes, valid until the next call of a method of s; less if the stream ends.
// n is bounded by the caller.
func (s *stream) bytes(n int) []byte {
	if len(s.win) >= n {
		b := s.win[:n:n]
		s.win = s.win[n:]
		return b
	}
	s.body = s.body[:0]
	for len(s.body) < n && (len(s.win) > 0 || s.fill()) {
		c := min(n-len(s.body), len(s.win))
		s.body = append(s.body, s.win[:c]...)
		s.win = s.win[c:]
	}
	return s.body
}

// skip leaves n bytes out and returns how many of them the stream did not have.
func (s *stream) skip(n int64) (missing int64) {
	for n > int64(len(s.win)) {
		n -= int64(len(s.win))
		s.win = nil
		if !s.fill() {
			return n
		}
	}
	s.win = s.win[n:]
	return 0
}

// payload reads the data of one file. It ends with io.EOF after left bytes; if the stream ends before,
// with what the stream ended with, io.ErrUnexpectedEOF for io.EOF.
type payload struct {
	s    *stream
	left int64
}

// window returns the next bytes; advance has to follow.
func (p *payload) window() ([]byte, error) {
	if p.left == 0 {
		return nil, io.EOF
	}
	if len(p.s.win) == 0 && !p.s.fill() {
		return nil, p.cut()
	}
	w := p.s.win
	if int64(len(w)) > p.left {
		w = w[:p.left:p.left]
	}
	return w, nil
}

// advance takes n bytes of the window.
func (p *payload) advance(n int) {
	p.s.win = p.s.win[n:]
	p.left -= int64(n)
}

// NextWindow implements Windower.
func (p *payload) NextWindow() ([]byte, error) {
	w, err := p.window()
	p.advance(len(w))
	return w, err
}

// Read implements io.Reader.
func (p *payload) Read(b []byte) (int, error) {
	w, err := p.window()
	n := copy(b, w)
	p.advance(n)
	return n, err
}

// WriteTo implements io.WriterTo.
func (p *payload) WriteTo(to io.Writer) (n int64, err error) {
	for {
		w, err := p.window()
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
		c, err := writeAll(to, w)
		p.advance(c)
		n += int64(c)
		if err != nil {
			return n, err
		}
	}
}

func (p *payload) cut() error {
	if errors.Is(p.s.err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return p.s.err
}
