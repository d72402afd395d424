package dirtree

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"

	"golang.org/x/sys/unix"

	"github.com/laminafs/lamina/tree"
)

// file is a file descriptor. os.File would register each with the poller, watch it with a finalizer and
// take a lock for each call: with small files that is half of the time (BenchmarkRead).
type file int

// again repeats a system call that a signal interrupted.
func again[T any](call func() (T, error)) (T, error) {
	for {
		v, err := call()
		if err != unix.EINTR {
			return v, err
		}
	}
}

func openAt(dir file, name string, flags int) (file, error) {
	fd, err := again(func() (int, error) { return unix.Openat(int(dir), name, flags, 0) })
	return file(fd), err
}

// close ends the use of a file that was read: nothing depends on the result.
func (f file) close() { _ = unix.Close(int(f)) }

func (f file) stat(st *unix.Stat_t) error { return unix.Fstat(int(f), st) }

func (f file) statAt(name string, st *unix.Stat_t) error {
	return unix.Fstatat(int(f), name, st, unix.AT_SYMLINK_NOFOLLOW)
}

// ReadAt implements io.ReaderAt.
func (f file) ReadAt(p []byte, off int64) (int, error) {
	done := 0
	for done < len(p) {
		n, err := again(func() (int, error) { return unix.Pread(int(f), p[done:], off+int64(done)) })
		if err != nil {
			return done, fmt.Errorf("read: %w", err)
		}
		if n == 0 {
			return done, io.EOF
		}
		done += n
	}
	return done, nil
}

// proc is the path of a name in the directory f for system calls that have no form for a directory and
// a name. It needs /proc.
func (f file) proc(name string) procPath {
	return procPath(fmt.Sprintf("/proc/self/fd/%d/%s", f, name))
}

type procPath string

// maxLink is PATH_MAX: the kernel has no longer targets.
const maxLink = 4096

func (f file) readLink(name string) (string, error) {
	var b [maxLink]byte
	n, err := unix.Readlinkat(int(f), name, b[:])
	if err != nil {
		return "", fmt.Errorf("read link: %w", err)
	}
	return string(b[:n]), nil
}

// maxExtents bounds what the list of a file's extents takes (1 MiB). Holes behind the last one are read
// as the zeros that they are.
const maxExtents = 1 << 16

// data returns the ranges of a file that have data as tree.File has them, nil if the file system cannot
// tell. There are at most limit, the last of which then ends with the file.
func (f file) data(size int64, limit int) ([]tree.Extent, error) {
	list := []tree.Extent{}
	for end := int64(0); end < size; {
		start, err := unix.Seek(int(f), end, unix.SEEK_DATA)
		switch {
		case err == unix.ENXIO: // a hole up to the end
			return list, nil
		case err == unix.EINVAL && len(list) == 0:
			return nil, nil
		case err != nil:
			return nil, err
		}
		if start >= size {
			break
		}
		if len(list) == limit-1 {
			return append(list, tree.Extent{Off: start, Len: size - start}), nil
		}
		if end, err = unix.Seek(int(f), start, unix.SEEK_HOLE); err != nil {
			return nil, err
		}
		end = min(end, size)
		if end <= start {
			return nil, errChanged
		}
		list = append(list, tree.Extent{Off: start, Len: end - start})
	}
	if len(list) == 1 && list[0].Len == size {
		return nil, nil
	}
	return list, nil
}

// dirent is an entry of a directory; kind is DT_* of the kernel.
type dirent struct {
	name string
	kind uint8
}

const direntBuffer = 128 << 10

// list returns the entries of a directory without "." and "..", in the order of the file system. The
// names that one system call returns share one string.
func (r *reader) list(f file) ([]dirent, error) {
	if r.dirent == nil {
		r.dirent = make([]byte, direntBuffer)
	}
	var list []dirent
	var names []byte
	for {
		n, err := again(func() (int, error) { return unix.Getdents(int(f), r.dirent) })
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return list, nil
		}
		first := len(list)
		names = names[:0]
		for b := r.dirent[:n]; len(b) > 0; {
			// struct linux_dirent64: 00 ino (8) 08 off (8) 10 reclen (2) 12 type (1) 13 name, NUL
			length := int(binary.NativeEndian.Uint16(b[0x10:]))
			name := b[0x13:length]
			name = name[:bytes.IndexByte(name, 0)]
			if s := string(name); s != "." && s != ".." {
				list = append(list, dirent{kind: b[0x12]})
				names = append(append(names, name...), 0)
			}
			b = b[length:]
		}
		share(list[first:], string(names))
	}
}

// share gives the names, each of which ends in NUL, to the entries.
func share(list []dirent, names string) {
	for i := range list {
		end := 0
		for names[end] != 0 {
			end++
		}
		list[i].name, names = names[:end], names[end+1:]
	}
}
