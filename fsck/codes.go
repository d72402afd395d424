package fsck

// Code names what a finding is about. The set is closed: codeTable.
type Code uint8

// The codes, in the order of codeTable, which explains them.
const (
	SuperShort Code = iota
	SuperMagic
	SuperChecksum
	SuperBlockSize
	SuperPageSize
	SuperIncompat
	SuperCompat
	SuperDirBlock
	SuperExtSlots
	SuperRoot
	SuperPacked
	SuperMetabox
	SuperDevices
	SuperPrefixes
	SuperCompression
	SuperFeature
	SuperReserved
	SuperLabel
	SuperInos
	SuperBlocks
	ImageLength
	DeviceSlot
	DeviceCount
	DeviceLength
	DeviceAbsent
	DeviceDigest
	InodeRange
	InodeMetabox
	InodeFormat
	InodeMode
	InodeSize
	InodeNlink
	InodeIno
	InodeTime
	InodeReserved
	InodeSpecial
	XattrBounds
	XattrPrefix
	XattrShared
	XattrName
	XattrValue
	XattrDuplicate
	XattrFilter
	XattrReserved
	DirBlock
	DirNameOff
	DirName
	DirOrder
	DirDuplicate
	DirDot
	DirType
	DirTypeUnknown
	DirLoop
	DirTwice
	DirHole
	DirDepth
	DirWhiteout
	DirReserved
	DirPadding
	SymlinkSize
	SymlinkTarget
	DataRange
	DataDevice
	DataInline
	DataTail
	DataShortBlock
	ChunkFormatBad
	ChunkArray
	CompressedHeader
	CompressedIndex
	CompressedData
	FragmentRange
	OverlapMeta
	OverlapDataMeta
	OverlapData
	SpaceUnreachable
	SpacePadding

	codeCount
)

// CodeInfo explains a code.
type CodeInfo struct {
	Code     Code     `json:"code"`
	Severity Severity `json:"severity"`
	Text     string   `json:"text"`
}

type codeRow struct {
	name     string
	severity Severity
	text     string
}

// codeTable is what each code is called, how bad it is, and what it means. Texts say what Linux 6.18
// does where that decided the severity.
var codeTable = [codeCount]codeRow{
	SuperShort:       {"super-short", Error, "the image ends before or within the superblock"},
	SuperMagic:       {"super-magic", Error, "no EROFS superblock at byte 1024"},
	SuperChecksum:    {"super-checksum", Error, "the checksum of the first block does not fit: the mount fails with EBADMSG"},
	SuperBlockSize:   {"super-block-size", Error, "blkszbits is not within 9 and 16"},
	SuperPageSize:    {"super-page-size", Warning, "blocks larger than 4 KiB mount on machines with larger pages only"},
	SuperIncompat:    {"super-incompat", Error, "unknown incompatible feature bits: the mount fails"},
	SuperCompat:      {"super-compat", Note, "unknown compatible feature bits, which readers ignore"},
	SuperDirBlock:    {"super-dirblkbits", Error, "dirblkbits is not zero: the mount fails"},
	SuperExtSlots:    {"super-extslots", Error, "the superblock with its extension slots does not fit where it must"},
	SuperRoot:        {"super-root", Error, "the root NID is no directory"},
	SuperPacked:      {"super-packed", Error, "the packed inode cannot be what it has to be"},
	SuperMetabox:     {"super-metabox", Error, "the metabox inode cannot be what it has to be"},
	SuperDevices:     {"super-devices", Error, "the device table is not in the image"},
	SuperPrefixes:    {"super-prefixes", Error, "the table of long xattr prefixes is damaged"},
	SuperCompression: {"super-compression", Error, "a compression configuration that the kernel refuses"},
	SuperFeature:     {"super-feature", Warning, "something is used without its feature bit: older kernels misread it"},
	SuperReserved:    {"super-reserved", Warning, "reserved bytes of the superblock are not zero"},
	SuperLabel:       {"super-label", Warning, "a label without end: kernels before 6.15 refuse the image"},
	SuperInos:        {"super-inos", Warning, "the inode count is wrong; only statfs shows it"},
	SuperBlocks:      {"super-blocks", Warning, "the block count is wrong; only statfs shows it"},
	ImageLength:      {"image-length", Warning, "the length of the image is no multiple of its block size"},
	DeviceSlot:       {"device-slot", Error, "a device slot that contradicts itself or another one"},
	DeviceCount:      {"device-count", Error, "not as many devices given as the image has: the mount fails"},
	DeviceLength:     {"device-length", Warning, "a device shorter than its slot says"},
	DeviceAbsent:     {"device-absent", Note, "a device was not given, so its data was not checked"},
	DeviceDigest:     {"device-digest", Error, "a device is not the file whose digest is in its slot"},
	InodeRange:       {"inode-range", Error, "an inode outside of the image"},
	InodeMetabox:     {"inode-metabox", Error, "an inode in a metabox that the image lacks"},
	InodeFormat:      {"inode-format", Error, "an unknown layout or format bit: EOPNOTSUPP"},
	InodeMode:        {"inode-mode", Error, "a mode without a valid file type: EUCLEAN"},
	InodeSize:        {"inode-size", Error, "a size that no file can have"},
	InodeNlink:       {"inode-nlink", Error, "the link count is not the number of names"},
	InodeIno:         {"inode-ino", Note, "an i_ino that is zero or that another inode has; it matters to 32-bit programs only"},
	InodeTime:        {"inode-time", Error, "a time that does not exist, or that kernels disagree about"},
	InodeReserved:    {"inode-reserved", Warning, "reserved bytes of an inode are not zero"},
	InodeSpecial:     {"inode-special", Warning, "a size or layout that makes no sense for the type of file"},
	XattrBounds:      {"xattr-bounds", Error, "an xattr area, header or entry that does not fit its bounds"},
	XattrPrefix:      {"xattr-prefix", Error, "an xattr with an unknown prefix: the kernel hides it"},
	XattrShared:      {"xattr-shared", Error, "a shared xattr outside of the image"},
	XattrName:        {"xattr-name", Error, "an xattr with a name that nobody can ask for"},
	XattrValue:       {"xattr-value", Error, "an ACL or capability of impossible length: the kernel fails to use it"},
	XattrDuplicate:   {"xattr-duplicate", Error, "an inode has the same xattr twice"},
	XattrFilter:      {"xattr-filter", Error, "the name filter denies an xattr that is there: getxattr does not find it"},
	XattrReserved:    {"xattr-reserved", Warning, "reserved bytes of an xattr header are not zero"},
	DirBlock:         {"dir-block", Error, "a directory block whose first nameoff is impossible: EUCLEAN"},
	DirNameOff:       {"dir-nameoff", Error, "a nameoff that does not rise or leaves the block: EUCLEAN"},
	DirName:          {"dir-name", Error, "a name that is empty, too long or has a slash or a NUL"},
	DirOrder:         {"dir-order", Error, "entries out of byte order: listed, but not found by name"},
	DirDuplicate:     {"dir-duplicate", Error, "a name twice in a directory"},
	DirDot:           {"dir-dot", Error, "\".\" or \"..\" missing, superfluous or pointing elsewhere"},
	DirType:          {"dir-type", Error, "the type in an entry is not that of the inode"},
	DirTypeUnknown:   {"dir-type-unknown", Warning, "an entry without file type"},
	DirLoop:          {"dir-loop", Error, "a directory that contains itself"},
	DirTwice:         {"dir-twice", Error, "a directory with two names"},
	DirHole:          {"dir-hole", Error, "a directory with a hole: a block without entries"},
	DirDepth:         {"dir-depth", Warning, "a path too long to be opened in one call"},
	DirWhiteout:      {"dir-whiteout", Warning, "a name that begins with .wh.: a whiteout that was not converted"},
	DirReserved:      {"dir-reserved", Warning, "the reserved byte of an entry is not zero"},
	DirPadding:       {"dir-padding", Note, "bytes behind the last name of a directory block are not zero"},
	SymlinkSize:      {"symlink-size", Error, "a symbolic link that is empty or longer than 4095 bytes"},
	SymlinkTarget:    {"symlink-target", Error, "a symbolic link with a NUL or a hole in its target: the kernel cuts it"},
	DataRange:        {"data-range", Error, "data outside of its device: EIO"},
	DataDevice:       {"data-device", Error, "data on a device that does not exist"},
	DataInline:       {"data-inline", Error, "an inline tail that crosses a block boundary: EUCLEAN"},
	DataTail:         {"data-tail", Warning, "an inline tail in another block than the end of its inode: older kernels misread symbolic links"},
	DataShortBlock:   {"data-short-block", Error, "data in the last, short block of the device: EIO before Linux 7.0"},
	ChunkFormatBad:   {"chunk-format", Error, "an unknown chunk format bit: EOPNOTSUPP"},
	ChunkArray:       {"chunk-array", Error, "a chunk array outside of the image"},
	CompressedHeader: {"compressed-header", Error, "a compression header that contradicts itself, or an index outside of the image"},
	CompressedIndex:  {"compressed-index", Error, "a compression index that leads astray: EUCLEAN, or other data than was meant"},
	CompressedData:   {"compressed-data", Error, "a pcluster that does not decode to what its index says: EIO"},
	FragmentRange:    {"fragment-range", Error, "a fragment outside of the packed inode, or without one"},
	OverlapMeta:      {"overlap-meta", Error, "two structures of metadata share bytes"},
	OverlapDataMeta:  {"overlap-data-meta", Error, "file data and metadata share bytes"},
	OverlapData:      {"overlap-data", Warning, "data ranges of files in the image overlap without being equal"},
	SpaceUnreachable: {"space-unreachable", Note, "blocks that belong to nothing and are not zero"},
	SpacePadding:     {"space-padding", Note, "bytes between structures are not zero"},
}

// String returns the name of the code: lower case, stable, for people and programs.
func (c Code) String() string {
	if c < codeCount {
		return codeTable[c].name
	}
	return "code?"
}

// MarshalText implements encoding.TextMarshaler.
func (c Code) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// Severity returns the severity that findings of the code have.
func (c Code) Severity() Severity {
	if c < codeCount {
		return codeTable[c].severity
	}
	return 0
}

// Codes returns the table of all codes.
func Codes() []CodeInfo {
	all := make([]CodeInfo, codeCount)
	for c := range codeCount {
		all[c] = CodeInfo{c, codeTable[c].severity, codeTable[c].text}
	}
	return all
}
