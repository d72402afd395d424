package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"

	"github.com/containerd/errdefs"

	"github.com/laminafs/lamina/internal/disk"
)

// damage says that the file of a blob is missing, or not what was published.
type damage struct {
	path string
	why  error
}

// Error implements error.
func (d *damage) Error() string { return fmt.Sprintf("store: %s: damaged: %v", d.path, d.why) }

// Unwrap gives what is wrong with the file.
func (d *damage) Unwrap() error { return d.why }

// Is matches ErrNotFound: a damaged blob is to be published again.
func (d *damage) Is(target error) bool { return target == errdefs.ErrNotFound }

var headers = sync.Pool{New: func() any { return new([disk.SuperOffset + maxSum]byte) }}

// maxSum is the most that the checksum of a superblock covers: a block of 64 KiB less what is before it.
const maxSum = 1<<disk.MaxBlockBits - disk.SuperOffset

// headSize is what is read of an image at first: all, with blocks of 4 KiB or less.
const headSize = 4096

// check compares the files of a blob with its record: length, superblock, its checksum. Data is not read. It
// costs two to four system calls per file. A *damage is what no retry will mend; other errors say nothing of the blob.
func (s *Store) check(b *Blob) error {
	if err := checkImage(s.image(b.Key), b.Size); err != nil {
		return err
	}
	for _, d := range b.Devices {
		if err := checkFile(s.device(b.Key), d.Size); err != nil {
			return err
		}
	}
	return nil
}

// checkFile checks the length of a device.
func checkFile(path string, size int64) error {
	info, err := os.Lstat(path)
	if err != nil {
		return judge(path, err)
	}
	return checkLength(path, info, size)
}

// judge wraps an error: a *damage if it says that the file is lost.
func judge(path string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, io.EOF), isDiskError(err):
		return &damage{path, err}
	}
	return fmt.Errorf("store: %s: %w", path, err)
}

func checkLength(path string, info fs.FileInfo, size int64) error {
	if !info.Mode().IsRegular() {
		return &damage{path, errors.New("not a regular file")}
	}
	if info.Size() != size {
		return &damage{path, fmt.Errorf("%d bytes: published with %d", info.Size(), size)}
	}
	return nil
}

// checkImage checks a file that is to be an EROFS image of a certain size.
func checkImage(path string, size int64) error {
	f, err := os.OpenFile(path, os.O_RDONLY|noFollow, 0)
	if err != nil {
		return judge(path, err)
	}
	defer func() { _ = f.Close() }() // only read
	info, err := f.Stat()
	if err != nil {
		return judge(path, err)
	}
	if err := checkLength(path, info, size); err != nil {
		return err
	}
	return checkSuper(f, path)
}

// checkSuper reads the superblock and verifies its checksum, if it has one.
func checkSuper(r io.ReaderAt, path string) error {
	buf := headers.Get().(*[disk.SuperOffset + maxSum]byte)
	defer headers.Put(buf)
	n, err := r.ReadAt(buf[:headSize], 0)
	if err != nil && (n < disk.SuperOffset+disk.SuperSize || !errors.Is(err, io.EOF)) {
		return judge(path, err)
	}
	var sb disk.Superblock
	sb.Decode((*[disk.SuperSize]byte)(buf[disk.SuperOffset:]))
	if sb.Magic != disk.Magic {
		return &damage{path, fmt.Errorf("magic %#x: not an EROFS image", sb.Magic)}
	}
	if sb.BlockBits < disk.MinBlockBits || sb.BlockBits > disk.MaxBlockBits {
		return &damage{path, fmt.Errorf("blkszbits %d", sb.BlockBits)}
	}
	if sb.Compat&disk.HasChecksum == 0 {
		return nil
	}
	off, length := disk.ChecksumRange(sb.BlockBits)
	end := off + length
	if end > headSize {
		if n, err = r.ReadAt(buf[:end], 0); err != nil && n < int(end) {
			return judge(path, err)
		}
	}
	if int64(n) < end {
		return &damage{path, io.ErrUnexpectedEOF}
	}
	if sum := disk.Checksum(buf[off:end]); sum != sb.Checksum {
		return &damage{path, fmt.Errorf("superblock: checksum %#x: the block has %#x", sb.Checksum, sum)}
	}
	return nil
}
