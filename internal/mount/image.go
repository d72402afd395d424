package mount

import (
	"fmt"
	"strconv"
)

// ImageOptions are those of a file system image for what a container writes.
type ImageOptions struct {
	UUID string // of the file system; "": random
}

// Usage is what files take.
type Usage struct {
	Bytes  int64
	Inodes int64
}

// Sizes of images in bytes. Less than MinExt4 leaves little beside a journal, less than MinXFS is refused by mkfs.xfs.
const (
	MinExt4  = 16 << 20
	MinXFS   = 300 << 20
	MaxImage = 8 << 40
)

// imageBlock is the size of blocks of the file systems and of sectors of their loop devices: direct I/O on the file
// below wants its blocks, and they are no larger on any usual host.
const imageBlock = 4096

// ext4Features are given one by one: mke2fs.conf of a newer distribution names some that the kernel of the host may lack.
const ext4Features = "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,sparse_super," +
	"large_file,huge_file,dir_nlink,extra_isize,metadata_csum"

// ext4Args are those of mkfs.ext4. No block is reserved for root: all is the container's. With discard mkfs knows that
// the new file reads as zeros and writes no inode tables, nor leaves them to the kernel (a 10 GiB image takes 4 MiB of
// the disk; 230 with nodiscard), and the same holds for the journal with lazy_journal_init. The journal stays: it costs
// nothing that could be measured, and without it an upper directory would need fsck after a crash of the host, which
// nobody runs.
func ext4Args(path string, size int64, o ImageOptions) []string {
	journal := min(max(size/128, 4<<20), 64<<20) >> 20
	args := []string{
		"-q", "-F", "-b", strconv.Itoa(imageBlock), "-I", "256", "-i", "16384", "-m", "0", "-O", ext4Features,
		"-J", "size=" + strconv.FormatInt(journal, 10), "-E", "discard,lazy_itable_init=1,lazy_journal_init=1",
	}
	if o.UUID != "" {
		args = append(args, "-U", o.UUID)
	}
	return append(args, path)
}

// xfsArgs are those of mkfs.xfs, whose log takes 64 MiB of the disk at once.
func xfsArgs(path string, o ImageOptions) []string {
	args := []string{"-q", "-K", "-s", "size=" + strconv.Itoa(imageBlock)}
	if o.UUID != "" {
		args = append(args, "-m", "uuid="+o.UUID)
	}
	return append(args, path)
}

func checkSize(path string, size, least int64) error {
	if size < least || size > MaxImage {
		return fmt.Errorf("mount: image %s: size %d: must be %d to %d", path, size, least, int64(MaxImage))
	}
	return nil
}

// emptied is what the file system itself takes, as text for an extended attribute.
func (u Usage) emptied() string { return fmt.Sprintf("%d %d", u.Bytes, u.Inodes) }

func parseEmptied(s string) (u Usage, err error) {
	if _, err = fmt.Sscanf(s, "%d %d", &u.Bytes, &u.Inodes); err != nil {
		return Usage{}, fmt.Errorf("%q: %w", s, err)
	}
	return u, nil
}
