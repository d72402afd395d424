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
func (kernel) detach(dir string) error  { return Umount(dir, true) }

func (kernel) scratch(dir string) error {
	return mountFS("tmpfs", dir, []param{{key: "source", value: "lamina"}, {key: "mode", value: "0700"}}, 0)
}

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
		err := mountErofs(s.Target, s.Source, s.Devices)
		if !errors.Is(err, unix.ENOTBLK) {
			return err
		}
	}
	source, devices, release, err := attachAll(s)
	if err != nil {
		return err
	}
	defer release() // the mount keeps them; autoclear frees them with it
	return mountErofs(s.Target, source, devices)
}

// mountErofs mounts by fsconfig(2), which takes any number of devices, or by mount(2), which takes long names.
func mountErofs(target, source string, devices []string) error {
	params := []param{{key: "source", value: source}}
	long := len(source) > maxString
	for _, d := range devices {
		params = append(params, param{key: "device", value: d})
		long = long || len(d) > maxString
	}
	if !long {
		return mountFS("erofs", target, append(params, param{key: "ro"}), 0)
	}
	var options []string
	for _, p := range params[1:] {
		if strings.Contains(p.value, ",") {
			return fmt.Errorf("mount: erofs at %s: %s: a comma in a name beyond %d bytes: %w", target, p.value, maxString, errors.ErrUnsupported)
		}
		options = append(options, p.String())
	}
	if !OptionsFit(options) {
		return fmt.Errorf("mount: erofs at %s: %d devices with names beyond %d bytes: %w", target, len(devices), maxString, errors.ErrUnsupported)
	}
	if err := unix.Mount(source, target, "erofs", unix.MS_RDONLY, strings.Join(options, ",")); err != nil {
		return fmt.Errorf("mount: erofs at %s: %s: %w", target, source, err)
	}
	return nil
}
