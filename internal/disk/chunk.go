package disk

import "encoding/binary"

// ChunkFormat is i_u of a chunk-based inode (section 6): bits 0-4 log2 of the chunk in blocks, bit 5
// 8-byte indexes instead of 4-byte block numbers, bit 6 48-bit addresses.
type ChunkFormat uint16

// Bits of ChunkFormat.
const (
	ChunkBitsMask ChunkFormat = 0x1F
	ChunkIndexes  ChunkFormat = 0x20
	Chunk48Bit    ChunkFormat = 0x40
	ChunkKnown    ChunkFormat = 0x7F
)

// Bits returns log2 of the chunk size in blocks.
func (f ChunkFormat) Bits() uint8 { return uint8(f & ChunkBitsMask) }

// EntrySize returns the length of one entry of the chunk array; the array is aligned to it.
func (f ChunkFormat) EntrySize() int64 {
	if f&ChunkIndexes != 0 {
		return ChunkIndexSize
	}
	return ChunkMapSize
}

// Lengths of the two kinds of chunk entries.
const (
	ChunkIndexSize = 8
	ChunkMapSize   = 4
)

// ChunkIndex is struct erofs_inode_chunk_index: 00 startblk_hi, 02 device_id, 04 startblk_lo. A 4-byte
// entry is the low word alone, on device 0.
type ChunkIndex struct {
	StartHi  uint16
	DeviceID uint16
	StartLo  uint32
}

// Decode fills c from its bytes.
func (c *ChunkIndex) Decode(b *[ChunkIndexSize]byte) {
	c.StartHi = binary.LittleEndian.Uint16(b[0:])
	c.DeviceID = binary.LittleEndian.Uint16(b[2:])
	c.StartLo = binary.LittleEndian.Uint32(b[4:])
}

// Encode writes c.
func (c *ChunkIndex) Encode(b *[ChunkIndexSize]byte) {
	binary.LittleEndian.PutUint16(b[0:], c.StartHi)
	binary.LittleEndian.PutUint16(b[2:], c.DeviceID)
	binary.LittleEndian.PutUint32(b[4:], c.StartLo)
}

// Block returns the address of the chunk in blocks of its device; hole = true if it has none.
func (c *ChunkIndex) Block(f ChunkFormat) (block uint64, hole bool) {
	if f&Chunk48Bit == 0 {
		return uint64(c.StartLo), c.StartLo == NullAddr32
	}
	block = uint64(c.StartHi)<<32 | uint64(c.StartLo)
	return block, block == NullAddr48
}

// HoleIndex returns the entry of a chunk without data.
func HoleIndex() ChunkIndex { return ChunkIndex{StartHi: 1<<16 - 1, StartLo: NullAddr32} }
