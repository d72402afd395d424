package mount

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// param is a parameter of a file system context: a string, a file, or a flag, which has neither.
type param struct {
	key, value string
	file       *os.File
}

func (p param) String() string {
	if p.file != nil {
		return p.key + "=" + p.file.Name()
	}
	return p.key + "=" + p.value
}

func (p param) set(fs int) error {
	switch {
	case p.file != nil:
		return unix.FsconfigSetFd(fs, p.key, int(p.file.Fd()))
	case p.value != "":
		return unix.FsconfigSetString(fs, p.key, p.value)
	}
	return unix.FsconfigSetFlag(fs, p.key)
}

// mountFS is fsopen, fsconfig, fsmount, move_mount (fs/fsopen.c). attrs are MOUNT_ATTR_*.
func mountFS(fstype, target string, params []param, attrs int) error {
	fs, err := unix.Fsopen(fstype, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return noFS(fstype, target, err)
	}
	defer func() { _ = unix.Close(fs) }()
	for _, p := range params {
		if err := p.set(fs); err != nil {
			return refused(fs, fstype, target, p.String(), err)
		}
	}
	if err := unix.FsconfigCreate(fs); err != nil {
		return refused(fs, fstype, target, params[0].value, err)
	}
	mnt, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, attrs)
	if err != nil {
		return refused(fs, fstype, target, "fsmount", err)
	}
	defer func() { _ = unix.Close(mnt) }()
	err = unix.MoveMount(mnt, "", unix.AT_FDCWD, target, unix.MOVE_MOUNT_F_EMPTY_PATH)
	if err != nil {
		return fmt.Errorf("mount: %s at %s: %w", fstype, target, err)
	}
	return nil
}

func noFS(fstype, target string, err error) error {
	if errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("mount: %s at %s: this kernel has no %s: %w", fstype, target, fstype, errors.ErrUnsupported)
	}
	return fmt.Errorf("mount: %s at %s: %w", fstype, target, err)
}

// refused adds what the kernel wrote to the log of the context, one message by read, "e text".
func refused(fs int, fstype, target, what string, err error) error {
	var said []string
	buf := make([]byte, 4096)
	const maxMessages = 8 // the kernel keeps that many
	for range maxMessages {
		n, e := unix.Read(fs, buf)
		if e != nil || n <= 0 {
			break
		}
		said = append(said, strings.TrimSpace(strings.TrimPrefix(string(buf[:n]), "e ")))
	}
	if len(said) > 0 {
		return fmt.Errorf("mount: %s at %s: %s: %w (%s)", fstype, target, what, err, strings.Join(said, "; "))
	}
	if errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("mount: %s at %s: %s: %w (the kernel log may say why)", fstype, target, what, err)
	}
	return fmt.Errorf("mount: %s at %s: %s: %w", fstype, target, what, err)
}
