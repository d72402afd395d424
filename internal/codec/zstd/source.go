package zstd

import (
	"errors"
	"io"
)

// errCut is the end of the source where more must follow.
var errCut = errors.New("zstd: cut")

// sourceError is what the source failed with.
type sourceError struct{ error }

const maxEmpty = 100 // reads in a row that return nothing

// source reads pieces of known lengths.
type source struct {
	r   io.Reader
	at  int64
	err error // of r; it is not asked again
}

// read fills b, which is not empty. The error is io.EOF if there is nothing more, errCut if there is less, or a *sourceError.
func (s *source) read(b []byte) error {
	n := 0
	for empty := 0; n < len(b); empty++ {
		if s.err != nil {
			return s.failed(n)
		}
		var c int
		c, s.err = s.r.Read(b[n:])
		if n += c; c > 0 {
			s.at += int64(c)
			empty = 0
		} else if empty == maxEmpty && s.err == nil {
			s.err = io.ErrNoProgress
		}
	}
	return nil
}

// failed is the error behind n bytes.
func (s *source) failed(n int) error {
	switch {
	case s.err != io.EOF:
		return &sourceError{s.err}
	case n > 0:
		return errCut
	}
	return io.EOF
}

// more is read within a frame, whose end is not here.
func (s *source) more(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	if err := s.read(b); err != io.EOF {
		return err
	}
	return errCut
}

// skip reads n bytes by b, of which nothing is needed.
func (s *source) skip(n int64, b []byte) error {
	for n > 0 {
		c := min(n, int64(len(b)))
		if err := s.more(b[:c]); err != nil {
			return err
		}
		n -= c
	}
	return nil
}
