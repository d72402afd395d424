package erofs

import "github.com/laminafs/lamina/internal/disk"

// MetaSize returns the bytes that the inode itself and its xattr area take.
func (i *Inode) MetaSize() (inode, xattrs int64) {
	return i.raw.HeadSize(), disk.XattrAreaSize(i.raw.XattrICount)
}
