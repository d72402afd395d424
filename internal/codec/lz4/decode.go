package lz4

import "fmt"

// CorruptError says where a block breaks the format.
type CorruptError struct {
	Off int // byte of the block
	Why string
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("lz4: byte %d of the block: %s", e.Off, e.Why)
}

const (
	// dstMargin is what a round of the fast loop may write behind where it begins, or behind long literals and matches, whose
	// ends it checks: 14 literals, a match of 18 bytes and 7 more of copyNear; 31 more of a copy by 32 bytes.
	dstMargin = 40
	// srcMargin is what a round of the fast loop may read behind its literals: 32 bytes of a copy, or the offset and
	// a byte of length.
	srcMargin = 32
	// lengthBound ends the reading of lengths that no buffer has, before they overflow 32 bits.
	lengthBound = 1 << 30
)

// Decode decodes the first len(dst) bytes of what the block src holds; src may hold more than that.
//
// A *CorruptError says that src is not an LZ4 block, or holds fewer bytes than len(dst). dst and src must not overlap;
// what is in dst after an error is undefined. It needs no memory, and any number of goroutines may call it.
func Decode(dst, src []byte) error {
	d, s := decodeFast(dst, src)
	return decodeTail(dst, src, d, s)
}

// decodeFast decodes sequences as long as wide copies cannot leave the buffers, and returns where the first sequence
// begins that it leaves to decodeTail: at the end of a buffer, or because it is wrong.
func decodeFast(dst, src []byte) (d, s int) {
	dEnd, sEnd := len(dst)-dstMargin, len(src)-srcMargin
	for d < dEnd && s < sEnd {
		token := int(load8(src, s))
		from, to := s+1, d // of the sequence that is being decoded
		n := token >> 4
		if n == 15 {
			n, from = moreLength(n, src, from)
			if n > dEnd-to || n > sEnd-from {
				return d, s
			}
			copyWide(dst, to, src, from, n)
		} else {
			copy16(dst, to, src, from)
		}
		from, to = from+n, to+n

		offset := int(load16(src, from))
		from += 2
		if uint(offset-1) >= uint(to) {
			return d, s
		}
		n = token&15 + minMatch
		if n < 15+minMatch {
			if offset >= 8 {
				store64(dst, to, load64(dst, to-offset))
				store64(dst, to+8, load64(dst, to+8-offset))
				store16(dst, to+16, load16(dst, to+16-offset))
				d, s = to+n, from
				continue
			}
		} else {
			more := int(load8(src, from))
			n += more
			if from++; more == 255 {
				n, from = moreLength(n, src, from)
			}
			if n > dEnd-to {
				return d, s
			}
		}
		d, s = to+n, from
		switch {
		case offset >= 16:
			copyWide(dst, to, dst, to-offset, n)
		default:
			copyNear(dst, to, offset, n)
		}
	}
	return d, s
}

// decodeTail decodes the sequences from src[s:] to dst[d:], byte for byte within the buffers.
func decodeTail(dst, src []byte, d, s int) error {
	for d < len(dst) {
		if s >= len(src) {
			return &CorruptError{s, fmt.Sprintf("ends after %d of %d bytes of content", d, len(dst))}
		}
		token := int(src[s])
		s++
		n := token >> 4
		if n == 15 {
			n, s = moreLength(n, src, s)
		}
		n = min(n, len(dst)-d)
		if n > len(src)-s {
			return &CorruptError{s, fmt.Sprintf("%d literals: the block has %d more bytes", n, len(src)-s)}
		}
		copy(dst[d:], src[s:s+n])
		d, s = d+n, s+n
		if d == len(dst) {
			return nil
		}

		if len(src)-s < 2 {
			return &CorruptError{s, fmt.Sprintf("ends after %d of %d bytes of content", d, len(dst))}
		}
		offset := int(src[s]) | int(src[s+1])<<8
		if offset == 0 || offset > d {
			return &CorruptError{s, fmt.Sprintf("offset %d: behind %d bytes of content", offset, d)}
		}
		s += 2
		n = token & 15
		if n == 15 {
			n, s = moreLength(n, src, s)
		}
		if s >= len(src) {
			return &CorruptError{s, "ends with a match"}
		}
		d = repeat(dst, d, offset, min(n+minMatch, len(dst)-d))
	}
	return nil
}

// repeat copies n bytes from dst[d-offset:] to dst[d:], bytes that it has written among them, and returns d+n.
func repeat(dst []byte, d, offset, n int) int {
	for from, end := d-offset, d+n; d < end; {
		d += copy(dst[d:end], dst[from:d]) // twice as much each time
	}
	return d
}

// moreLength adds the bytes of a length that begin at src[s] to n and returns where they end; where src ends, they end.
func moreLength(n int, src []byte, s int) (length, next int) {
	for s < len(src) && n < lengthBound {
		b := src[s]
		s++
		n += int(b)
		if b != 255 {
			break
		}
	}
	return n, s
}
