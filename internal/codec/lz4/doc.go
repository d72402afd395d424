// Package lz4 decodes LZ4 blocks and encodes as much of its input as fits into an output of a given size.
//
// A block is a row of sequences, nothing in front of them and nothing behind: no header, no length, no checksum
// (lz4_Block_format.md of the LZ4 project). A sequence is literals, which are copied from the block, and a match,
// which is copied from what was decoded before:
//
//	 token      more literals    literals     offset       more match
//	+--------+-----------------+------------+------------+-----------------+
//	| 1 byte | 0..n bytes      | 0..L bytes | 2 bytes LE | 0..n bytes      |
//	+--------+-----------------+------------+------------+-----------------+
//	  |    |
//	  |    +-- low 4 bits: length of the match - 4; 15: add the bytes of "more match"
//	  +------- high 4 bits: L, length of the literals; 15: add the bytes of "more literals"
//
// "more" is bytes to add up until one that is not 255, that one included: 15 is 15 00, 270 is 15 255 00.
// The offset is how far back the match starts, 1 to 65535; less than the length means that the match repeats itself.
// The last sequence ends behind its literals. An example, "aaaaaaaaaaaaaaaaaaaaHELLO!" (26 bytes):
//
//	1f 'a' 01 00 00      1 literal; match: 15+0+4 = 19 bytes, 1 byte back
//	60 'H' 'E' 'L' 'L' 'O' '!'
//
// Rules of the end, which fast decoders (the kernel's) rely on and enforce: the last 5 bytes are literals, and no match
// starts in the last 12 bytes. A block whose content is shorter than 13 bytes is therefore literals only.
//
// In EROFS a block is the payload of a pcluster, at its end; zeros in front of it fill the first disk block. That works
// because no block starts with a zero: a first token of zero would be a match without anything before it.
//
// # Encoding into a given size
//
// EROFS has outputs of one size and inputs of any: an encoder starts a pcluster where the previous one ended and ends it
// when it is full. [Encoder.FitDst] does this. All searches (fast.go, and on top of chain.go lazy.go and optimal.go) hand
// their sequences to one writer (block.go), which knows the rules of the end, keeps room for the last literals and cuts
// the last match. What a search remembers of earlier inputs has no influence: the same input gives the same block.
package lz4
