package mount

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Overlay mounts an overlay at the existing directory target. The options go to the kernel one by one, so neither their
// number nor the length of all is bounded, except by kernels without lowerdir+ (before 6.7), where they must fit a page.
// Errors carry what the kernel wrote to the log of the mount. Nothing is left after an error.
//
// IDMap needs file systems that can map ids; others give an error that matches errors.ErrUnsupported. Kernels that do not
// take detached mounts as layers (before 6.15) get mount points for them, in a directory beside target, in passing.
func Overlay(target string, o OverlayOptions) error {
	if err := o.validate(target); err != nil {
		return err
	}
	lowers, release, err := o.layers()
	if err != nil {
		return err
	}
	defer release()
	err = overlayParams(target, o, lowers)
	if err == nil || !errors.Is(err, unix.EINVAL) {
		return err
	}
	if o.IDMap != nil {
		return overlayScratch(target, o, lowers)
	}
	if k, e := hasLowerdir(); e != nil || k {
		return err // not the reason
	}
	return overlayJoined(target, o)
}

// overlayScratch attaches detached layers in a directory of its own, which is gone afterwards.
func overlayScratch(target string, o OverlayOptions, layers []param) (err error) {
	dir, err := os.MkdirTemp(filepath.Dir(target), ".layers-")
	if err != nil {
		return fmt.Errorf("mount: overlay at %s: %w", target, err)
	}
	defer func() { err = errors.Join(err, os.Remove(dir)) }()
	if err := (kernel{}).scratch(dir); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, Umount(dir, true)) }()
	o.Lowers, o.IDMap = nil, nil
	for i, l := range layers {
		at := filepath.Join(dir, strconv.Itoa(i))
		if err := os.Mkdir(at, 0o700); err != nil {
			return fmt.Errorf("mount: overlay at %s: %w", target, err)
		}
		if err := attachTree(l.file, at); err != nil {
			return err
		}
		o.Lowers = append(o.Lowers, at)
	}
	return Overlay(target, o)
}

func (kernel) overlay(s Step) error {
	o := OverlayOptions{Lowers: s.Lowers, Upper: s.Upper, Work: s.Work}
	if s.Joined {
		return overlayJoined(s.Target, o)
	}
	lowers, release, err := o.layers()
	if err != nil {
		return err
	}
	defer release()
	return overlayParams(s.Target, o, lowers)
}

// maxString is the longest value that fsconfig(2) takes as a string (FSCONFIG_SET_STRING, fs/fsopen.c).
const maxString = 255

// layers makes parameters of the lower directories: paths, or files where the kernel does not take the path or ids are
// mapped. release closes the files.
func (o *OverlayOptions) layers() (lowers []param, release func(), err error) {
	release = func() {
		for _, p := range lowers {
			if p.file != nil {
				_ = p.file.Close()
			}
		}
	}
	var ns *os.File
	if o.IDMap != nil {
		if ns, err = o.IDMap.Namespace(); err != nil {
			return nil, nil, err
		}
		defer func() { _ = ns.Close() }()
	}
	for _, l := range o.Lowers {
		var p param
		if ns == nil {
			p, err = pathParam("lowerdir+", l)
		} else {
			p.key = "lowerdir+"
			p.file, err = mapped(l, ns)
		}
		if err != nil {
			release()
			return nil, nil, err
		}
		lowers = append(lowers, p)
	}
	return lowers, release, nil
}

// pathParam is a directory given by its name, or by a file if the name is too long (Linux 6.13).
func pathParam(key, path string) (param, error) {
	if len(path) <= maxString {
		return param{key: key, value: path}, nil
	}
	f, err := os.OpenFile(path, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return param{}, fmt.Errorf("mount: %w", err)
	}
	return param{key: key, file: f}, nil
}

func overlayParams(target string, o OverlayOptions, lowers []param) error {
	params := []param{{key: "source", value: o.source()}}
	attrs := 0
	for _, opt := range o.Options {
		if a, ok := attributes[opt]; ok {
			attrs |= a.attr
			continue
		}
		key, value, _ := strings.Cut(unquoted(opt), "=")
		params = append(params, param{key: key, value: value})
	}
	params = append(params, lowers...)
	if o.Upper == "" {
		return mountFS("overlay", target, append(params, param{key: "ro"}), attrs)
	}
	for _, d := range []param{{key: "upperdir", value: o.Upper}, {key: "workdir", value: o.Work}} {
		p, err := pathParam(d.key, d.value)
		if err != nil {
			return err
		}
		if p.file != nil {
			defer func() { _ = p.file.Close() }()
		}
		params = append(params, p)
	}
	return mountFS("overlay", target, params, attrs)
}

// attributes are options of a mount, not of the file system: for fsmount(2) and for mount(2).
var attributes = map[string]struct {
	attr int
	flag uintptr
}{
	"nosuid":      {unix.MOUNT_ATTR_NOSUID, unix.MS_NOSUID},
	"nodev":       {unix.MOUNT_ATTR_NODEV, unix.MS_NODEV},
	"noexec":      {unix.MOUNT_ATTR_NOEXEC, unix.MS_NOEXEC},
	"noatime":     {unix.MOUNT_ATTR_NOATIME, unix.MS_NOATIME},
	"nodiratime":  {unix.MOUNT_ATTR_NODIRATIME, unix.MS_NODIRATIME},
	"strictatime": {unix.MOUNT_ATTR_STRICTATIME, unix.MS_STRICTATIME},
	"relatime":    {unix.MOUNT_ATTR_RELATIME, unix.MS_RELATIME},
	"suid":        {}, "dev": {}, "exec": {}, "rw": {}, // what is so anyway
}

// overlayJoined is mount(2) for kernels without lowerdir+; its options fit in a page.
func overlayJoined(target string, o OverlayOptions) error {
	flags := uintptr(0)
	var data []string
	for _, opt := range o.Strings() {
		if a, ok := attributes[opt]; ok {
			flags |= a.flag
			continue
		}
		if opt == "ro" {
			flags |= unix.MS_RDONLY
			continue
		}
		data = append(data, opt)
	}
	if o.Upper == "" {
		flags |= unix.MS_RDONLY
	}
	if !OptionsFit(data) {
		return fmt.Errorf("mount: overlay at %s: %d layers need lowerdir+, which this kernel lacks: %w", target, len(o.Lowers), errors.ErrUnsupported)
	}
	if err := unix.Mount(o.source(), target, "overlay", flags, strings.Join(data, ",")); err != nil {
		return fmt.Errorf("mount: overlay at %s: %w", target, err)
	}
	return nil
}

// hasLowerdir tells whether overlayfs knows lowerdir+; a kernel without overlayfs does not.
func hasLowerdir() (bool, error) {
	fs, err := unix.Fsopen("overlay", unix.FSOPEN_CLOEXEC)
	if errors.Is(err, unix.ENODEV) {
		return false, nil
	}
	if err != nil {
		return false, probeError("overlay", err)
	}
	defer func() { _ = unix.Close(fs) }()
	return unix.FsconfigSetString(fs, "lowerdir+", "/") == nil, nil
}
