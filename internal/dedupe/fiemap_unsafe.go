//go:build linux

package dedupe

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// extentMap is struct fiemap with room for one extent (include/uapi/linux/fiemap.h).
type extentMap struct {
	start, length            uint64
	flags, n, room, reserved uint32
	extent                   mapped
}

// mapped is struct fiemap_extent.
type mapped struct {
	logical, physical, length uint64
	_                         [2]uint64
	flags                     uint32
	_                         [3]uint32
}

const (
	fiemap        = 0xc020660b // FS_IOC_FIEMAP
	fiemapUnknown = 0x2 | 0x8  // FIEMAP_EXTENT_UNKNOWN, FIEMAP_EXTENT_ENCODED: the place says nothing
)

// extentAt returns the first extent of the disk in n bytes of a file, if there is one.
func extentAt(f *os.File, pos, n int64) (e mapped, ok bool, err error) {
	m := extentMap{start: uint64(pos), length: uint64(n), room: 1}
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), fiemap, uintptr(unsafe.Pointer(&m)))
	if errno != 0 {
		return mapped{}, false, errno
	}
	return m.extent, m.n > 0, nil
}
