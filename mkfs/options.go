package mkfs

import (
	"errors"
	"fmt"
	"strings"

	"github.com/laminafs/lamina/internal/disk"
)

// Options says how an image is laid out. The zero value is a good choice for container layers.
type Options struct {
	// BlockSize in bytes, a power of two from 512 to 65536; 0 means 4096. Linux mounts at most the page
	// size of the machine.
	BlockSize int

	// UUID of the file system; Writer.SetUUID gives it later, when it depends on the stream. If it stays
	// zero, it is derived from the metadata.
	UUID [16]byte
	// NoUUID leaves the UUID zero.
	NoUUID bool
	// Label is the volume name, at most 15 bytes.
	Label string

	// Inline says which tails of regular files are stored behind their inode.
	Inline Inline
	// InlineMax is the longest tail that is inlined; 0 means DefaultInlineMax, with compression whatever fits.
	InlineMax int

	// ChunkSize makes every regular file chunk-based with chunks of this size, a power of two of at least
	// a block; chunks of zeros become holes. 0: only files that the source declares sparse are
	// chunk-based, with the chunk size that costs least.
	ChunkSize int64
	// Dedupe stores equal files (with ChunkSize: equal chunks) once. It takes some 60 bytes of memory for each
	// of them, so with ChunkSize memory grows with the data.
	Dedupe bool
	// Compression compresses the data of regular files; nil stores it as it is.
	Compression *Compression
	// Bases are files that have blocks which the image need not have: it refers to those that it finds there,
	// and the bases that it refers to are its extra devices, in their order. They are from NewBases, or with
	// Compression from NewFileBases. Nil: the image holds all of its data.
	Bases *Bases
	// Devices are files that the image refers to for the contents that are Located on them: its extra devices, in this
	// order, whether it needs them or not.
	Devices []Device
	// Keep is the length of an image that is in the file already. It stays as it is but for its superblock: all that is
	// written goes behind it, and contents that are Located in it need not be written. 0: there is none.
	Keep int64
	// LargeAlign aligns files of at least that size to that size, at most 1 GiB, for DAX: 2 MiB maps with huge
	// pages. Their tails are not inlined. 0: every file starts at a block.
	LargeAlign int64
	// DataDevice takes the data of all regular files as device 1 of the image. Needs ChunkSize.
	DataDevice File

	// SizeAlign pads the image to a multiple of it, a power of two; 0 means the block size.
	SizeAlign int64

	// Time says what becomes of modification times.
	Time TimePolicy
	// Timestamp is the time for TimeFixed and TimeClamp, in seconds since 1970.
	Timestamp int64

	// BuildTime, in seconds since 1970, is stored as the time when the image was made; 0: none is. A build time before the
	// most frequent time of the files costs 32 bytes for each inode, as the format counts one from the other.
	BuildTime int64

	// Owner maps the owner of every inode; nil keeps it.
	Owner func(uid, gid uint32) (uint32, uint32)

	// XattrShare is how many inodes must have an attribute with the same name and value, at least, to
	// store it once for all; 0 means 2, negative: never.
	XattrShare int
	// XattrPrefixes are long name prefixes ("trusted.overlay.") that are stored once in the image.
	XattrPrefixes []string
	// Fingerprints stores the SHA-256 of each regular file that is not empty and has no declared holes, for
	// Linux to keep equal files of several images in memory once (mount option inode_share, Linux 7.0). They
	// are computed while the files stream by.
	Fingerprints bool
	// DropXattrs leaves all extended attributes out.
	DropXattrs bool

	// Inodes forces a form of inodes; the zero value takes the smallest that holds all.
	Inodes InodeForm
	// NoChecksum leaves the superblock checksum out.
	NoChecksum bool
	// Large forces the 48-bit layout, which is otherwise used when addresses need it.
	Large bool

	// TempDir is where inline tails and fragments beyond a memory budget go until the metadata is written; "" means
	// the directory for temporary files of the system.
	TempDir string
	// Observe, if set, is called now and then with the progress, on the goroutine that calls the Writer.
	Observe func(Event)
}

// Event is the progress of a Writer.
type Event struct {
	Files     int64 // regular files placed
	Bytes     int64 // bytes of data placed
	Inodes    int64 // inodes written, of InodesAll, once the metadata is being written
	InodesAll int64
}

// Inline is a choice of tails to store behind the inode.
type Inline uint8

const (
	// InlineTails stores the last partial block of files behind the inode when it has at most InlineMax
	// bytes: a quarter of the image where files are small, at no cost in time.
	InlineTails Inline = iota
	// InlineNone stores regular files in blocks only: for DAX, for readers that know no inline tails, and
	// for images that others refer to as a device. Directories and symbolic links are inlined always.
	InlineNone
)

// DefaultInlineMax is the longest tail inlined by InlineTails: with the inode it fills half a block of
// 4096 bytes, so the space lost by not crossing a block stays below the space saved.
const DefaultInlineMax = 1984

// TimePolicy is a choice of modification times.
type TimePolicy uint8

const (
	// TimeKeep stores the times of the source.
	TimeKeep TimePolicy = iota
	// TimeClamp replaces times later than Options.Timestamp by it.
	TimeClamp
	// TimeFixed gives every inode the time Options.Timestamp.
	TimeFixed
)

// InodeForm is a choice of inode forms.
type InodeForm uint8

const (
	// InodeAuto uses compact inodes where they hold everything.
	InodeAuto InodeForm = iota
	// InodeCompact refuses what compact inodes cannot hold, but for times: those are all the epoch's.
	InodeCompact
	// InodeExtended uses extended inodes only.
	InodeExtended
)

// MaxLabel is the longest volume name: kernels before 6.15 want a NUL in the field of 16 bytes.
const MaxLabel = 15

// Validate reports every contradiction in the options.
func (o *Options) Validate() error {
	var errs []error
	bad := func(format string, a ...any) { errs = append(errs, fmt.Errorf("mkfs: options: "+format, a...)) }
	bits, ok := disk.Log2(o.blockSize())
	if !ok || bits < disk.MinBlockBits || bits > disk.MaxBlockBits {
		bad("block size %d: not a power of two from 512 to 65536", o.BlockSize)
	}
	if len(o.Label) > MaxLabel || strings.Contains(o.Label, "\x00") {
		bad("label %q: more than %d bytes or a NUL in it", o.Label, MaxLabel)
	}
	if o.InlineMax < 0 {
		bad("inline limit %d: negative", o.InlineMax)
	}
	if c := o.ChunkSize; c != 0 && (c < int64(o.blockSize()) || c&(c-1) != 0 || c > int64(o.blockSize())<<31) {
		bad("chunk size %d: not a power of two of at least a block (%d)", c, o.blockSize())
	}
	if a := o.LargeAlign; a != 0 && (a < int64(o.blockSize()) || a&(a-1) != 0 || a > maxAlign) {
		bad("alignment %d: not a power of two from a block (%d) to 1 GiB", a, o.blockSize())
	}
	if o.Inodes == InodeCompact && o.Large {
		bad("compact inodes do not hold the addresses of the 48-bit layout")
	}
	if o.NoUUID && o.UUID != [16]byte{} {
		bad("a UUID, and none")
	}
	if o.Inline > InlineNone || o.Time > TimeFixed || o.Inodes > InodeExtended {
		bad("inline %d, time %d, inodes %d: no such choice", o.Inline, o.Time, o.Inodes)
	}
	if a := o.SizeAlign; a != 0 && (a < int64(o.blockSize()) || a&(a-1) != 0 || a > maxAlign) {
		bad("size alignment %d: not a power of two from a block (%d) to 1 GiB", a, o.blockSize())
	}
	if o.DataDevice != nil && o.ChunkSize == 0 {
		bad("a data device needs a chunk size")
	}
	if o.Compression != nil {
		o.Compression.validate(o, bad)
	}
	if b := o.Bases; b != nil {
		b.validate(o, bad)
	}
	o.validateReferred(bad)
	if n := len(o.XattrPrefixes); n > disk.LongPrefixMax || n == disk.LongPrefixMax && o.Fingerprints {
		bad("%d xattr prefixes: more than %d, with that of fingerprints", n, disk.LongPrefixMax)
	}
	for _, p := range o.XattrPrefixes {
		if _, rest, ok := disk.SplitXattr(p); !ok || rest == "" || len(rest) > disk.LongPrefixMaxInfix {
			bad("xattr prefix %q: not user., trusted. or security. with 1 to %d bytes behind it", p, disk.LongPrefixMaxInfix)
		}
	}
	return errors.Join(errs...)
}

func (o *Options) blockSize() int {
	if o.BlockSize == 0 {
		return 4096
	}
	return o.BlockSize
}

// maxAlign bounds the zeros that an alignment may write.
const maxAlign = 1 << 30

// large tells whether a file is to be aligned.
func (o *Options) large(size int64) bool { return o.LargeAlign > 0 && size >= o.LargeAlign }

// inlineMax returns the longest tail to keep for the metadata. It leaves room in the block for the inode
// and a few xattrs: a tail that turns out not to fit costs a second copy of its file.
func (o *Options) inlineMax() int {
	const head = 2 * disk.InodeExtendedSize
	limit := o.InlineMax
	switch {
	case o.Inline == InlineNone:
		return 0
	case limit == 0 && o.Compression != nil:
		limit = o.blockSize() // other inodes fill what long tails leave
	case limit == 0:
		limit = DefaultInlineMax
	}
	return min(limit, o.blockSize()-head)
}

func (o *Options) xattrShare() int {
	if o.XattrShare == 0 {
		return 2
	}
	return o.XattrShare
}
