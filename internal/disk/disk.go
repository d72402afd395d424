// Package disk is the EROFS on-disk format: every structure, its offsets, and nothing else.
//
// All numbers are little endian. Fixed-size structures decode from and encode to array pointers, so
// the compiler proves the lengths; nothing here allocates by a number read from disk.
// Names follow fs/erofs/erofs_fs.h of Linux; sections in comments are those of doc/format.md.
package disk

import "math/bits"

const (
	// SuperOffset is where the superblock starts, whatever the block size.
	SuperOffset = 1024
	// Magic is the superblock magic number.
	Magic = 0xE0F5E1E2
	// SlotSize is the unit of NIDs: an inode starts at meta_blkaddr*blocksize + SlotSize*nid.
	SlotSize = 32

	// MinBlockBits and MaxBlockBits bound the block size: 512 bytes to 64 KiB. Linux mounts at most
	// the page size of the machine.
	MinBlockBits = 9
	MaxBlockBits = 16

	// NullAddr32 and NullAddr48 are "no block": a hole. Which one applies depends on the width stored.
	NullAddr32 = 1<<32 - 1
	NullAddr48 = 1<<48 - 1

	// MetaboxNID is the bit of a NID that places the inode in the data of the metabox inode.
	MetaboxNID = 1 << 63
)

// Align rounds n up to a multiple of unit, a power of two.
func Align(n, unit int64) int64 { return (n + unit - 1) &^ (unit - 1) }

// Blocks returns how many blocks of 1<<blockBits bytes hold n bytes.
func Blocks(n int64, blockBits uint8) int64 { return (n + 1<<blockBits - 1) >> blockBits }

// Log2 returns the exponent of a power of two, ok = false for any other number.
func Log2(n int) (exp uint8, ok bool) {
	if n <= 0 || n&(n-1) != 0 {
		return 0, false
	}
	return uint8(bits.TrailingZeros(uint(n))), true
}
