package erofs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/laminafs/lamina/internal/image"
)

// An Image is a file system as package io/fs has it. Open, Stat, ReadFile and ReadDir follow symbolic
// links, absolute ones from the root of the image, and never leave it; Lstat and ReadLink do not follow
// the last one. Names are listed and taken byte for byte: one that is not UTF-8 can be opened
// although fs.ValidPath refuses it, so a walk misses nothing; only fs.Sub does not take it.
var _ interface {
	fs.StatFS
	fs.ReadDirFS
	fs.ReadFileFS
	fs.ReadLinkFS
} = (*Image)(nil)

var (
	errNotDir  = errors.New("not a directory")
	errIsDir   = errors.New("is a directory")
	errTooDeep = errors.New("more than 2048 directories deep")
	errLoop    = errors.New("too many symbolic links")
)

// maxLinks bounds the symbolic links on a path, as MAXSYMLINKS of Linux does.
const maxLinks = 40

// MaxReadFile bounds what ReadFile returns: a small image can claim a huge file. Larger files are read
// through Open.
const MaxReadFile = 1 << 30

// Open implements fs.FS. The file is also an io.ReaderAt, io.Seeker and io.WriterTo, or an fs.ReadDirFile. Devices,
// fifos and sockets are empty.
func (im *Image) Open(name string) (fs.File, error) {
	i, err := im.resolve("open", name, true)
	if err != nil {
		return nil, err
	}
	if i.IsDir() {
		return &dirFile{info: info{base(name), i}}, nil
	}
	return &file{info: info{base(name), i}}, nil
}

// Stat implements fs.StatFS. Sys of the result is an *Inode.
func (im *Image) Stat(name string) (fs.FileInfo, error) {
	i, err := im.resolve("stat", name, true)
	if err != nil {
		return nil, err
	}
	return &info{base(name), i}, nil
}

// Lstat implements fs.ReadLinkFS.
func (im *Image) Lstat(name string) (fs.FileInfo, error) {
	i, err := im.resolve("lstat", name, false)
	if err != nil {
		return nil, err
	}
	return &info{base(name), i}, nil
}

// ReadLink implements fs.ReadLinkFS.
func (im *Image) ReadLink(name string) (string, error) {
	i, err := im.resolve("readlink", name, false)
	if err != nil {
		return "", err
	}
	target, err := i.ReadLink()
	if err != nil {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: err}
	}
	return target, nil
}

// ReadDir implements fs.ReadDirFS. Entries are ordered by the bytes of their names.
func (im *Image) ReadDir(name string) ([]fs.DirEntry, error) {
	i, err := im.resolve("readdir", name, true)
	if err != nil {
		return nil, err
	}
	list, err := i.Entries()
	if err != nil {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: err}
	}
	return im.dirEntries(list), nil
}

// ReadFile implements fs.ReadFileFS, for files of up to MaxReadFile bytes.
func (im *Image) ReadFile(name string) ([]byte, error) {
	i, err := im.resolve("read", name, true)
	if err != nil {
		return nil, err
	}
	switch {
	case i.IsDir():
		err = errIsDir
	case !i.IsRegular():
		return []byte{}, nil
	case i.Size > MaxReadFile:
		err = fmt.Errorf("%d bytes: more than ReadFile returns", i.Size)
	}
	var b []byte
	if err == nil {
		b, err = readAll(im.img, &i.raw)
	}
	if err != nil {
		return nil, &fs.PathError{Op: "read", Path: name, Err: err}
	}
	return b, nil
}

// readAll reads a file in pieces that double, so that a size which the image does not live up to
// costs no memory.
func readAll(img *image.Image, raw *image.Inode) ([]byte, error) {
	b := make([]byte, min(raw.Size, 1<<20))
	for done := int64(0); ; {
		if err := img.ReadAt(raw, b[done:], done); err != nil {
			return nil, err
		}
		if done = int64(len(b)); done == raw.Size {
			return b, nil
		}
		grown := make([]byte, min(raw.Size, 2*done))
		copy(grown, b)
		b = grown
	}
}

// resolve walks a path that fs.ValidPath allows, UTF-8 or not.
func (im *Image) resolve(op, name string, follow bool) (*Inode, error) {
	if !validPath(name) {
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	raw, err := im.walk(name, follow)
	if err != nil {
		return nil, &fs.PathError{Op: op, Path: name, Err: err}
	}
	i := im.inode(raw)
	return &i, nil
}

// walk follows symbolic links on the way, and the last one if follow is set. ".." in a target goes back
// along the path, never to what a directory claims as its parent.
func (im *Image) walk(name string, follow bool) (image.Inode, error) {
	path := []image.Inode{im.root.raw}
	links := 0
	for rest := name; rest != ""; {
		var elem string
		elem, rest, _ = strings.Cut(rest, "/")
		dir := &path[len(path)-1]
		switch {
		case !dir.IsDir():
			return *dir, errNotDir
		case elem == "" || elem == ".":
			continue
		case elem == "..":
			path = path[:max(1, len(path)-1)]
			continue
		}
		i, err := im.child(dir, elem, len(path)-1)
		if err != nil {
			return i, err
		}
		if !i.IsSymlink() || rest == "" && !follow {
			path = append(path, i)
			continue
		}
		if links++; links > maxLinks {
			return i, errLoop
		}
		target, err := readLink(im.img, &i)
		switch {
		case err != nil:
			return i, err
		case target == "":
			return i, fs.ErrNotExist
		case target[0] == '/':
			path = path[:1]
		}
		if rest != "" {
			target += "/" + rest
		}
		rest = target
	}
	return path[len(path)-1], nil
}

// validPath is fs.ValidPath without the rule that names are UTF-8.
func validPath(name string) bool {
	if name == "." {
		return true
	}
	for {
		elem, rest, more := strings.Cut(name, "/")
		if elem == "" || elem == "." || elem == ".." {
			return false
		}
		if !more {
			return true
		}
		name = rest
	}
}

func base(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }

// file is an open file that is not a directory.
type file struct {
	info
	off    int64
	closed bool
}

// Stat implements fs.File.
func (f *file) Stat() (fs.FileInfo, error) {
	if f.closed {
		return nil, f.fail("stat", fs.ErrClosed)
	}
	return &f.info, nil
}

// Read implements fs.File.
func (f *file) Read(p []byte) (int, error) {
	n, err := f.readAt("read", p, f.off)
	f.off += int64(n)
	if n > 0 && err == io.EOF {
		err = nil
	}
	return n, err
}

// ReadAt implements io.ReaderAt.
func (f *file) ReadAt(p []byte, off int64) (int, error) { return f.readAt("readat", p, off) }

func (f *file) readAt(op string, p []byte, off int64) (int, error) {
	switch {
	case f.closed:
		return 0, f.fail(op, fs.ErrClosed)
	case off < 0:
		return 0, f.fail(op, fs.ErrInvalid)
	case !f.i.IsRegular():
		return 0, io.EOF
	case len(p) == 0:
		return 0, nil
	}
	n, err := readAt(f.i.im.img, &f.i.raw, p, off)
	if err != nil && err != io.EOF {
		err = f.fail(op, err)
	}
	return n, err
}

// copyStep is how much of a file is in memory when it is copied: enough to decode on all processors.
const copyStep = 1 << 20

// WriteTo implements io.WriterTo, which io.Copy prefers.
func (f *file) WriteTo(w io.Writer) (int64, error) {
	start := f.off
	buf := make([]byte, min(copyStep, max(1, f.i.Size-start)))
	for {
		n, err := f.Read(buf)
		if n > 0 {
			if k, err := w.Write(buf[:n]); err != nil {
				f.off += int64(k - n)
				return f.off - start, err
			}
		}
		switch {
		case err == io.EOF:
			return f.off - start, nil
		case err != nil:
			return f.off - start, err
		}
	}
}

// Seek implements io.Seeker.
func (f *file) Seek(off int64, whence int) (int64, error) {
	switch whence {
	case io.SeekStart:
	case io.SeekCurrent:
		off += f.off
	case io.SeekEnd:
		off += f.Size()
	default:
		return 0, f.fail("seek", fs.ErrInvalid)
	}
	if f.closed {
		return 0, f.fail("seek", fs.ErrClosed)
	}
	if off < 0 {
		return 0, f.fail("seek", fs.ErrInvalid)
	}
	f.off = off
	return off, nil
}

// Close implements fs.File.
func (f *file) Close() error {
	if f.closed {
		return f.fail("close", fs.ErrClosed)
	}
	f.closed = true
	return nil
}

func (f *file) fail(op string, err error) error {
	return &fs.PathError{Op: op, Path: f.name, Err: err}
}
