package erofs

import "github.com/laminafs/lamina/internal/disk"

// StoredSize returns the bytes that the data takes on disk: of a compressed file the blocks that the inode
// counts, which a writer may leave at 0; without those of the packed inode.
func (i *Inode) StoredSize() int64 {
	if !i.raw.Compressed() {
		return i.Size
	}
	return int64(min(i.raw.Start, 1<<47>>i.im.img.BlockBits())) << i.im.img.BlockBits()
}

// MetaSize returns the bytes that the inode itself and its xattr area take.
func (i *Inode) MetaSize() (inode, xattrs int64) {
	return i.raw.HeadSize(), disk.XattrAreaSize(i.raw.XattrICount)
}
