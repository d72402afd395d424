package disk

import (
	"encoding/binary"
	"hash/crc32"
)

// SuperSize is the length of the superblock without extension slots.
const SuperSize = 128

// SuperSlotSize is the length of one extension slot; SuperMaxSize that of the longest superblock.
const (
	SuperSlotSize = 16
	SuperMaxSize  = SuperSize + 255*SuperSlotSize
)

// Superblock is struct erofs_super_block, at byte 1024 of an image (section 1).
//
//	00 magic       04 checksum     08 compat       0C blkszbits 0D extslots 0E rootnid_2b|blocks_hi
//	10 inos (8)    18 epoch (8)    20 fixed_nsec   24 blocks_lo
//	28 meta_blkaddr 2C xattr_blkaddr 30 uuid (16)  40 volume_name (16)
//	50 incompat    54 compr_algs|lz4_max_distance (2) 56 extra_devices (2) 58 devt_slotoff (2)
//	5A dirblkbits  5B xattr_prefix_count 5C xattr_prefix_start
//	60 packed_nid (8) 68 xattr_filter_reserved 69 ishare_xattr_prefix_id 6A reserved (2) 6C build_time
//	70 rootnid_8b (8) 78 reserved (8)
//	80 metabox_nid (8) 88 reserved (8)              only with one extension slot
type Superblock struct {
	Magic               uint32
	Checksum            uint32
	Compat              Compat
	BlockBits           uint8
	ExtSlots            uint8
	RootNID2            uint16 // root NID, or bits 32-47 of the block count: see RootNID and Blocks
	Inos                uint64
	Epoch               int64
	FixedNsec           uint32
	BlocksLo            uint32
	MetaBlkAddr         uint32
	XattrBlkAddr        uint32
	UUID                [16]byte
	VolumeName          [16]byte
	Incompat            Incompat
	ComprAlgs           uint16 // bitmap with ComprCfgs, else the LZ4 distance; see Algorithms
	ExtraDevices        uint16
	DevtSlotOff         uint16 // device table, in units of DeviceSize
	DirBlkBits          uint8
	XattrPrefixCount    uint8
	XattrPrefixStart    uint32 // in units of 4 bytes
	PackedNID           uint64
	XattrFilterReserved uint8
	IshareXattrPrefixID uint8
	Reserved6A          uint16
	BuildTime           uint32
	RootNID8            uint64
	Reserved78          uint64
	MetaboxNID          uint64 // meaningful with ExtSlots > 0 and the METABOX feature
}

// Decode fills s from the first 128 bytes of a superblock; MetaboxNID is left alone (DecodeExt).
func (s *Superblock) Decode(b *[SuperSize]byte) {
	le := binary.LittleEndian
	s.Magic = le.Uint32(b[0x00:])
	s.Checksum = le.Uint32(b[0x04:])
	s.Compat = Compat(le.Uint32(b[0x08:]))
	s.BlockBits = b[0x0C]
	s.ExtSlots = b[0x0D]
	s.RootNID2 = le.Uint16(b[0x0E:])
	s.Inos = le.Uint64(b[0x10:])
	s.Epoch = int64(le.Uint64(b[0x18:]))
	s.FixedNsec = le.Uint32(b[0x20:])
	s.BlocksLo = le.Uint32(b[0x24:])
	s.MetaBlkAddr = le.Uint32(b[0x28:])
	s.XattrBlkAddr = le.Uint32(b[0x2C:])
	copy(s.UUID[:], b[0x30:])
	copy(s.VolumeName[:], b[0x40:])
	s.Incompat = Incompat(le.Uint32(b[0x50:]))
	s.ComprAlgs = le.Uint16(b[0x54:])
	s.ExtraDevices = le.Uint16(b[0x56:])
	s.DevtSlotOff = le.Uint16(b[0x58:])
	s.DirBlkBits = b[0x5A]
	s.XattrPrefixCount = b[0x5B]
	s.XattrPrefixStart = le.Uint32(b[0x5C:])
	s.PackedNID = le.Uint64(b[0x60:])
	s.XattrFilterReserved = b[0x68]
	s.IshareXattrPrefixID = b[0x69]
	s.Reserved6A = le.Uint16(b[0x6A:])
	s.BuildTime = le.Uint32(b[0x6C:])
	s.RootNID8 = le.Uint64(b[0x70:])
	s.Reserved78 = le.Uint64(b[0x78:])
}

// DecodeExt fills what the first extension slot holds.
func (s *Superblock) DecodeExt(b *[SuperSlotSize]byte) {
	s.MetaboxNID = binary.LittleEndian.Uint64(b[0:])
}

// Encode writes the first 128 bytes.
func (s *Superblock) Encode(b *[SuperSize]byte) {
	le := binary.LittleEndian
	le.PutUint32(b[0x00:], s.Magic)
	le.PutUint32(b[0x04:], s.Checksum)
	le.PutUint32(b[0x08:], uint32(s.Compat))
	b[0x0C] = s.BlockBits
	b[0x0D] = s.ExtSlots
	le.PutUint16(b[0x0E:], s.RootNID2)
	le.PutUint64(b[0x10:], s.Inos)
	le.PutUint64(b[0x18:], uint64(s.Epoch))
	le.PutUint32(b[0x20:], s.FixedNsec)
	le.PutUint32(b[0x24:], s.BlocksLo)
	le.PutUint32(b[0x28:], s.MetaBlkAddr)
	le.PutUint32(b[0x2C:], s.XattrBlkAddr)
	copy(b[0x30:0x40], s.UUID[:])
	copy(b[0x40:0x50], s.VolumeName[:])
	le.PutUint32(b[0x50:], uint32(s.Incompat))
	le.PutUint16(b[0x54:], s.ComprAlgs)
	le.PutUint16(b[0x56:], s.ExtraDevices)
	le.PutUint16(b[0x58:], s.DevtSlotOff)
	b[0x5A] = s.DirBlkBits
	b[0x5B] = s.XattrPrefixCount
	le.PutUint32(b[0x5C:], s.XattrPrefixStart)
	le.PutUint64(b[0x60:], s.PackedNID)
	b[0x68] = s.XattrFilterReserved
	b[0x69] = s.IshareXattrPrefixID
	le.PutUint16(b[0x6A:], s.Reserved6A)
	le.PutUint32(b[0x6C:], s.BuildTime)
	le.PutUint64(b[0x70:], s.RootNID8)
	le.PutUint64(b[0x78:], s.Reserved78)
}

// EncodeExt writes the first extension slot.
func (s *Superblock) EncodeExt(b *[SuperSlotSize]byte) {
	*b = [SuperSlotSize]byte{}
	binary.LittleEndian.PutUint64(b[0:], s.MetaboxNID)
}

// Size returns the length of the superblock with its extension slots.
func (s *Superblock) Size() int64 { return SuperSize + SuperSlotSize*int64(s.ExtSlots) }

// BlockSize returns the block size in bytes; BlockBits must have been checked.
func (s *Superblock) BlockSize() int64 { return 1 << s.BlockBits }

func (s *Superblock) wideRoot() bool { return s.Incompat&Has48Bit != 0 && s.RootNID8 != 0 }

// RootNID returns the NID of the root directory.
func (s *Superblock) RootNID() uint64 {
	if s.wideRoot() {
		return s.RootNID8
	}
	return uint64(s.RootNID2)
}

// Blocks returns the block count of the primary device; it is what statfs reports, never a bound.
func (s *Superblock) Blocks() uint64 {
	if s.wideRoot() {
		return uint64(s.BlocksLo) | uint64(s.RootNID2)<<32
	}
	return uint64(s.BlocksLo)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ChecksumRange returns the range of the image that the checksum covers: from the superblock to the
// end of its block, or one whole block if blocks are not larger than the superblock's offset.
func ChecksumRange(blockBits uint8) (off, length int64) {
	bs := int64(1) << blockBits
	if bs > SuperOffset {
		return SuperOffset, bs - SuperOffset
	}
	return SuperOffset, bs
}

// Checksum computes the superblock checksum of the bytes of ChecksumRange. The checksum field in b
// counts as zero. CRC32C, seed 0xFFFFFFFF, without the final inversion.
func Checksum(b []byte) uint32 {
	sum := crc32.Update(0, castagnoli, b[:4])
	sum = crc32.Update(sum, castagnoli, make([]byte, 4))
	return ^crc32.Update(sum, castagnoli, b[8:])
}
