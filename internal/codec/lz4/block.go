package lz4

// block is the writer of a block into dst: what all searches hand their sequences to.
//
// Between two sequences there is room for a last one that obeys the rules of the end.
type block struct {
	dst, src []byte
	n        int // dst[:n] is written
	anchor   int // it holds src[:anchor]
}

// room returns how many bytes can be written.
func (b *block) room() int { return len(b.dst) - b.n }

// lengthSize returns how many bytes a length needs behind the token, where least is what a token's 0 means.
func lengthSize(length int) int {
	if length < 15 {
		return 0
	}
	return (length-15)/255 + 1
}

// endLiterals returns how many literals must follow a match of n bytes at least if it is the last one.
func endLiterals(n int) int { return max(lastLiterals, matchLimit-n) }

// sequence writes the literals from the anchor to start, and a match of n bytes that starts there. It reports false
// when the block is full: then it has written what of the sequence fits, and the last literals.
//
// The match must obey the rules of the end with respect to src: start+matchLimit, start+n+lastLiterals <= len(src).
func (b *block) sequence(start, offset, n int) bool {
	literals := start - b.anchor
	if literals <= 14 && n <= 14+minMatch && b.room() > 1+16+2+1+matchLimit && b.anchor+16 <= len(b.src) {
		dst, at := b.dst, b.n
		store8(dst, at, byte(literals<<4|(n-minMatch)))
		copy16(dst, at+1, b.src, b.anchor)
		store16(dst, at+1+literals, uint16(offset))
		b.n += 1 + literals + 2
		b.anchor = start + n
		return true
	}
	room := b.room() - (1 + lengthSize(literals) + literals + 2)
	if room < lengthSize(n-minMatch)+1+endLiterals(n) {
		if n = longestMatch(room, n); n < minMatch {
			b.finish()
			return false
		}
		b.write(start, offset, n)
		b.finish()
		return false
	}
	b.write(start, offset, n)
	return true
}

// longestMatch returns how much of a match of n bytes fits into room with the literals that must follow it; less than
// minMatch: nothing.
func longestMatch(room, n int) int {
	for ; n >= minMatch; n-- {
		over := lengthSize(n-minMatch) + 1 + endLiterals(n) - room
		if over <= 0 {
			break
		}
		if over > 1 && n > 15+minMatch+255 { // each byte of length less is 255 bytes of match less
			n -= min((over-1)*255, n-15-minMatch-255) - 1
		}
	}
	return n
}

// write writes a sequence that fits.
func (b *block) write(start, offset, n int) {
	dst, literals := b.dst, start-b.anchor
	token := b.n
	b.n++
	dst[token] = byte(min(literals, 15)<<4 | min(n-minMatch, 15))
	b.length(literals)
	b.n += copy(dst[b.n:], b.src[b.anchor:start])
	dst[b.n], dst[b.n+1] = byte(offset), byte(offset>>8)
	b.n += 2
	b.length(n - minMatch)
	b.anchor = start + n
}

// length writes what of a length does not fit into the token.
func (b *block) length(n int) {
	if n < 15 {
		return
	}
	for n -= 15; n >= 255; n -= 255 {
		b.dst[b.n] = 255
		b.n++
	}
	b.dst[b.n] = byte(n)
	b.n++
}

// finish writes the last sequence: literals, until src ends or dst is full.
func (b *block) finish() {
	room := b.room() - 1
	if room < 0 {
		return
	}
	n := min(len(b.src)-b.anchor, room)
	for n+lengthSize(n) > room {
		n--
	}
	b.dst[b.n] = byte(min(n, 15) << 4)
	b.n++
	b.length(n)
	b.n += copy(b.dst[b.n:], b.src[b.anchor:b.anchor+n])
	b.anchor += n
}
