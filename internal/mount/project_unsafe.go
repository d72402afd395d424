//go:build linux

package mount

import (
	"errors"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// fileAttr are attributes of a file (struct fsxattr, include/uapi/linux/fs.h).
type fileAttr struct {
	flags                  uint32
	extsize, extents       uint32
	project                uint32
	cowExtsize, pad0, pad1 uint32
}

// quota of a project (struct if_dqblk, include/uapi/linux/quota.h). Limits are in quotaUnit, space is in bytes.
type quota struct {
	hard, soft, space              uint64
	inodesHard, inodesSoft, inodes uint64
	graceSpace, graceInodes        uint64
	valid                          uint32
	_                              uint32
}

const (
	projectInherit = 0x200 // FS_XFLAG_PROJINHERIT
	blockLimits    = 1     // QIF_BLIMITS
	prjQuota       = 2     // PRJQUOTA
	getQuotaCmd    = 0x800007<<8 | prjQuota
	setQuotaCmd    = 0x800008<<8 | prjQuota
)

// The numbers of FS_IOC_FSGETXATTR, _IOR('X', 31, struct fsxattr), and FS_IOC_FSSETXATTR, _IOW('X', 32, ...): the bits of
// the direction are the architecture's.
const (
	direction    = 7 << 29
	attrNumber   = 28<<16 | 'X'<<8
	getAttrIoctl = unix.FS_IOC_GETFLAGS&direction | attrNumber | 31
	setAttrIoctl = unix.FS_IOC_SETFLAGS&direction | attrNumber | 32
)

func getAttr(f *os.File) (a fileAttr, err error) {
	_, _, e := unix.Syscall(unix.SYS_IOCTL, f.Fd(), getAttrIoctl, uintptr(unsafe.Pointer(&a)))
	return a, projectResult(f, e)
}

func setAttr(f *os.File, a fileAttr) error {
	_, _, e := unix.Syscall(unix.SYS_IOCTL, f.Fd(), setAttrIoctl, uintptr(unsafe.Pointer(&a)))
	return projectResult(f, e)
}

func setQuota(f *os.File, id uint32, q *quota) error {
	_, _, e := unix.Syscall6(unix.SYS_QUOTACTL_FD, f.Fd(), setQuotaCmd, uintptr(id), uintptr(unsafe.Pointer(q)), 0, 0)
	return projectResult(f, e)
}

// getQuota returns zeros for a project that the file system has not seen yet.
func getQuota(f *os.File, id uint32) (q quota, err error) {
	_, _, e := unix.Syscall6(unix.SYS_QUOTACTL_FD, f.Fd(), getQuotaCmd, uintptr(id), uintptr(unsafe.Pointer(&q)), 0, 0)
	if errors.Is(e, unix.ENOENT) {
		return quota{}, nil
	}
	return q, projectResult(f, e)
}

func projectResult(f *os.File, e unix.Errno) error {
	runtime.KeepAlive(f)
	if e == 0 {
		return nil
	}
	return projectError(f, e)
}
