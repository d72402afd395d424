package mount

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

const immutable = 0x10 // FS_IMMUTABLE_FL (include/uapi/linux/fs.h)

// SetImmutable sets or clears the immutable flag of a file or directory: while it is set nobody, root included, writes,
// renames, links or deletes it, or makes files in it. Symbolic links are refused. The flag is durable when the file has
// been synced. A file system without it gives an error that matches errors.ErrUnsupported.
func SetImmutable(path string, on bool) error {
	f, err := os.OpenFile(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if err != nil {
		return fmt.Errorf("mount: immutable: %w", err)
	}
	defer func() { _ = f.Close() }()
	fd := int(f.Fd())
	flags, err := unix.IoctlGetUint32(fd, unix.FS_IOC_GETFLAGS)
	if err == nil {
		want := flags &^ immutable
		if on {
			want |= immutable
		}
		if want == flags {
			return nil
		}
		err = unix.IoctlSetPointerInt(fd, unix.FS_IOC_SETFLAGS, int(want))
	}
	switch {
	case errors.Is(err, unix.ENOTTY) || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS):
		return fmt.Errorf("mount: immutable: %s: the file system has no such flag: %w", path, errors.ErrUnsupported)
	case err != nil:
		return fmt.Errorf("mount: immutable: %s: %w", path, err)
	}
	return nil
}
