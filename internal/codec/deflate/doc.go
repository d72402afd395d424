// Package deflate decodes gzip, RFC 1952, and the DEFLATE data in it, RFC 1951, as a stream: a Reader on the goroutine of
// its caller, a Stream members of gzip on several. Decode is for raw DEFLATE data of a known length, the Encoder makes as
// much as fits into a given number of bytes.
//
// DEFLATE data are bits, the lowest one of a byte first; codes start with their highest bit:
//
//	1 bit    the block is the last one
//	2 bits   its type: 0 as it is, 1 the fixed code, 2 a code of its own
//	         type 2: 5, 5, 4 bits: numbers of literal and length codes less 257, of distance codes less 1, of code
//	         length codes less 4; the lengths of the code length codes by 3 bits each; the lengths of the codes,
//	         in that code, runs shortened
//	symbols  0-255 a byte; 256 the end of the block; 257-285 a length, 3 to 258, with extra bits, then 0-29 a
//	         distance, 1 to 32768, with extra bits
//
// A decoder finds out by the last block where the data end; gzip puts a header before them, and a checksum and the
// length behind.
//
// Decoding is about three times as fast as compress/gzip. What makes the difference: it decodes into the buffers of the
// caller, where the last 32 KiB of history are kept too, so nothing is copied afterwards; the bit
// buffer is filled by eight bytes at a time; tables have the base and the extra bits of lengths and
// distances ready; and matches are copied by 16 or 32 bytes, beyond their end.
//
// The Encoder parses once. Symbols become part of a block, some at a time, or of the next one if two
// blocks are shorter, which is known to the bit: the size of a block follows from how often which symbol occurs. When
// the block gets longer than what is left, symbols are taken off it again, by interpolation, until it fits. It makes no
// blocks of type 0: they would save some hundredths, and the first byte of the data would be 0.
package deflate
