package convert

import (
	"os"

	"golang.org/x/sys/unix"
)

func insertRange(f *os.File, n int64) error {
	return unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_INSERT_RANGE, 0, n)
}
