package disk

import "encoding/binary"

// DirentSize is the length of a directory entry without its name.
const DirentSize = 12

// MaxNameLen is the longest name of an entry.
const MaxNameLen = 255

// Dirent is struct erofs_dirent (section 3): 00 nid (8), 08 nameoff (2), 0A file_type, 0B reserved.
// A directory block holds its dirents, then their names back to back; names have no terminator,
// only a block that is not full ends in zeros.
type Dirent struct {
	NID      uint64
	NameOff  uint16
	FileType FileType
	Reserved uint8
}

// Decode fills d from its bytes.
func (d *Dirent) Decode(b *[DirentSize]byte) {
	d.NID = binary.LittleEndian.Uint64(b[0:])
	d.NameOff = binary.LittleEndian.Uint16(b[8:])
	d.FileType = FileType(b[10])
	d.Reserved = b[11]
}

// Encode writes d.
func (d *Dirent) Encode(b *[DirentSize]byte) {
	binary.LittleEndian.PutUint64(b[0:], d.NID)
	binary.LittleEndian.PutUint16(b[8:], d.NameOff)
	b[10] = uint8(d.FileType)
	b[11] = d.Reserved
}

// FileType is the type in a dirent (EROFS_FT_*, the same numbers as other Linux file systems).
type FileType uint8

// The file types of dirents.
const (
	FileUnknown FileType = iota
	FileRegular
	FileDir
	FileChar
	FileBlock
	FileFifo
	FileSocket
	FileSymlink
)

// FileTypeOf returns the dirent type for the S_IFMT bits of a mode, FileUnknown if there is none.
func FileTypeOf(mode uint32) FileType {
	switch mode & 0o170000 {
	case 0o100000:
		return FileRegular
	case 0o040000:
		return FileDir
	case 0o020000:
		return FileChar
	case 0o060000:
		return FileBlock
	case 0o010000:
		return FileFifo
	case 0o140000:
		return FileSocket
	case 0o120000:
		return FileSymlink
	}
	return FileUnknown
}
