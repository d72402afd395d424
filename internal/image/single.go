package image

import (
	"sort"

	"github.com/laminafs/lamina/internal/disk"
	"github.com/laminafs/lamina/internal/zmap"
)

// What follows are single steps for walks that go on behind an error, as package fsck does.

// PrefixError tells why the table of long xattr prefixes cannot be read; nil if it can.
func (im *Image) PrefixError() error { return im.noPrefix }

// Chunk tells where the chunk of an entry of the chunk array is. Logical and Len of the extent are not set.
func (im *Image) Chunk(i *Inode, c *disk.ChunkIndex) (Extent, error) { return im.chunk(i, c) }

// Encoded tells where the pcluster of an extent of a compressed inode is.
func (im *Image) Encoded(i *Inode, z *zmap.Extent) (Extent, error) { return im.encodedExtent(i, z) }

// DecodeExtent decodes a whole extent of a compressed inode into dst, which has its length, past the cache.
func (im *Image) DecodeExtent(i *Inode, z *zmap.Extent, dst []byte) error {
	return im.readPiece(i, &piece{e: *z, p: dst})
}

// DeviceOf returns the extra device that a device id on disk stands for, 0 for the primary one; it
// may be one that does not exist (erofs_map_dev).
func (im *Image) DeviceOf(id uint16) int { return int(id & im.idMask) }

// UnifiedDevice returns the extra device that has the block of the unified address space, 0 if none has.
func (im *Image) UnifiedDevice(block uint64) int {
	i := sort.Search(len(im.unified), func(i int) bool { return im.unified[i].start > block })
	if i > 0 && block-im.unified[i-1].start < im.unified[i-1].blocks {
		return im.unified[i-1].device
	}
	return 0
}
