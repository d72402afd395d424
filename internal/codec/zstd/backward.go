package zstd

import "math/bits"

// headroom is how many bytes there are before every stream that is read backwards: loads may touch them.
const headroom = 8

// backward reads bits from the last one of src on, down to the first one of src[start:]. RFC 8878, 4.1.
type backward struct {
	src   []byte
	start int // headroom or more
	left  int // bits that have not been read; below 0: more were taken than there are
}

// newBackward finds the mark above the first bit.
func newBackward(src []byte, start int) (b backward, err error) {
	if start >= len(src) {
		return b, errShort
	}
	last := src[len(src)-1]
	if last == 0 {
		return b, corrupt("end of a stream of bits")
	}
	return backward{src, start, 8*(len(src)-start-1) + bits.Len8(last) - 1}, nil
}

// load returns the next 56 bits or more, the first one highest; behind the last one is what there happens to be.
func (b *backward) load() uint64 {
	return load64(b.src, b.start+b.left>>3-7) << (8 - b.left&7)
}

// take reads n bits, n up to 56; behind the last one there are zeros, as RFC 8878, 4.2.1.2 wants it for weights.
func (b *backward) take(n uint) uint {
	if b.left < 0 {
		return 0
	}
	v := b.load() >> 1 >> (63 - n)
	if b.left -= int(n); b.left < 0 {
		v &^= 1<<-b.left - 1
	}
	return uint(v)
}
