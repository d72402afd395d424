package fsck

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/laminafs/lamina/internal/disk"
	"github.com/laminafs/lamina/mkfs"
	"github.com/laminafs/lamina/tree"
)

// mutation breaks one rule of a small image.
type mutation struct {
	name string
	on   string // which of the base images; "" is "plain"
	edit func(e *edit)
	want []Code // exactly these, in any order and number
}

// bases are the images that are mutated.
var bases = map[string]mkfs.Options{
	"plain":  {},
	"48bit":  {Large: true},
	"ext":    {Inodes: mkfs.InodeExtended},
	"blocks": {Inline: mkfs.InlineNone},
	"chunks": {ChunkSize: 4096},
	"8K":     {BlockSize: 8192},
	"deep":   {},
	"prefix": {XattrPrefixes: []string{"trusted.overlay."}},
}

// Offsets of fields of inodes.
const (
	iFormat, iICount, iMode, iNlink, iSize, iMtime, iU, iReserved = 0x00, 0x02, 0x04, 0x06, 0x08, 0x0C, 0x10, 0x1C
	xNsec, xNlink                                                 = 0x28, 0x2C
)

var superMutations = []mutation{
	{"magic", "", func(e *edit) { e.put8(super(0), 0) }, []Code{SuperMagic}},
	{"image without superblock", "", func(e *edit) { e.b = e.b[:1100] }, []Code{SuperShort}},
	{"checksum", "", func(e *edit) { e.keep = true; e.put8(super(4), ^e.b[super(4)]) }, []Code{SuperChecksum}},
	{"a bit in the first block", "", func(e *edit) { e.keep = true; e.b[4000] ^= 1 }, []Code{SuperChecksum, SpacePadding}},
	{"blkszbits 8", "", func(e *edit) { e.put8(super(0x0C), 8) }, []Code{SuperBlockSize}},
	{"blkszbits 17", "", func(e *edit) { e.put8(super(0x0C), 17) }, []Code{SuperBlockSize}},
	{"incompat bit", "", func(e *edit) { e.b[super(0x51)] |= 2 }, []Code{SuperIncompat}},
	{"compat bit", "", func(e *edit) { e.b[super(0x0B)] |= 0x40 }, []Code{SuperCompat}},
	{"dirblkbits", "", func(e *edit) { e.put8(super(0x5A), 1) }, []Code{SuperDirBlock}},
	{"extslots", "", func(e *edit) { e.put8(super(0x0D), 255) }, []Code{SuperExtSlots, SuperReserved, OverlapDataMeta}},
	{"root is a file", "", func(e *edit) { e.put16(super(0x0E), uint16(e.nid("/dir/small"))) }, []Code{SuperRoot}},
	{"root beyond the end", "", func(e *edit) { e.put16(super(0x0E), 0xFFFF) }, []Code{SuperRoot, InodeRange}},
	{"root is another directory", "", func(e *edit) { e.put16(super(0x0E), uint16(e.nid("/many"))) },
		[]Code{DirDot, SuperInos, SpaceUnreachable, SpacePadding}},
	{"meta_blkaddr", "", func(e *edit) { e.put32(super(0x28), 1<<31) }, []Code{SuperRoot, InodeRange}},
	{"inos", "", func(e *edit) { e.put64(super(0x10), 5) }, []Code{SuperInos}},
	{"blocks", "", func(e *edit) { e.put32(super(0x24), 1<<20) }, []Code{SuperBlocks}},
	{"fixed_nsec", "", func(e *edit) { e.put32(super(0x20), 1e9) }, []Code{InodeTime}},
	{"label without NUL", "", func(e *edit) { e.write(super(0x40), "0123456789abcdef") }, []Code{SuperLabel}},
	{"label with a tail", "", func(e *edit) { e.write(super(0x40), "01234\x00789abcde") }, []Code{SuperReserved}},
	{"reserved", "", func(e *edit) { e.put16(super(0x6A), 1) }, []Code{SuperReserved}},
	{"reserved at the end", "", func(e *edit) { e.put64(super(0x78), 1) }, []Code{SuperReserved}},
	{"packed_nid without fragments", "", func(e *edit) { e.put64(super(0x60), 1<<40) }, []Code{SuperReserved}},
	{"packed_nid in the metabox", "", func(e *edit) { e.b[super(0x50)] |= 0x20; e.put64(super(0x60), 1<<63|5) }, []Code{SuperPacked}},
	{"packed_nid beyond the end", "", func(e *edit) { e.b[super(0x50)] |= 0x20; e.put64(super(0x60), 1<<40) }, []Code{SuperPacked, InodeRange}},
	{"packed inode has a name", "", func(e *edit) {
		e.b[super(0x50)] |= 0x20
		e.put64(super(0x60), e.nid("/dir/tail"))
	}, []Code{SuperPacked}},
	{"packed inode is a directory", "", func(e *edit) {
		e.b[super(0x50)] |= 0x20
		e.put64(super(0x60), e.nid("/dir/sub"))
	}, []Code{SuperPacked, SuperInos, InodeNlink, DirTwice, SpacePadding}},
	{"metabox without slot", "", func(e *edit) { e.b[super(0x51)] |= 1 }, []Code{SuperMetabox}},
	{"long prefixes without the feature", "", func(e *edit) { e.put8(super(0x5B), 3) }, []Code{SuperPrefixes, SuperFeature}},
	{"rootnid_8b without 48BIT", "", func(e *edit) { e.put64(super(0x70), 99) }, []Code{SuperReserved}},
	{"prefix of length 0", "prefix", func(e *edit) { e.put16(e.find("", KindPrefixes).Off, 0) },
		[]Code{SuperPrefixes, SpacePadding}},
	{"prefix too long", "prefix", func(e *edit) { e.put16(e.find("", KindPrefixes).Off, 300) },
		[]Code{SuperPrefixes, SpacePadding}},
	{"prefix base", "prefix", func(e *edit) { e.put8(e.find("", KindPrefixes).Off+2, 77) }, []Code{XattrPrefix}},
	{"prefixes beyond the end", "prefix", func(e *edit) { e.put32(super(0x5C), 1<<30) }, []Code{SuperPrefixes, SpacePadding}},
	{"extra devices without the feature", "", func(e *edit) { e.put16(super(0x56), 1) }, []Code{SuperReserved}},
	{"device table beyond the end", "", func(e *edit) {
		e.b[super(0x50)] |= 8
		e.put16(super(0x56), 1)
		e.put16(super(0x58), 0xFFFF)
	}, []Code{SuperDevices}},
	{"fingerprint prefix", "", func(e *edit) { e.b[super(8)] |= 0x20 }, []Code{SuperPrefixes}},
	{"unknown algorithm", "", func(e *edit) { e.b[super(0x50)] |= 2; e.put16(super(0x54), 1<<9) }, []Code{SuperCompression}},
}

// config turns on the algorithms and writes their only record.
func config(alg uint16, record ...byte) func(e *edit) {
	return func(e *edit) {
		e.b[super(0x50)] |= 3
		e.put16(super(0x54), alg)
		e.put16(super(0x80), uint16(len(record)))
		copy(e.b[super(0x82):], record)
	}
}

func le32(v uint32, rest int) []byte {
	return append(binary.LittleEndian.AppendUint32(nil, v), make([]byte, rest)...)
}

var configMutations = []mutation{
	{"lzma dictionary too small", "", config(2, le32(2048, 10)...), []Code{SuperCompression}},
	{"lzma dictionary too large", "", config(2, le32(16<<20, 10)...), []Code{SuperCompression}},
	{"lzma format", "", config(2, append(le32(65536, 0), make([]byte, 10)[:10]...)...), nil},
	{"lzma format 1", "", config(2, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0), []Code{SuperCompression}},
	{"zstd format", "", config(8, 1, 0, 0, 0, 0, 0), []Code{SuperCompression}},
	{"zstd window", "", config(8, 0, 11, 0, 0, 0, 0), []Code{SuperCompression}},
	{"deflate window", "", config(4, 16, 0, 0, 0, 0, 0), []Code{SuperCompression}},
	{"lz4 pclusters", "", config(1, 0xFF, 0xFF, 0xE8, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), []Code{SuperCompression}},
	{"short record", "", config(8, 0, 0, 0), []Code{SuperCompression}},
	{"record beyond the end", "", config(8), []Code{SuperCompression}},
}

var inodeMutations = []mutation{
	{"format bit 5", "", func(e *edit) { e.b[e.inode("/dir/small")] |= 0x20 }, []Code{InodeFormat}},
	{"layout 5", "", func(e *edit) { e.put8(e.inode("/dir/small"), 5<<1) }, []Code{InodeFormat}},
	{"mode without type", "", func(e *edit) { e.put16(e.inode("/dir/small")+iMode, 0o644) }, []Code{InodeMode}},
	{"negative size", "ext", func(e *edit) { e.b[e.inode("/dir/small")+iSize+7] |= 0x80 }, []Code{InodeSize}},
	{"huge size of a file in blocks", "ext", func(e *edit) { e.b[e.inode("/dir/blocks")+iSize+7] |= 0x40 }, []Code{DataRange, OverlapDataMeta, OverlapData}},
	{"huge size of a file with a tail", "ext", func(e *edit) { e.b[e.inode("/dir/tail")+iSize+7] |= 0x40 }, []Code{DataRange, OverlapDataMeta, OverlapData}},
	{"nlink of a file", "", func(e *edit) { e.put16(e.inode("/dir/small")+iNlink, 2) }, []Code{InodeNlink}},
	{"nlink 0", "", func(e *edit) { e.put16(e.inode("/dir/small")+iNlink, 0) }, []Code{InodeNlink}},
	{"nlink of a hard link", "", func(e *edit) { e.put16(e.inode("/hard1")+iNlink, 1) }, []Code{InodeNlink}},
	{"nlink of a directory", "", func(e *edit) { e.put16(e.inode("/dir")+iNlink, 9) }, []Code{InodeNlink}},
	{"nlink 1 of a directory", "", func(e *edit) { e.put16(e.inode("/dir")+iNlink, 1) }, []Code{InodeNlink}},
	{"nlink of an extended inode", "ext", func(e *edit) { e.put32(e.inode("/dir/small")+xNlink, 70000) }, []Code{InodeNlink}},
	{"i_ino twice", "", func(e *edit) { e.put32(e.inode("/dir/small")+0x14, e.u32(e.inode("/dir")+0x14)) }, []Code{InodeIno}},
	{"i_mtime without 48BIT", "", func(e *edit) { e.put32(e.inode("/dir/small")+iMtime, 5) }, []Code{InodeTime}},
	{"nanoseconds", "ext", func(e *edit) { e.put32(e.inode("/dir/small")+xNsec, 1e9) }, []Code{InodeTime}},
	{"reserved", "", func(e *edit) { e.put32(e.inode("/dir/small")+iReserved, 1) }, []Code{InodeReserved}},
	{"reserved, extended", "ext", func(e *edit) { e.put32(e.inode("/dir/small")+0x38, 1) }, []Code{InodeReserved}},
	{"bit 4, extended", "ext", func(e *edit) { e.b[e.inode("/dir/small")] |= 0x10 }, []Code{InodeReserved}},
	{"NLINK_1 without 48BIT", "", func(e *edit) { e.b[e.inode("/dir/small")] |= 0x10; e.put16(e.inode("/dir/small")+iNlink, 0) },
		[]Code{SuperFeature}},
	{"fifo with a size", "", func(e *edit) { e.put32(e.inode("/null")+iSize, 5) }, []Code{InodeSpecial}},
	{"device with a layout", "", func(e *edit) { e.put8(e.inode("/null"), 2<<1) }, []Code{InodeSpecial}},
	{"inline crosses a block", "", func(e *edit) { e.put32(e.inode("/dir/small")+iSize, 4090) }, []Code{DataInline, SpacePadding}},
	{"inline of 0 bytes", "", func(e *edit) { e.put32(e.inode("/dir/small")+iSize, 0) }, []Code{InodeSpecial, SpacePadding}},
	{"data beyond the end", "", func(e *edit) { e.put32(e.inode("/dir/blocks")+iU, 1<<30) }, []Code{DataRange, SpaceUnreachable}},
	{"data reaches over the end", "", func(e *edit) { e.put32(e.inode("/dir/blocks")+iU, uint32(len(e.b)>>12-1)) },
		[]Code{DataRange, OverlapDataMeta, SpaceUnreachable}},
	{"data on the superblock", "", func(e *edit) { e.put32(e.inode("/dir/blocks")+iU, 0) }, []Code{OverlapDataMeta, SpaceUnreachable}},
	{"data of another file, shifted", "", func(e *edit) { e.put32(e.inode("/dir/blocks")+iU, e.u32(e.inode("/dir/tail")+iU)+1) },
		[]Code{OverlapData, SpaceUnreachable}},
	{"data beyond 32 bits", "48bit", func(e *edit) { e.put16(e.inode("/dir/blocks")+iNlink, 0x8000) }, []Code{DataRange, SpaceUnreachable}},
	{"symlink of size 0", "", func(e *edit) { e.put32(e.inode("/link")+iSize, 0) }, []Code{InodeSpecial, SymlinkSize, SpacePadding}},
	{"symlink too long", "", func(e *edit) { e.put32(e.inode("/link")+iSize, 5000) }, []Code{SymlinkSize, DataRange, OverlapMeta, SpacePadding}},
	{"symlink with a NUL", "", func(e *edit) { e.put8(e.find("/link", KindInline).Off+2, 0) }, []Code{SymlinkTarget}},
	{"symlink that is a hole", "", func(e *edit) { e.put8(e.inode("/link"), 0); e.put32(e.inode("/link")+iU, disk.NullAddr32) },
		[]Code{SymlinkTarget, SuperFeature, SpacePadding}},
	{"garbage in padding", "", func(e *edit) { r := e.find("/dir/small", KindInline); e.put8(r.Off+r.Len+3, 1) }, []Code{SpacePadding}},
	{"inode in the metabox", "", func(e *edit) { e.b[e.entry("/dir", "small")+7] |= 0x80 }, []Code{InodeMetabox}},
	{"inode beyond the end", "", func(e *edit) { e.put64(e.entry("/dir", "small"), 1<<30) }, []Code{InodeRange}},
	{"inode beyond 63 bits", "", func(e *edit) { e.put64(e.entry("/dir", "small"), 1<<62) }, []Code{InodeRange}},
	{"image ends in a block", "", func(e *edit) { e.b = append(e.b, make([]byte, 100)...) }, []Code{ImageLength}},
	{"data in a short block", "", func(e *edit) {
		e.put32(e.inode("/dir/blocks")+iU, uint32(len(e.b)>>12))
		e.put32(e.inode("/dir/blocks")+iSize, 8000)
		e.b = append(e.b, make([]byte, 8000)...)
	}, []Code{ImageLength, DataShortBlock, SpaceUnreachable}},
	{"tail in the next block", "", func(e *edit) {
		at := e.nid("/dir/small")
		off := int64(len(e.b)) + 4096 - 32
		copy(e.b[:len(e.b):len(e.b)], e.b)
		e.b = append(e.b, make([]byte, 8192)...)
		copy(e.b[off:], e.b[e.inode("/dir/small"):][:64])
		e.put64(e.entry("/dir", "small"), at+uint64(off-e.inode("/dir/small"))/32)
	}, []Code{DataTail, SpacePadding}},
	{"symlink whose tail is in the next block", "", func(e *edit) {
		at := e.nid("/link")
		off := int64(len(e.b)) + 4096 - 32
		e.b = append(e.b, make([]byte, 8192)...)
		copy(e.b[off:], e.b[e.inode("/link"):][:64])
		e.put64(e.entry("/", "link"), at+uint64(off-e.inode("/link"))/32)
	}, []Code{DataTail, SpacePadding}},
	{"blocks of 8 KiB", "8K", func(*edit) {}, []Code{SuperPageSize}},
	{"inode inside another", "", func(e *edit) { e.put64(e.entry("/dir", "blocks"), e.nid("/dir/tail")+2) }, []Code{InodeFormat}},
}

var chunkMutations = []mutation{
	{"chunk format bit", "chunks", func(e *edit) { e.b[e.inode("/dir/tail")+iU] |= 0x80 }, []Code{ChunkFormatBad}},
	{"chunk beyond the end", "chunks", func(e *edit) { e.put32(e.find("/dir/tail", KindChunks).Off+4, 1<<30) }, []Code{DataRange, SpaceUnreachable}},
	{"chunk on the superblock", "chunks", func(e *edit) { e.put32(e.find("/dir/tail", KindChunks).Off+4, 0) }, []Code{OverlapDataMeta, SpaceUnreachable}},
	{"chunk array beyond the end", "chunks", func(e *edit) { e.put32(e.inode("/dir/tail")+iSize, 1<<31) }, []Code{ChunkArray, DataRange, OverlapMeta, OverlapDataMeta}},
	{"without the feature", "chunks", func(e *edit) { e.b[super(0x50)] &^= 4 }, []Code{SuperFeature}},
	{"reserved half of i_u", "chunks", func(e *edit) { e.put16(e.inode("/dir/tail")+iU+2, 1) }, []Code{InodeReserved}},
	{"compressed layout", "", func(e *edit) { e.put8(e.inode("/dir/tail"), 1<<1) }, []Code{CompressedHeader, SpaceUnreachable, SpacePadding}},
	{"compact index", "", func(e *edit) { e.put8(e.inode("/dir/tail"), 3<<1) }, []Code{CompressedHeader, SpaceUnreachable, SpacePadding}},
}

var xattrMutations = []mutation{
	{"icount 1", "", func(e *edit) { e.put16(e.inode("/x1")+iICount, 1) }, []Code{XattrBounds, SpacePadding}},
	{"area beyond the end", "", func(e *edit) { e.put16(e.inode("/x1")+iICount, 0xFFFF) }, []Code{XattrBounds, DataRange, SpacePadding}},
	{"shared count", "", func(e *edit) { e.put8(e.find("/x1", KindXattrs).Off+4, 255) }, []Code{XattrBounds}},
	{"entry exceeds the area", "", func(e *edit) { e.put16(e.find("/x1", KindXattrs).Off+18, 999) }, []Code{XattrBounds}},
	{"prefix", "", func(e *edit) { e.put8(e.find("/x1", KindXattrs).Off+17, 9) }, []Code{XattrPrefix}},
	{"long prefix", "", func(e *edit) { e.put8(e.find("/x1", KindXattrs).Off+17, 0x81) }, []Code{XattrPrefix}},
	{"shared id", "", func(e *edit) { e.put32(e.find("/x1", KindXattrs).Off+12, 1<<30) }, []Code{XattrShared}},
	{"shared id twice", "", func(e *edit) {
		r := e.find("/x1", KindXattrs)
		e.put8(r.Off+4, 2)
		e.put32(r.Off+16, e.u32(r.Off+12))
	}, []Code{XattrBounds, XattrDuplicate}},
	{"shared in no metabox", "", func(e *edit) { e.b[super(8)] |= 8 }, []Code{XattrShared, SpaceUnreachable}},
	{"xattr_blkaddr", "", func(e *edit) { e.put32(super(0x2C), 1<<31) }, []Code{XattrShared, SpaceUnreachable}},
	{"filter", "", func(e *edit) { e.put32(e.find("/x1", KindXattrs).Off, 0xFFFFFFFF) }, []Code{XattrFilter}},
	{"reserved", "", func(e *edit) { e.put8(e.find("/x1", KindXattrs).Off+8, 1) }, []Code{XattrReserved}},
	{"NUL in a name", "", func(e *edit) { e.write(e.xattr("/x1", "one"), "o\x00e") }, []Code{XattrName, XattrFilter}},
	{"no name", "", func(e *edit) {
		at := e.xattr("/x1", "one") - disk.XattrEntrySize
		e.put8(at, 0)
		e.put16(at+2, 4)
	}, []Code{XattrName, XattrFilter}},
	{"ACL with a name", "", func(e *edit) { e.put8(e.xattr("/x1", "one")-3, disk.XattrIndexACLAccess) }, []Code{XattrName, XattrFilter}},
	{"ACL of 4 bytes", "", func(e *edit) {
		at := e.xattr("/x1", "one") - disk.XattrEntrySize
		e.put8(at, 0)
		e.put8(at+1, disk.XattrIndexACLAccess)
		e.put16(at+2, 4)
	}, []Code{XattrValue, XattrFilter}},
	{"capability", "", func(e *edit) { e.put8(e.xattr("/x1", "capability")+10+3, 7) }, []Code{XattrValue}},
}

var dirMutations = []mutation{
	{"nameoff 0", "", func(e *edit) { e.put16(e.find("/dir", KindDirents).Off+8, 0) }, []Code{DirBlock}},
	{"nameoff no multiple of 12", "", func(e *edit) { off := e.find("/dir", KindDirents).Off; e.put16(off+8, e.u16(off+8)+4) }, []Code{DirBlock}},
	{"nameoff beyond the block", "", func(e *edit) { e.put16(e.find("/dir", KindDirents).Off+8, 12*5000) }, []Code{DirBlock}},
	{"nameoff underflow", "", func(e *edit) { e.put16(e.entry("/dir", "small")+8, 1) }, []Code{DirNameOff}},
	{"name beyond the block", "", func(e *edit) { e.put16(e.entry("/dir", "small")+8, 0xFFF0) }, []Code{DirNameOff}},
	{"slash in a name", "", func(e *edit) { e.put8(e.name("/dir", "small")+1, '/') }, []Code{DirName}},
	{"NUL in a name", "", func(e *edit) { e.put8(e.name("/dir", "small")+1, 0) }, []Code{DirName}},
	{"NUL in the last name", "", func(e *edit) { e.put8(e.name("/dir", "tail")+2, 0) }, []Code{DirPadding}},
	{"out of order", "", func(e *edit) { e.write(e.name("/dir", "small"), "zzzzz") }, []Code{DirOrder}},
	{"twice", "", func(e *edit) { e.write(e.name("/", "hard2"), "hard1") }, []Code{DirDuplicate}},
	{"out of order across blocks", "", func(e *edit) {
		var second Range
		for _, r := range e.ranges {
			if r.Kind == KindDirents && r.Path == "/many" {
				second = r
			}
		}
		e.put8(second.Off+int64(e.u16(second.Off+8)), '!')
	}, []Code{DirOrder}},
	{"dot leads elsewhere", "", func(e *edit) { e.put64(e.entry("/dir", "."), e.nid("/many")) }, []Code{DirDot}},
	{"dot dot leads elsewhere", "", func(e *edit) { e.put64(e.entry("/dir", ".."), e.nid("/many")) }, []Code{DirDot}},
	{"dot missing", "", func(e *edit) { e.put8(e.name("/dir", "."), '-') }, []Code{DirDot, DirLoop}},
	{"dot dot missing", "", func(e *edit) { e.put8(e.name("/dir", "..")+1, '-') }, []Code{DirOrder, DirDot, DirLoop}},
	{"dot there, but omitted", "", func(e *edit) { e.b[e.inode("/dir")] |= 0x10 }, []Code{DirDot, SuperFeature}},
	{"type", "", func(e *edit) { e.put8(e.entry("/dir", "small")+10, 2) }, []Code{DirType}},
	{"type of a second name", "", func(e *edit) { e.put8(e.entry("/", "hard2")+10, 2) }, []Code{DirType}},
	{"type unknown", "", func(e *edit) { e.put8(e.entry("/dir", "small")+10, 0) }, []Code{DirTypeUnknown}},
	{"type of a directory changes", "", func(e *edit) { e.put16(e.inode("/dir/sub")+iMode, 0o100644) }, []Code{SuperInos, InodeNlink, DirType, SpacePadding}},
	{"reserved", "", func(e *edit) { e.put8(e.entry("/dir", "small")+11, 1) }, []Code{DirReserved}},
	{"loop", "", func(e *edit) { e.put64(e.entry("/dir", "sub"), e.nid("/dir")) },
		[]Code{DirLoop, InodeNlink, SuperInos, SpacePadding}},
	{"loop to the root", "", func(e *edit) { e.put64(e.entry("/dir", "sub"), e.nid("/")) }, []Code{DirLoop, InodeNlink, SuperInos, SpacePadding}},
	{"directory twice", "", func(e *edit) { e.put64(e.entry("/", "many"), e.nid("/dir")) }, []Code{SuperInos, InodeNlink, DirTwice, SpaceUnreachable, SpacePadding}},
	{"a hole", "", func(e *edit) { e.put8(e.inode("/dir"), 0); e.put32(e.inode("/dir")+iU, disk.NullAddr32) }, []Code{SuperFeature, DirHole}},
	{"whiteout of a layer", "", func(e *edit) { e.write(e.name("/many", "a rather long name, so that few fit a block 0000"), ".wh.") }, []Code{DirWhiteout}},
	{"huge size", "ext", func(e *edit) { e.put8(e.inode("/many")+iSize+7, 0x40) }, []Code{DirBlock, DataRange}},
	{"two directories with the same blocks", "", func(e *edit) {
		e.put32(e.inode("/dir/sub")+iU, e.u32(e.inode("/many")+iU))
		e.put32(e.inode("/dir/sub")+iSize, 4096)
		e.put8(e.inode("/dir/sub"), 0)
	}, []Code{OverlapMeta}},
	{"path of more than 4095 bytes", "deep", func(*edit) {}, []Code{DirDepth}},
	{"name of 255 bytes and more", "", func(e *edit) {
		off := e.find("/many", KindDirents).Off
		e.put16(off+20, e.u16(off+8)+300)
	}, []Code{DirNameOff, DirName}},
}

// base builds the image that mutations change.
func base(t testing.TB, name string) []byte {
	t.Helper()
	if _, ours := bases[name]; !ours {
		return golden(t, name)
	}
	tr := sample()
	for d, n := tr.Root, 0; name == "deep" && n < 17; n++ {
		sub := tree.NewDir(0o755)
		d.Add(strings.Repeat("d", 255), sub)
		d = sub
	}
	return build(t, tr, bases[name])
}

func allMutations() []mutation {
	var all []mutation
	for group, list := range map[string][]mutation{
		"super": superMutations, "config": configMutations, "inode": inodeMutations, "chunk": chunkMutations, "xattr": xattrMutations, "dir": dirMutations,
		"compressed": compressedMutations,
	} {
		for _, m := range list {
			m.name = group + ": " + m.name
			all = append(all, m)
		}
	}
	return all
}

func codeNames(codes map[Code]bool) string {
	var names []string
	for c := range codeCount {
		if codes[c] {
			names = append(names, c.String())
		}
	}
	return strings.Join(names, " ")
}
