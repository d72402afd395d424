package deflate

import (
	"bytes"
	"encoding/binary"
	"io"
	"sync"
)

// splitter cuts the source into pieces, before what looks like the header of a member: 64 KiB of one are like any other,
// so a cut may be wrong.
type splitter struct {
	limits
	r      io.Reader
	err    error // what the source ended with, io.EOF too
	rest   []byte
	off    int64 // where rest is in the source
	starts bool  // rest begins with what looks like a header
	like   [headerSize]byte
	known  bool // like is the first header
	walk   int  // members of known size have been followed up to here, in rest
}

const (
	headerSize = 10
	// bgzfHeader is the length of a header with the extra field of bgzf: the SAM format specification, 4.1.
	bgzfHeader = 18
)

var pieceBuffers = sync.Pool{New: func() any { return new([]byte) }}

// next returns the next piece, nil at the end of the source.
func (s *splitter) next() *run {
	p := pieceBuffers.Get().(*[]byte)
	b := append((*p)[:0], s.rest...)
	from := margin
	if s.starts {
		from = s.least
	}
	s.walk = 0
	for {
		if at := s.cut(b, &from); at > 0 {
			return s.piece(b, at, at+margin)
		}
		if s.err != nil {
			break
		}
		b = s.read(b)
	}
	if len(b) == 0 {
		return nil
	}
	r := s.piece(b, len(b), len(b))
	s.starts = false
	return r
}

// piece is b[:size], seen up to end.
func (s *splitter) piece(b []byte, size, end int) *run {
	r := &run{off: s.off, data: b[:end:end], size: size, starts: s.starts, linked: make(chan struct{})}
	r.last = r
	s.rest = append(s.rest[:0], b[size:]...)
	s.off += int64(size)
	s.starts = s.isStart(s.rest)
	return r
}

// done takes the memory of a piece back.
func (s *splitter) done(r *run) {
	if r.last == r && r.data != nil {
		b := r.data[:0]
		pieceBuffers.Put(&b)
	}
	r.data = nil
}

// read appends what the source gives.
func (s *splitter) read(b []byte) []byte {
	if cap(b)-len(b) < inputSize {
		b = append(make([]byte, 0, min(2*cap(b), s.most)+2*inputSize), b...)
	}
	n, err := readOnce(s.r, b[len(b):len(b)+inputSize])
	s.err = err
	return b[:len(b)+n]
}

// cut returns where a piece of b ends, 0 if there is no reason yet. What is before from has been looked at.
func (s *splitter) cut(b []byte, from *int) int {
	limit := len(b) - margin
	if !s.known && limit > 0 {
		s.known = true
		copy(s.like[:], b)
	}
	if s.starts {
		for s.walk < *from && s.walk <= limit {
			n := bgzfSize(b[s.walk:])
			if n == 0 {
				break
			}
			s.walk += n
		}
		if s.walk >= *from || s.walk > limit { // of a known size
			if s.walk <= limit {
				return s.walk
			}
			return 0
		}
	}
	for ; *from <= limit; *from++ {
		i := bytes.Index(b[*from:limit+4], s.like[:4])
		if i < 0 {
			*from = limit + 1
			break
		}
		if *from += i; s.isStart(b[*from:]) {
			return *from
		}
	}
	if limit >= s.most {
		return s.most
	}
	return 0
}

// isStart reports whether b begins with a header like the first one: the files within a layer are of other encoders.
// RFC 1952, 2.3.1: magic, method, flags, time, extra flags, system.
func (s *splitter) isStart(b []byte) bool {
	zero := make([]byte, 4)
	return len(b) >= headerSize && bytes.Equal(b[:4], s.like[:4]) && bytes.Equal(b[8:headerSize], s.like[8:]) &&
		bytes.Equal(b[4:8], zero) == bytes.Equal(s.like[4:8], zero)
}

// bgzfSize returns the length of the member that bgzf has in the extra field of its header, 0 if there is none.
func bgzfSize(b []byte) int {
	if len(b) < bgzfHeader || binary.LittleEndian.Uint32(b) != 0x04088B1F || binary.LittleEndian.Uint32(b[10:]) != 0x43420006 || binary.LittleEndian.Uint16(b[14:]) != 2 {
		return 0
	}
	return int(binary.LittleEndian.Uint16(b[16:])) + 1
}
