package mount

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// kernel is the system that runs.
type kernel struct{}

func (kernel) mkdir(dir string) error { return os.Mkdir(dir, 0o700) }
func (kernel) rmdir(dir string) error { return os.Remove(dir) }

// stacked: "maximum fs stacking depth exceeded" is EINVAL, like much else.
func (kernel) stacked(err error) bool { return errors.Is(err, unix.EINVAL) }

// absent forgives that what is to be undone has been undone by a later step of the plan.
func absent(err error) error {
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
		return nil
	}
	return err
}

func (kernel) unmount(dir string) error { return Umount(dir, false) }

// Umount takes away the mount at dir; symbolic links in its last component are not followed. lazy
// detaches it at once even if it is in use.
func Umount(dir string, lazy bool) error {
	flags := unix.UMOUNT_NOFOLLOW
	if lazy {
		flags |= unix.MNT_DETACH
	}
	if err := unix.Unmount(dir, flags); err != nil {
		return fmt.Errorf("mount: umount %s: %w", dir, err)
	}
	return nil
}

// erofs mounts an image, through loop devices if told so or if the kernel refuses the file.
func (kernel) erofs(s Step) error {
	if !s.Loop {
		err := mountFS("erofs", s.Target, erofsOptions(s.Source, s.Devices))
		if !errors.Is(err, unix.ENOTBLK) {
			return err
		}
	}
	source, devices, release, err := attachAll(s)
	if err != nil {
		return err
	}
	defer release() // the mount keeps them; autoclear frees them with it
	return mountFS("erofs", s.Target, erofsOptions(source, devices))
}

// param is a parameter of a file system context; a flag has no value.
type param struct{ key, value string }

func erofsOptions(source string, devices []string) []param {
	params := []param{{"source", source}}
	for _, d := range devices {
		params = append(params, param{"device", d})
	}
	return append(params, param{"ro", ""})
}

func (kernel) overlay(s Step) error {
	if s.Joined {
		return overlayJoined(s)
	}
	params := []param{{"source", "lamina"}}
	for _, l := range s.Lowers {
		params = append(params, param{"lowerdir+", l})
	}
	if s.Upper != "" {
		params = append(params, param{"upperdir", s.Upper}, param{"workdir", s.Work})
	} else {
		params = append(params, param{"ro", ""})
	}
	return mountFS("overlay", s.Target, params)
}

// overlayJoined is mount(2) for kernels without lowerdir+; its options fit in a page.
func overlayJoined(s Step) error {
	escape := strings.NewReplacer(`\`, `\\`, `:`, `\:`, `,`, `\,`)
	lowers := make([]string, len(s.Lowers))
	for i, l := range s.Lowers {
		lowers[i] = escape.Replace(l)
	}
	data := "lowerdir=" + strings.Join(lowers, ":")
	flags := uintptr(unix.MS_RDONLY)
	if s.Upper != "" {
		data += ",upperdir=" + escape.Replace(s.Upper) + ",workdir=" + escape.Replace(s.Work)
		flags = 0
	}
	if len(data) >= os.Getpagesize() {
		return fmt.Errorf("mount: overlay at %s: %d layers need lowerdir+, which this kernel lacks: %w", s.Target, len(s.Lowers), errors.ErrUnsupported)
	}
	if err := unix.Mount("lamina", s.Target, "overlay", flags, data); err != nil {
		return fmt.Errorf("mount: overlay at %s: %w", s.Target, err)
	}
	return nil
}

// mountFS is fsopen, fsconfig, fsmount, move_mount (fs/fsopen.c).
func mountFS(fstype, target string, params []param) error {
	fs, err := unix.Fsopen(fstype, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return noFS(fstype, target, err)
	}
	defer func() { _ = unix.Close(fs) }()
	for _, p := range params {
		if p.value == "" {
			err = unix.FsconfigSetFlag(fs, p.key)
		} else {
			err = unix.FsconfigSetString(fs, p.key, p.value)
		}
		if err != nil {
			return refused(fs, fstype, target, p.key+"="+p.value, err)
		}
	}
	if err := unix.FsconfigCreate(fs); err != nil {
		return refused(fs, fstype, target, params[0].value, err)
	}
	mnt, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, 0)
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
	return fmt.Errorf("mount: %s at %s: %s: %w", fstype, target, what, err)
}

// TypeOf names the file system mounted at dir: "erofs", "overlay", or "" for another one and for a
// directory at which nothing is mounted.
func TypeOf(dir string) (string, error) {
	var st unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, dir, unix.AT_SYMLINK_NOFOLLOW, 0, &st); err != nil {
		return "", fmt.Errorf("mount: %s: %w", dir, err)
	}
	if st.Attributes&unix.STATX_ATTR_MOUNT_ROOT == 0 {
		return "", nil
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return "", fmt.Errorf("mount: %s: %w", dir, err)
	}
	switch uint32(fs.Type) {
	case unix.EROFS_SUPER_MAGIC_V1:
		return "erofs", nil
	case unix.OVERLAYFS_SUPER_MAGIC:
		return "overlay", nil
	}
	return "", nil
}
