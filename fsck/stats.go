package fsck

import (
	"github.com/laminafs/lamina/internal/disk"
	"github.com/laminafs/lamina/internal/image"
)

// Stats says what an image consists of. Sizes are bytes. What Report.Unchecked names is missing in it.
type Stats struct {
	BlockSize int64 `json:"blockSize"`
	ImageSize int64 `json:"imageSize"`

	Inodes      uint64 `json:"inodes"` // all, with those that have no name
	Files       uint64 `json:"files"`
	Dirs        uint64 `json:"dirs"`
	Symlinks    uint64 `json:"symlinks"`
	CharDevs    uint64 `json:"charDevs"`
	BlockDevs   uint64 `json:"blockDevs"`
	Fifos       uint64 `json:"fifos"`
	Sockets     uint64 `json:"sockets"`
	Entries     uint64 `json:"entries"`   // of directories, "." and ".." too
	HardLinks   uint64 `json:"hardLinks"` // names beyond the first of their inode
	LargestDir  uint64 `json:"largestDir"`
	Depth       uint32 `json:"depth"` // of the deepest directory; 0 is the root
	Compact     uint64 `json:"compactInodes"`
	Extended    uint64 `json:"extendedInodes"`
	Plain       uint64 `json:"plainLayout"` // inodes by layout
	Inline      uint64 `json:"inlineLayout"`
	ChunkBased  uint64 `json:"chunkLayout"`
	Compressed  uint64 `json:"compressedLayout"`
	Chunks      uint64 `json:"chunks"`
	Pclusters   uint64 `json:"pclusters"` // encoded extents of all inodes, shared ones each time
	Fragments   uint64 `json:"fragments"` // extents in the packed inode
	Xattrs      uint64 `json:"xattrs"`    // of all inodes, shared ones each time
	WithXattrs  uint64 `json:"inodesWithXattrs"`
	SharedXattr uint64 `json:"sharedXattrs"` // entries in the shared area

	Logical     int64 `json:"logicalBytes"` // sizes of all regular files that have a name
	Stored      int64 `json:"storedBytes"`  // their data on all devices, each byte once, without inline tails
	Saved       int64 `json:"savedBytes"`   // what sharing equal ranges saves
	Holes       int64 `json:"holeBytes"`
	InlineBytes int64 `json:"inlineBytes"`
	InodeBytes  int64 `json:"inodeBytes"`
	XattrBytes  int64 `json:"xattrBytes"` // areas of inodes and shared entries
	DirBytes    int64 `json:"directoryBytes"`
	IndexBytes  int64 `json:"indexBytes"`    // chunk arrays and compression indexes
	Metadata    int64 `json:"metadataBytes"` // everything but file data
	Padding     int64 `json:"paddingBytes"`  // less than a block at a time, belongs to nothing
	Unused      int64 `json:"unusedBytes"`   // whole blocks that belong to nothing that was read
	BytesRead   int64 `json:"bytesRead"`     // of file data, with Options.ReadData
	Decoded     int64 `json:"decodedBytes"`  // from pclusters, with Options.ReadData
}

// countInode counts an inode; named tells whether it is a file of somebody, not of the file system itself.
func (s *Stats) countInode(in *image.Inode, named bool) {
	if in.Format.Extended() {
		s.Extended++
	} else {
		s.Compact++
	}
	if in.XattrICount != 0 {
		s.WithXattrs++
	}
	switch disk.FileTypeOf(uint32(in.Mode)) {
	case disk.FileRegular:
		s.Files++
		if named {
			s.Logical = addClamped(s.Logical, in.Size)
		}
	case disk.FileDir:
		s.Dirs++
	case disk.FileSymlink:
		s.Symlinks++
	case disk.FileChar:
		s.CharDevs++
	case disk.FileBlock:
		s.BlockDevs++
	case disk.FileFifo:
		s.Fifos++
	case disk.FileSocket:
		s.Sockets++
	}
	switch in.Layout() {
	case disk.FlatPlain:
		s.Plain++
	case disk.FlatInline:
		s.Inline++
	case disk.ChunkBased:
		s.ChunkBased++
	default:
		s.Compressed++
	}
}

// countMeta counts n bytes of metadata.
func (s *Stats) countMeta(k Kind, n int64) {
	s.Metadata += n
	switch k {
	case KindInode:
		s.InodeBytes += n
	case KindXattrs, KindSharedXattrs:
		s.XattrBytes += n
	case KindDirents:
		s.DirBytes += n
	case KindInline:
		s.InlineBytes += n
	case KindChunks, KindIndex:
		s.IndexBytes += n
	}
}

// addClamped adds sizes that the image chose: they may exceed 63 bits together.
func addClamped(a, b int64) int64 {
	if sum := a + b; sum >= a {
		return sum
	}
	return 1<<63 - 1
}
