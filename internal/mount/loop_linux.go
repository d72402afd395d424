package mount

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// maxAttach bounds the tries to get a free loop device: others take them too.
const maxAttach = 64

// attachAll puts loop devices before the image and the devices of a step that are regular files.
// release closes the descriptors that hold them.
func attachAll(s Step) (source string, devices []string, release func(), err error) {
	var open []*os.File
	release = func() {
		for _, f := range open {
			_ = f.Close()
		}
	}
	for _, path := range append([]string{s.Source}, s.Devices...) {
		st, err := os.Stat(path)
		if err != nil {
			release()
			return "", nil, nil, fmt.Errorf("mount: %w", err)
		}
		if st.Mode().IsRegular() {
			f, err := attach(path)
			if err != nil {
				release()
				return "", nil, nil, err
			}
			open = append(open, f)
			path = f.Name()
		}
		devices = append(devices, path)
	}
	return devices[0], devices[1:], release, nil
}

// attach sets up a read-only loop device that vanishes with its last user.
func attach(path string) (*os.File, error) {
	back, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("mount: %w", err)
	}
	defer func() { _ = back.Close() }()
	ctl, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("mount: loop device for %s: %w", path, err)
	}
	defer func() { _ = ctl.Close() }()
	for range maxAttach {
		var loop *os.File
		if loop, err = attachFree(ctl, back); err == nil {
			return loop, nil
		}
		if !errors.Is(err, unix.EBUSY) && !errors.Is(err, unix.ENXIO) {
			break
		}
	}
	return nil, fmt.Errorf("mount: loop device for %s: %w", path, err)
}

func attachFree(ctl, back *os.File) (*os.File, error) {
	n, err := unix.IoctlRetInt(int(ctl.Fd()), unix.LOOP_CTL_GET_FREE)
	if err != nil {
		return nil, err
	}
	loop, err := os.OpenFile(fmt.Sprintf("/dev/loop%d", n), os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	config := unix.LoopConfig{
		Fd:   uint32(back.Fd()),
		Info: unix.LoopInfo64{Flags: unix.LO_FLAGS_READ_ONLY | unix.LO_FLAGS_AUTOCLEAR},
	}
	copy(config.Info.File_name[:len(config.Info.File_name)-1], back.Name())
	if err := unix.IoctlLoopConfigure(int(loop.Fd()), &config); err != nil {
		_ = loop.Close()
		return nil, err
	}
	return loop, nil
}
