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
	n, err := DecodeAll(dst, src)
	if err == nil && n < len(dst) {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// DecodeAll is Decode for data of an unknown length: it returns how many bytes there are, len(dst) if there may be more.
func DecodeAll(dst, src []byte) (int, error) {
	z := decoders.Get().(*Reader)
	z.in, z.pos, z.end, z.eof = src, 0, len(src), true
	z.bits, z.count, z.last = 0, 0, false
	n, err := z.raw(dst)
	z.in = nil
	decoders.Put(z)
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
				return op, io.ErrUnexpectedEOF
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
	if limit := z.end - inputMargin; limit >= z.pos && op < len(dst)-slack {
		var err error
		if op, err = z.codes(dst, op, 0, limit); err == errBlockEnd {
			return op, nil
		} else if err != nil {
			return op, err
		}
	}
	return z.careful(dst, op)
}

// careful decodes to the end of the block or of dst and touches nothing outside of dst and the input.
func (z *Reader) careful(dst []byte, op int) (int, error) {
	for op < len(dst) {
		e, n, err := z.symbol(z.lit[:], litBits)
		switch {
		case err != nil:
			return op, err
		case e >= isLiteral:
			dst[op] = byte(n)
			op++
			continue
		case e&blockEnd != 0:
			return op, nil
		case e&isSpecial != 0:
			return op, statusErrors[badLit]
		}
		e, distance, err := z.symbol(z.dist[:], distBits)
		if err != nil {
			return op, err
		}
		if e&isSpecial != 0 {
			return op, z.badDistance(e)
		}
		if distance > op {
			return op, statusErrors[farMatch]
		}
		for from, end := op-distance, min(op+n, len(dst)); op < end; {
			op += copy(dst[op:end], dst[from:op]) // twice as much each time, if they overlap
		}
	}
	return op, nil
}

// symbol consumes the next symbol with its extra bits and returns its entry and its value.
func (z *Reader) symbol(table []uint32, tableBits uint) (e uint32, n int, err error) {
	if err := z.peek(48); err != nil {
		return 0, 0, err
	}
	e = table[z.bits&(1<<tableBits-1)]
	if e&(isSpecial|noTable) == isSpecial { // of more bits than tableBits
		if z.count <= tableBits {
			return 0, 0, io.ErrUnexpectedEOF
		}
		z.take(tableBits)
		e = table[sub(e, z.bits)]
	}
	n = value(e, z.bits)
	if used := uint(e & 63); used <= z.count {
		z.take(used)
		return e, n, nil
	}
	return 0, 0, io.ErrUnexpectedEOF
}
