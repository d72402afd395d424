package mount

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// MountGuest mounts read-only, at dir, what an ext4 image holds that a guest may have written to, its device too, and
// that it may be writing to now. The kernel trusts the structures of ext4, so it does not get those of the guest: it gets
// a copy, beside the image, that e2fsck has checked, with the journal replayed; that is gone with the mount. What e2fsck
// will not put right by itself is refused. No program, device or owner in it counts (noexec, nodev, nosuid).
func MountGuest(ctx context.Context, image, dir string) error {
	copied, err := copyImage(ctx, image)
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(copied) }() // the loop device holds it
	if err := mend(ctx, copied); err != nil {
		return err
	}
	loop, err := attach(copied, loopMode{block: imageBlock})
	if err != nil {
		return err
	}
	defer func() { _ = loop.Close() }() // the mount keeps it
	params := []param{{key: "source", value: loop.Name()}, {key: "ro"}, {key: "noload"}, {key: "errors", value: "remount-ro"}}
	return mountFS("ext4", dir, params, unix.MOUNT_ATTR_RDONLY|unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC)
}

// CheckGuest lets e2fsck replay the journal of an ext4 image that nobody has mounted, and mend what it can without a
// question; an error says what is wrong beyond that. An image that somebody has open for writing is refused: a virtual
// machine runs on it, whose file system would be changed below it.
func CheckGuest(ctx context.Context, image string) error {
	if err := notWritten(ctx, image); err != nil {
		return err
	}
	return mend(ctx, image)
}

// mend lets e2fsck work on an image that nobody else has.
func mend(ctx context.Context, image string) error {
	fstype, err := imageType(image)
	if err == nil && fstype != "ext4" {
		err = fmt.Errorf("mount: image %s: %s, not ext4: %w", image, fstype, errors.ErrUnsupported)
	}
	if err != nil {
		return err
	}
	program, err := find("e2fsck")
	if err != nil {
		return fmt.Errorf("mount: image %s was written by a guest and has to be checked: %w", image, err)
	}
	var said tail
	cmd := exec.CommandContext(ctx, program, "-f", "-p", image)
	cmd.Env, cmd.Stdout, cmd.Stderr = []string{"LC_ALL=C"}, &said, &said
	err = cmd.Run()
	const mended = 1 // e2fsck(8): errors corrected
	if exit := (*exec.ExitError)(nil); err == nil || errors.As(err, &exit) && exit.ExitCode() == mended {
		return nil
	}
	return fmt.Errorf("mount: image %s was written by a guest and is damaged: e2fsck: %w: %q", image, errors.Join(err, ctx.Err()), bytes.TrimSpace(said))
}

// notWritten is an error if somebody has a file open for writing, and keeps it so: then there is no lease of it
// (F_SETLEASE, fcntl(2)). Where a file system has no leases, nobody can tell.
func notWritten(ctx context.Context, path string) error {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return fmt.Errorf("mount: image: %w", err)
	}
	defer func() { _ = f.Close() }() // gives the lease up
	const patience = time.Second     // for programs that are being started, and for what was just closed
	for end := time.Now().Add(patience); ; {
		_, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_WRLCK)
		if !errors.Is(err, unix.EAGAIN) {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("mount: image %s: a virtual machine, or another program, has it open for writing: %w", path, unix.EBUSY)
		}
		if err := sleep(ctx, maxPause); err != nil {
			return err
		}
	}
}

// tail is the end of what is written to it, at most maxTail bytes: e2fsck has a line for each inode that it mends, and
// the guest decides how many that are.
type tail []byte

const maxTail = 512

// Write implements io.Writer.
func (t *tail) Write(b []byte) (int, error) {
	all := append(*t, b[max(0, len(b)-maxTail):]...)
	*t = append((*t)[:0], all[max(0, len(all)-maxTail):]...)
	return len(b), nil
}

// copyImage copies an image to a new file beside it: by sharing its blocks, or else its data, and not its holes.
func copyImage(ctx context.Context, image string) (path string, err error) {
	src, err := os.OpenFile(image, os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return "", fmt.Errorf("mount: image: %w", err)
	}
	defer func() { _ = src.Close() }() // only read
	dst, err := os.CreateTemp(filepath.Dir(image), "guest-*.img")
	if err != nil {
		return "", fmt.Errorf("mount: image: %w", err)
	}
	if err = unix.IoctlFileClone(int(dst.Fd()), int(src.Fd())); err != nil {
		err = copyData(ctx, dst, src)
	}
	if err = errors.Join(err, dst.Close()); err != nil {
		_ = os.Remove(dst.Name())
		return "", fmt.Errorf("mount: copy of image %s: %w", image, err)
	}
	return dst.Name(), nil
}

// copyData copies what is no hole; both files end up of one length.
func copyData(ctx context.Context, dst, src *os.File) error {
	info, err := src.Stat()
	if err == nil {
		err = dst.Truncate(info.Size())
	}
	if err != nil {
		return err
	}
	const part = 64 << 20 // between two looks at ctx
	for at := int64(0); at < info.Size(); {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		start, err := src.Seek(at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			return nil
		}
		if err != nil {
			return err
		}
		end, err := src.Seek(start, unix.SEEK_HOLE)
		if err != nil {
			return err
		}
		end = min(end, start+part, info.Size())
		if _, err = dst.Seek(start, io.SeekStart); err == nil {
			_, err = src.Seek(start, io.SeekStart)
		}
		if err == nil {
			_, err = io.CopyN(dst, src, end-start)
		}
		if err != nil {
			return err
		}
		at = end
	}
	return nil
}
