// Package erofs reads EROFS images: the read-only file system of Linux that container layers are
// stored in.
//
//	im, err := erofs.Open(file)                   // any io.ReaderAt
//	err = fs.WalkDir(im, ".", fn)                 // an fs.FS with Stat, ReadDir, ReadFile, ReadLink
//	ino, err := im.Lookup("usr/bin/sudo")         // or by inode: xattrs, extents, device numbers
//	t, err := im.Tree()                           // or all of it, to merge, convert or compare
//
// Images of every kind are read: plain, inline and chunk-based data, holes, extra devices, 48-bit addresses,
// blocks of 512 bytes to 64 KiB; compressed files and directories (LZ4, MicroLZMA, DEFLATE, Zstandard), with
// deduplicated extents, tails and whole files in the packed inode, and metadata in a metabox. Reads of 64 KiB
// and more decode on all processors; what smaller ones decode is kept, up to 32 MiB for an image or what
// Options.Cache says.
//
// Images are hostile input. Whatever the bytes are, every call ends, with the right result or an
// error, and no call allocates by a number in the image; a FormatError says which bytes break the
// format. The superblock has a checksum, nothing else has: bytes that were changed without breaking
// the format read as they are. Package fsck looks for everything that a reader has no reason to look at.
package erofs

import (
	"io"
	"sync"

	"github.com/laminafs/lamina/internal/disk"
	"github.com/laminafs/lamina/internal/image"
)

// FormatError says which bytes of an image break the format. It matches ErrCorrupt.
type FormatError = disk.FormatError

// UnsupportedError names what an image uses and this package cannot read. It matches
// errors.ErrUnsupported.
type UnsupportedError = disk.UnsupportedError

// ErrCorrupt is what every FormatError matches.
var ErrCorrupt = disk.ErrCorrupt

// Superblock is the decoded superblock (format section 1).
type Superblock = disk.Superblock

// Image is an opened image: a file system (fs.go) and its inodes. It may be used by several
// goroutines and has nothing to close: the devices belong to the caller.
type Image struct {
	img  *image.Image
	root Inode

	mu     sync.Mutex
	owners map[uint64]owner // by NID of the directories met on paths: where their only name is
	meter  meter            // of these directories
}

// Device is an extra device of an image.
type Device struct {
	Tag     string // free text, often a digest
	Blocks  uint64
	UniAddr uint64 // its first block in the unified address space, 0 if it has none
}

// Open reads the superblock of an image and checks it as a mount does, checksum included. devices are
// the extra devices in the order of the image's table: all of them, or none for an image that has
// none or holds them itself (flattened, as a tar index with the tar behind it). They must not change
// while the image is in use.
func Open(r io.ReaderAt, devices ...io.ReaderAt) (*Image, error) {
	return Options{}.Open(r, devices...)
}

// DefaultCache is Options.Cache of an image that Open opens, in bytes.
const DefaultCache = image.MinCache

// Options are choices of who opens an image. Zero values work.
type Options struct {
	// Cache bounds the memory for decoded data of compressed files, in bytes; less than DefaultCache counts as that, which
	// is what decoding of the largest pclusters needs. It is for reads of parts of files that come again: a server of random
	// reads is as fast as the page cache of a mount would be if it may keep as much as that would. It is filled as data are
	// decoded.
	Cache int
}

// Open opens an image as the function Open does.
func (o Options) Open(r io.ReaderAt, devices ...io.ReaderAt) (*Image, error) {
	img, err := image.Open(r, devices, image.Options{Cache: o.Cache})
	if err != nil {
		return nil, err
	}
	root, err := img.Root()
	if err != nil {
		return nil, err
	}
	im := &Image{img: img, owners: make(map[uint64]owner)}
	im.root = im.inode(root)
	return im, nil
}

// Superblock returns a copy of the superblock.
func (im *Image) Superblock() Superblock { return im.img.Super }

// Devices returns the table of extra devices.
func (im *Image) Devices() []Device {
	var list []Device
	in := im.img.Super.Incompat
	for i := 1; i < len(im.img.Devices); i++ {
		s := &im.img.Devices[i].Slot
		list = append(list, Device{Tag: text(s.Tag[:]), Blocks: s.Blocks(in), UniAddr: s.UniAddr(in)})
	}
	return list
}

// Label returns the volume name.
func (im *Image) Label() string { return text(im.img.Super.VolumeName[:]) }

// text returns b up to the first NUL.
func text(b []byte) string {
	for i, c := range b {
		if c == 0 {
			return string(b[:i])
		}
	}
	return string(b)
}
