// Package zstd reads and writes Zstandard, RFC 8878: Decode gives the first bytes of a frame, of a number that the caller
// knows; a Reader decodes streams of frames; an Encoder puts as much as fits into one frame.
//
// A frame, as the Encoder makes it:
//
//	0        magic 28 B5 2F FD
//	4        flags: bits 6-7 size of the length, bit 5 no window byte (the window is the content)
//	         [window: bits 3-7 its logarithm less 10; only if the content is longer than the window]
//	         length of the content, 1, 2 (less 256) or 4 bytes
//	         blocks, each:
//	           24 bits  bit 0 last block; bits 1-2 type: 0 as it is, 1 one byte, 2 compressed; bits 3-23 length
//	           literals section: how many, as they are, one byte, or in a Huffman code that is described here
//	                    or is the one of the block before; four streams, read backwards
//	           sequences section: how many, three tables of finite state entropy (literal lengths, distances,
//	                    match lengths), each predefined, described, that of the block before or a single symbol;
//	                    and one stream, read backwards
//
// There is no checksum, no dictionary and one frame. A block has up to 128 KiB of content, and no more than the
// window.
//
// How a blockDecoder works, for Decode and for a Reader: literals are decoded, four streams side by side, to where the sequences
// copy them from; the tables of the codes of sequences have all that a state says in one entry; and a loop decodes a sequence
// and executes it at once, with copies of 16 and 32 bytes that go beyond its end. It leaves what is near a bound, and what is
// wrong, to code that checks everything, so that it has few checks itself. These loops exist in assembly and in Go, where
// one is the twin of the other: the same bytes and the same errors. doc/design/zstd.md has what was measured.
//
// How the Encoder works: a parser makes sequences, some at a time; they become part of the block, or of the
// next one if two blocks are estimated to be shorter; and when the estimate gets to what is left, codes are chosen for
// the block, which tell what each sequence takes. Those at the end that are too many are taken off by these prices,
// and what remains is encoded, once, or twice if the states of the entropy coder took more than they were
// thought to. So it parses and encodes once, where compressing prefixes of the source over and over would do it many
// times. Blocks that have to end early get their codes again, from what is left of them.
package zstd
