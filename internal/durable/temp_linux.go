package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// openTemp opens a file without a name in dir, which calls itself target in errors, or a named one where the file system has none
// (EOPNOTSUPP; EISDIR from kernels and file systems that do not know the flag).
func openTemp(dir, target string) (*os.File, string, error) {
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, filePerm)
	switch {
	case err == nil:
		return os.NewFile(uintptr(fd), target), "", nil
	case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.EISDIR):
		return openNamed(dir)
	}
	return nil, "", &fs.PathError{Op: "open", Path: dir, Err: err}
}

// linkTemp gives an unnamed file a temporary name in dir.
func linkTemp(f *os.File, dir string) (string, error) {
	var err error
	for range maxTries {
		name := filepath.Join(dir, fmt.Sprintf("%s%016x", TempPrefix, rand.Uint64()))
		err = unix.Linkat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", f.Fd()), unix.AT_FDCWD, name, unix.AT_SYMLINK_FOLLOW)
		if err == nil {
			return name, nil
		}
		if !errors.Is(err, unix.EEXIST) {
			break
		}
	}
	return "", &fs.PathError{Op: "link", Path: dir, Err: err}
}

// throughDescriptor tells whether a path names an open file of this process.
func throughDescriptor(path string) bool {
	const maxLinks = 40
	for range maxLinks {
		abs, err := filepath.Abs(path)
		if err != nil {
			return false
		}
		if strings.HasPrefix(abs, "/dev/fd/") || strings.HasPrefix(abs, "/proc/self/fd/") ||
			strings.HasPrefix(abs, fmt.Sprintf("/proc/%d/", os.Getpid())) {
			return true
		}
		link, err := os.Readlink(abs)
		if err != nil {
			return false
		}
		if path = link; !filepath.IsAbs(link) {
			path = filepath.Join(filepath.Dir(abs), link)
		}
	}
	return false
}
