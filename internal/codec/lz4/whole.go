package lz4

import "fmt"

// sourceEnd: literals that end behind it are the last ones (LZ4_decompress_safe in lib/lz4/lz4_decompress.c of Linux).
const sourceEnd = 2 + 1 + lastLiterals

// DecodeWhole is Decode for a block of len(dst) bytes that ends as a block does: Linux refuses others where it expects all of a
// block.
func DecodeWhole(dst, src []byte) error {
	if err := Decode(dst, src); err != nil {
		return err
	}
	if !whole(src, len(dst)) {
		return &CorruptError{len(src), fmt.Sprintf("does not end with %d bytes of content", len(dst))}
	}
	return nil
}

// whole tells whether the block src, which Decode decodes to n bytes, holds no more than these and ends as a block does.
func whole(src []byte, n int) bool {
	for d, s := 0, 0; s < len(src) && d <= n; {
		token := int(src[s])
		s++
		length := token >> 4
		if length == 15 {
			length, s = moreLength(length, src, s)
		}
		d, s = d+length, s+length
		if d > n-matchLimit || s > len(src)-sourceEnd {
			return d == n && s == len(src)
		}
		s += 2
		if length = token & 15; length == 15 {
			length, s = moreLength(length, src, s)
		}
		if d += length + minMatch; d > n-lastLiterals {
			return false
		}
	}
	return false
}
