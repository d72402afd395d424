package mount

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// loopMode is how a file is attached. The zero value is read-only, with sectors of 512 bytes.
type loopMode struct {
	writable bool // and direct I/O, where the file system of the file has it
	block    uint32
}

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
			f, err := attach(path, loopMode{})
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

// maxAttach bounds the tries to get a free loop device, with a pause of a millisecond each: other processes take them too.
const maxAttach = 1000

// attaching lets one goroutine at a time look for a free loop device: all would find the same.
var attaching sync.Mutex

// attach sets up a loop device that vanishes with its last user. The name of the file is the path of the device.
func attach(path string, m loopMode) (*os.File, error) {
	mode := os.O_RDONLY
	if m.writable {
		mode = os.O_RDWR
	}
	back, err := os.OpenFile(path, mode, 0)
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
		if loop, err = attachFree(ctl, back, m); err == nil {
			return loop, nil
		}
		if !errors.Is(err, unix.EBUSY) && !errors.Is(err, unix.ENXIO) {
			break
		}
		time.Sleep(time.Millisecond)
	}
	return nil, fmt.Errorf("mount: loop device for %s: %w", path, err)
}

func attachFree(ctl, back *os.File, m loopMode) (*os.File, error) {
	attaching.Lock()
	defer attaching.Unlock()
	n, err := unix.IoctlRetInt(int(ctl.Fd()), unix.LOOP_CTL_GET_FREE)
	if err != nil {
		return nil, err
	}
	mode, flags := os.O_RDONLY, uint32(unix.LO_FLAGS_READ_ONLY)
	if m.writable {
		mode, flags = os.O_RDWR, unix.LO_FLAGS_DIRECT_IO
	}
	loop, err := os.OpenFile(fmt.Sprintf("/dev/loop%d", n), mode, 0)
	if err != nil {
		return nil, err
	}
	config := unix.LoopConfig{
		Fd:   uint32(back.Fd()),
		Size: m.block,
		Info: unix.LoopInfo64{Flags: flags | unix.LO_FLAGS_AUTOCLEAR},
	}
	copy(config.Info.File_name[:len(config.Info.File_name)-1], back.Name())
	if err := unix.IoctlLoopConfigure(int(loop.Fd()), &config); err != nil {
		_ = loop.Close()
		return nil, err
	}
	return loop, nil
}
