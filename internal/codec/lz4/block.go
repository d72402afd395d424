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

// wideSlack is what a sequence and the last one behind it need at most, beside the literals and their length and one byte
// for each 128 bytes of the match: two tokens, an offset, two lengths, the last literals, and what wide copies write too much.
const wideSlack = 2 + 2 + 2 + matchLimit + 32

// sequence writes the literals from the anchor to start, and a match of n bytes that starts there. It reports false
// when the block is full: then it has written what of the sequence fits, and the last literals.
//
// The match must obey the rules of the end with respect to src: start+matchLimit, start+n+lastLiterals <= len(src).
func (b *block) sequence(start, offset, n int) bool {
	literals := start - b.anchor
	if b.room() < literals+literals>>7+n>>7+wideSlack || start+32 > len(b.src) {
		return b.careful(start, offset, n)
	}
	dst, at := b.dst, b.n+1
	token := min(literals, 15)<<4 | min(n-minMatch, 15)
	store8(dst, b.n, byte(token))
	if literals >= 15 {
		at = putLength(dst, at, literals)
	}
	copy16(dst, at, b.src, b.anchor)
	if literals > 16 {
		copyWide(dst, at+16, b.src, b.anchor+16, literals-16)
	}
	at += literals
	store16(dst, at, uint16(offset))
	at += 2
	if n >= 15+minMatch {
		at = putLength(dst, at, n-minMatch)
	}
	b.n, b.anchor = at, start+n
	return true
}

// careful is sequence where the end of dst or src is near.
func (b *block) careful(start, offset, n int) bool {
	literals := start - b.anchor
	room := b.room() - (1 + lengthSize(literals) + literals + 2)
	if room < lengthSize(n-minMatch)+1+endLiterals(n) {
		if n = longestMatch(room, n); n >= minMatch {
			b.write(start, offset, n)
		}
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
	b.literals(b.src[b.anchor:start], min(n-minMatch, 15))
	b.dst[b.n], b.dst[b.n+1] = byte(offset), byte(offset>>8)
	b.n += 2
	if n >= 15+minMatch {
		b.n = putLength(b.dst, b.n, n-minMatch)
	}
	b.anchor = start + n
}

// literals writes a token, of which low is the lower half, and literals.
func (b *block) literals(literals []byte, low int) {
	n := len(literals)
	b.dst[b.n] = byte(min(n, 15)<<4 | low)
	b.n++
	if n >= 15 {
		b.n = putLength(b.dst, b.n, n)
	}
	b.n += copy(b.dst[b.n:], literals)
}

// putLength writes to dst[at:] what of a length of 15 or more does not fit into the token, and returns where it ends.
func putLength(dst []byte, at, n int) int {
	for n -= 15; n >= 255; n -= 255 {
		dst[at] = 255
		at++
	}
	dst[at] = byte(n)
	return at + 1
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
	b.literals(b.src[b.anchor:b.anchor+n], 0)
	b.anchor += n
}
