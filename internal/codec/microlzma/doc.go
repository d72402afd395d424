// Package microlzma decodes and encodes MicroLZMA, the LZMA of EROFS: one LZMA1 stream without header
// and end marker whose first byte, which the range coder always makes 0, holds the properties instead.
//
//	byte  0      1               5                         n
//	      +------+---------------+-- … --------------------+
//	      |~props| range coder   | range coder             |
//	      +------+---------------+-- … --------------------+
//
//	props = (pb*5 + lp)*9 + lc      lc: bits of the previous byte that are context of a literal
//	lc + lp <= 4, pb <= 4           lp, pb: low bits of the position that are context of literals, of the rest
//
// The decoder is told how many bytes to make; the stream says nothing of its length, of the dictionary or of
// its integrity. Bytes 1 to 4 are the first, big-endian value of the range decoder; every later byte is taken
// when its range falls below 2^24. A strict decoder (the kernel, for a pcluster that it decodes whole) also
// requires that the last byte has been taken and that the value is 0 in the end, which an encoder gives by
// writing out all 5 bytes of its lower bound.
//
// The symbols, each coded by adaptive bits of 11-bit probabilities that move by 1/32:
//
//	0            literal; its probabilities depend on the byte before and, after a match, on the byte at rep0
//	1 0          match: length, distance
//	1 1 0 0      one byte from rep0
//	1 1 0 1      rep0: length
//	1 1 1 0      rep1: length, which becomes rep0
//	1 1 1 1 0    rep2: length
//	1 1 1 1 1    rep3: length
//
//	length - 2   0 and 3 bits: 0 to 7;  10 and 3 bits: 8 to 15;  11 and 8 bits: 16 to 271
//	distance - 1 slot of 6 bits: below 4 it is the distance - 1, else there follow slot/2 - 1 bits, the lowest
//	             ones adaptive, in reverse order: all of them below slot 14, then four; those above are plain
//
// Sources: the LZMA specification of the LZMA SDK; lib/xz/xz_dec_lzma2.c of Linux for the MicroLZMA rules.
package microlzma
