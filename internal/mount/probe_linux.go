package mount

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Probe tries what the kernel can do with images that lie in dir. It needs the right to mount; nothing
// is mounted.
func Probe(dir string) (Kernel, error) {
	var k Kernel
	var err error
	if k.FileBacked, err = probeFile(dir); err != nil {
		return k, err
	}
	k.LowerdirPlus, err = hasLowerdir()
	return k, err
}

// probeFile offers an empty file as an image. ENOTBLK: files are refused. Anything else: the
// content is.
func probeFile(dir string) (bool, error) {
	file, err := os.CreateTemp(dir, ".lamina-probe-")
	if err != nil {
		return false, fmt.Errorf("mount: probe: %w", err)
	}
	defer func() { _ = file.Close() }()
	if err := os.Remove(file.Name()); err != nil {
		return false, fmt.Errorf("mount: probe: %w", err)
	}
	fs, err := unix.Fsopen("erofs", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return false, probeError("erofs", err)
	}
	defer func() { _ = unix.Close(fs) }()
	if err := unix.FsconfigSetString(fs, "source", fmt.Sprintf("/proc/self/fd/%d", file.Fd())); err != nil {
		return false, fmt.Errorf("mount: probe: source: %w", err)
	}
	err = unix.FsconfigCreate(fs)
	if errors.Is(err, unix.EPERM) {
		return false, probeError("erofs", err)
	}
	return !errors.Is(err, unix.ENOTBLK), nil
}

func probeError(fstype string, err error) error {
	switch {
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("mount: %s: mounting needs root: %w", fstype, err)
	case errors.Is(err, unix.ENODEV):
		return fmt.Errorf("mount: %s: not in this kernel: %w", fstype, errors.ErrUnsupported)
	}
	return fmt.Errorf("mount: %s: %w", fstype, err)
}
