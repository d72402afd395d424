package convert

import (
	"os"

	"golang.org/x/sys/unix"
)

func insertRange(f *os.File, n int64) error {
	return unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_INSERT_RANGE, 0, n)
}

// startWriteback asks the kernel to begin writing a range; a hint, so its error does not matter.
func startWriteback(f *os.File, off, n int64) {
	_ = unix.SyncFileRange(int(f.Fd()), off, n, unix.SYNC_FILE_RANGE_WRITE)
}
