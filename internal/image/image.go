// Package image is what everything that reads an EROFS image shares: the checked superblock, the
// devices, inodes, block mapping, directory blocks and extended attributes, each as one small step
// that returns what is on disk or an error. It keeps no state but caches of bytes, as they are on disk and
// decoded.
//
// Nothing here recurses or walks: walks are for package erofs, complete reports for package fsck.
// Every number read from disk is checked in Window before it becomes an index or a length.
package image

import (
	"io"
	"sync/atomic"

	"github.com/laminafs/lamina/internal/disk"
)

// Image is an opened image. It may be used by several goroutines.
type Image struct {
	Super   disk.Superblock
	Devices []Device // Devices[0] is the primary device, i the extra device of slot i-1
	Flat    bool     // extra devices lie in the primary one, at their unified addresses

	bits     uint8
	metaBase int64 // byte address of NID 0
	idMask   uint16
	unified  []span // of the extra devices, ascending
	prefixes []disk.LongPrefix
	noPrefix error // why long prefixes cannot be read

	limits    limits
	records   [disk.ZSTD + 1][]byte // of the algorithms, nil: none that is valid
	packed    *Inode                // nil if there is none
	noPacked  error                 // why it cannot be read
	metabox   *Window               // on its decoded data; nil if there is none
	noMetabox error                 // why it cannot be read
	maps      [openMaps]atomic.Pointer[openMap]
	cache     *pclusters
}

// Options of Open.
type Options struct {
	// Report, if not nil, is called for every error that does not keep Open from going on: Devices
	// lacks what comes behind a broken slot. If it is nil the first one ends Open, as it ends a mount.
	Report func(error)
	// Cache bounds the bytes of decoded pclusters that are kept, and is MinCache at least.
	Cache int
}

func (o Options) broken(err error) error {
	if err == nil || o.Report == nil {
		return err
	}
	o.Report(err)
	return nil
}

// Open reads and checks the superblock, the device table, the metabox and the packed inode and the table of
// long xattr prefixes as erofs_fc_fill_super does (fs/erofs/super.c, Linux 6.18). devices are the extra devices in the
// order of their slots: all of them, or none, which means that the image is flattened (section 6).
func Open(r io.ReaderAt, devices []io.ReaderAt, o Options) (*Image, error) {
	im := &Image{Devices: []Device{{Window: NewWindow(r, "")}}, cache: newPclusters(o.Cache)}
	for _, step := range []func(Options) error{im.openSuper, im.checkSuper, im.checkSum, im.openConfigs} {
		if err := step(o); err != nil {
			return nil, err
		}
	}
	if err := o.broken(im.openDevices(devices, o)); err != nil {
		return nil, err
	}
	if err := im.openSpecial(o); err != nil {
		return nil, err
	}
	if err := im.openPrefixes(); err != nil {
		if im.noPrefix = err; o.broken(err) != nil {
			return nil, err
		}
	}
	return im, nil
}

// BlockBits returns log2 of the block size, from disk.MinBlockBits to disk.MaxBlockBits.
func (im *Image) BlockBits() uint8 { return im.bits }

// BlockSize returns the block size in bytes.
func (im *Image) BlockSize() int64 { return 1 << im.bits }

// Root returns the inode of the root directory.
func (im *Image) Root() (Inode, error) {
	root, err := im.Inode(im.Super.RootNID())
	if err == nil && !root.IsDir() {
		err = root.bad("i_mode", root.Mode, "the root is not a directory")
	}
	return root, err
}
