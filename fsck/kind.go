package fsck

// Kind says what a range of bytes of an image is.
type Kind uint8

// The kinds of ranges.
const (
	KindBoot         Kind = iota // the first 1024 bytes, which EROFS leaves alone
	KindSuper                    // superblock with its extension slots
	KindCompression              // configuration of a compression algorithm
	KindDevices                  // a slot of the device table
	KindPrefixes                 // a long xattr prefix
	KindInode                    // the 32 or 64 bytes of an inode
	KindXattrs                   // xattrs behind an inode
	KindSharedXattrs             // a shared xattr
	KindDirents                  // a block of a directory, or its inline tail
	KindInline                   // inline tail of a file or symbolic link
	KindChunks                   // chunk array
	KindIndex                    // map header and index of a compressed file
	KindData                     // data of files
	KindPadding                  // belongs to nothing, less than a block
	KindUnused                   // belongs to nothing, whole blocks
	KindUnread                   // belongs to nothing that was read: compressed data, for all that is known
	KindDevice                   // part of a device within the image that no file uses: headers of a tar

	kindCount
)

var kindNames = [kindCount]string{
	"boot", "superblock", "compression config", "device slot", "xattr prefix", "inode", "xattrs", "shared xattr", "directory",
	"inline data", "chunk array", "compression index", "data", "padding", "unused", "unread", "device",
}

func (k Kind) String() string {
	if k < kindCount {
		return kindNames[k]
	}
	return "kind?"
}

// MarshalText implements encoding.TextMarshaler.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }
