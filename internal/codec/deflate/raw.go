package deflate

import (
	"io"
	"sync"
)

// decoders holds Readers for Decode: tables of 18 KiB that are not worth clearing.
var decoders = sync.Pool{New: func() any { return new(Reader) }}

// Decode decodes the first len(dst) bytes of the raw DEFLATE data src, RFC 1951; what src holds beyond them is
// not looked at. dst and src do not overlap. It may be called concurrently and allocates nothing of a size that
// src says. The error is a CorruptError, or io.ErrUnexpectedEOF if src or its last block ends too early; dst is
// then of no meaning.
func Decode(dst, src []byte) error {
	n, err := decodeAll(dst, src)
	if err == nil && n < len(dst) {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// DecodeWhole is Decode for data of len(dst) bytes; more are an error. dst has room for one of these, cap(dst) > len(dst).
func DecodeWhole(dst, src []byte) error {
	n, err := decodeAll(dst[:len(dst)+1], src)
	switch {
	case err != nil:
		return err
	case n < len(dst):
		return io.ErrUnexpectedEOF
	case n > len(dst):
		return corrupt("length of the data")
	}
	return nil
}

// decodeAll returns how many bytes there are, len(dst) if there may be more.
func decodeAll(dst, src []byte) (int, error) {
	z := decoders.Get().(*Reader)
	z.in, z.pos, z.end, z.srcErr = src, 0, len(src), io.EOF
	z.bits, z.count, z.last = 0, 0, false
	n, err := z.raw(dst)
	z.in, z.loop.in = nil, nil
	decoders.Put(z)
	if err == (inputEnds{}) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// raw decodes blocks until dst is full or the last one has ended, and returns how many bytes there are.
func (z *Reader) raw(dst []byte) (op int, err error) {
	for op < len(dst) && !z.last {
		if err := z.blockHeader(); err != nil {
			return op, err
		}
		if z.state == inStored {
			n := min(z.stored, len(dst)-op)
			if n > z.end-z.pos {
				return op, inputEnds{}
			}
			op += copy(dst[op:], z.in[z.pos:z.pos+n])
			z.pos += n
			continue
		}
		if op, err = z.rawCodes(dst, op); err != nil {
			return op, err
		}
	}
	return op, nil
}

// rawCodes decodes a block of codes: by the fast loop while it may load and write beyond where it is, then
// by the careful one.
func (z *Reader) rawCodes(dst []byte, op int) (int, error) {
	var err error
	if limit := z.end - inputMargin; limit >= z.pos && op < len(dst)-slack {
		op, err = z.codes(dst, op, 0, limit)
	}
	if err == nil {
		op, err = z.careful(dst, op, 0, len(dst))
	}
	if err == errBlockEnd {
		err = nil
	}
	return op, err
}
