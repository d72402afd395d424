package disk

import "encoding/binary"

// Lengths of the two forms of an inode.
const (
	InodeCompactSize  = 32
	InodeExtendedSize = 64
)

// Layout is how the data of an inode is stored: bits 1-3 of i_format.
type Layout uint8

// The data layouts (section 2).
const (
	FlatPlain         Layout = 0
	CompressedFull    Layout = 1
	FlatInline        Layout = 2
	CompressedCompact Layout = 3
	ChunkBased        Layout = 4
)

var layoutNames = [...]string{"plain", "compressed-full", "inline", "compressed-compact", "chunk-based"}

func (l Layout) String() string {
	if int(l) < len(layoutNames) {
		return layoutNames[l]
	}
	return "unknown"
}

// Format is i_format: bit 0 extended, bits 1-3 layout, bit 4 NLINK_1 (compact, not a directory) or
// DOT_OMITTED (directory), bits 5 and up must be zero.
type Format uint16

// Bits of Format.
const (
	FormatExtended   Format = 1 << 0
	FormatNlink1     Format = 1 << 4 // compact inode of a non-directory: one link, Nb holds high address bits
	FormatDotOmitted Format = 1 << 4 // directory without "." on disk
	FormatKnown      Format = 0x1F
)

// MakeFormat returns the format of an inode.
func MakeFormat(extended bool, l Layout) Format {
	f := Format(l) << 1
	if extended {
		f |= FormatExtended
	}
	return f
}

// Extended tells whether the inode has 64 bytes.
func (f Format) Extended() bool { return f&FormatExtended != 0 }

// Layout returns the data layout, which may be one that does not exist.
func (f Format) Layout() Layout { return Layout(f >> 1 & 7) }

// InodeCompact is struct erofs_inode_compact (section 2).
//
//	00 format 02 xattr_icount 04 mode 06 nb (nlink, or startblk_hi/blocks_hi)
//	08 size   0C mtime (added to the epoch)  10 u  14 ino  18 uid 1A gid  1C reserved
type InodeCompact struct {
	Format      Format
	XattrICount uint16
	Mode        uint16
	Nb          uint16
	Size        uint32
	Mtime       uint32
	U           uint32 // start block, used blocks, device number or ChunkFormat
	Ino         uint32
	UID, GID    uint16
	Reserved    uint32
}

// Decode fills i from its bytes.
func (i *InodeCompact) Decode(b *[InodeCompactSize]byte) {
	le := binary.LittleEndian
	i.Format = Format(le.Uint16(b[0x00:]))
	i.XattrICount = le.Uint16(b[0x02:])
	i.Mode = le.Uint16(b[0x04:])
	i.Nb = le.Uint16(b[0x06:])
	i.Size = le.Uint32(b[0x08:])
	i.Mtime = le.Uint32(b[0x0C:])
	i.U = le.Uint32(b[0x10:])
	i.Ino = le.Uint32(b[0x14:])
	i.UID = le.Uint16(b[0x18:])
	i.GID = le.Uint16(b[0x1A:])
	i.Reserved = le.Uint32(b[0x1C:])
}

// Encode writes i.
func (i *InodeCompact) Encode(b *[InodeCompactSize]byte) {
	le := binary.LittleEndian
	le.PutUint16(b[0x00:], uint16(i.Format))
	le.PutUint16(b[0x02:], i.XattrICount)
	le.PutUint16(b[0x04:], i.Mode)
	le.PutUint16(b[0x06:], i.Nb)
	le.PutUint32(b[0x08:], i.Size)
	le.PutUint32(b[0x0C:], i.Mtime)
	le.PutUint32(b[0x10:], i.U)
	le.PutUint32(b[0x14:], i.Ino)
	le.PutUint16(b[0x18:], i.UID)
	le.PutUint16(b[0x1A:], i.GID)
	le.PutUint32(b[0x1C:], i.Reserved)
}

// InodeExtended is struct erofs_inode_extended (section 2).
//
//	00 format 02 xattr_icount 04 mode 06 nb (startblk_hi/blocks_hi)  08 size (8)
//	10 u 14 ino 18 uid 1C gid  20 mtime (8) 28 mtime_nsec 2C nlink  30 reserved (16)
type InodeExtended struct {
	Format      Format
	XattrICount uint16
	Mode        uint16
	Nb          uint16
	Size        uint64
	U           uint32
	Ino         uint32
	UID, GID    uint32
	Mtime       int64
	MtimeNsec   uint32
	Nlink       uint32
	Reserved    [16]byte
}

// Decode fills i from its bytes.
func (i *InodeExtended) Decode(b *[InodeExtendedSize]byte) {
	le := binary.LittleEndian
	i.Format = Format(le.Uint16(b[0x00:]))
	i.XattrICount = le.Uint16(b[0x02:])
	i.Mode = le.Uint16(b[0x04:])
	i.Nb = le.Uint16(b[0x06:])
	i.Size = le.Uint64(b[0x08:])
	i.U = le.Uint32(b[0x10:])
	i.Ino = le.Uint32(b[0x14:])
	i.UID = le.Uint32(b[0x18:])
	i.GID = le.Uint32(b[0x1C:])
	i.Mtime = int64(le.Uint64(b[0x20:]))
	i.MtimeNsec = le.Uint32(b[0x28:])
	i.Nlink = le.Uint32(b[0x2C:])
	copy(i.Reserved[:], b[0x30:])
}

// Encode writes i.
func (i *InodeExtended) Encode(b *[InodeExtendedSize]byte) {
	le := binary.LittleEndian
	le.PutUint16(b[0x00:], uint16(i.Format))
	le.PutUint16(b[0x02:], i.XattrICount)
	le.PutUint16(b[0x04:], i.Mode)
	le.PutUint16(b[0x06:], i.Nb)
	le.PutUint64(b[0x08:], i.Size)
	le.PutUint32(b[0x10:], i.U)
	le.PutUint32(b[0x14:], i.Ino)
	le.PutUint32(b[0x18:], i.UID)
	le.PutUint32(b[0x1C:], i.GID)
	le.PutUint64(b[0x20:], uint64(i.Mtime))
	le.PutUint32(b[0x28:], i.MtimeNsec)
	le.PutUint32(b[0x2C:], i.Nlink)
	copy(b[0x30:0x40], i.Reserved[:])
}
