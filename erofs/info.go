package erofs

import (
	"io"
	"io/fs"
	"time"

	"github.com/laminafs/lamina/tree"
)

// info is the fs.FileInfo of an inode.
type info struct {
	name string
	i    *Inode
}

func (n *info) Name() string       { return n.name }
func (n *info) Mode() fs.FileMode  { return fileMode(n.i.Mode) }
func (n *info) ModTime() time.Time { return time.Unix(n.i.Mtime, int64(n.i.Nsec)) }
func (n *info) IsDir() bool        { return n.i.IsDir() }
func (n *info) Sys() any           { return n.i }

func (n *info) Size() int64 {
	if n.i.IsRegular() || n.i.IsSymlink() || n.i.IsDir() {
		return n.i.Size
	}
	return 0
}

// fileMode turns the mode of an inode into that of package fs.
func fileMode(mode uint32) fs.FileMode {
	m := fs.FileMode(mode & 0o777)
	for _, bit := range []struct {
		unix uint32
		mode fs.FileMode
	}{{0o4000, fs.ModeSetuid}, {0o2000, fs.ModeSetgid}, {0o1000, fs.ModeSticky}} {
		if mode&bit.unix != 0 {
			m |= bit.mode
		}
	}
	switch mode & tree.TypeMask {
	case tree.TypeDir:
		m |= fs.ModeDir
	case tree.TypeSymlink:
		m |= fs.ModeSymlink
	case tree.TypeFifo:
		m |= fs.ModeNamedPipe
	case tree.TypeSocket:
		m |= fs.ModeSocket
	case tree.TypeBlock:
		m |= fs.ModeDevice
	case tree.TypeChar:
		m |= fs.ModeDevice | fs.ModeCharDevice
	}
	return m
}

// typeModes are the modes of the types in directory entries.
var typeModes = [...]uint32{
	1: tree.TypeRegular, 2: tree.TypeDir, 3: tree.TypeChar, 4: tree.TypeBlock, 5: tree.TypeFifo,
	6: tree.TypeSocket, 7: tree.TypeSymlink,
}

// dirEntry is the fs.DirEntry of a DirEntry.
type dirEntry struct {
	DirEntry
	im *Image
}

// dirEntries makes fs.DirEntry values of a list. A type that the directory does not know is taken from
// the inode.
func (im *Image) dirEntries(list []DirEntry) []fs.DirEntry {
	all := make([]dirEntry, len(list))
	out := make([]fs.DirEntry, len(list))
	for k, e := range list {
		if e.Type == 0 || int(e.Type) >= len(typeModes) {
			e.Type = 0
			if raw, err := im.img.Inode(e.NID); err == nil {
				e.Type = typeOf(uint32(raw.Mode))
			}
		}
		all[k] = dirEntry{e, im}
		out[k] = &all[k]
	}
	return out
}

func typeOf(mode uint32) FileType {
	for t, m := range typeModes {
		if m != 0 && m == mode&tree.TypeMask {
			return FileType(t)
		}
	}
	return 0
}

// Name implements fs.DirEntry.
func (e *dirEntry) Name() string { return e.DirEntry.Name }

// IsDir implements fs.DirEntry.
func (e *dirEntry) IsDir() bool { return e.Type().IsDir() }

// Type implements fs.DirEntry.
func (e *dirEntry) Type() fs.FileMode {
	if e.DirEntry.Type == 0 {
		return fs.ModeIrregular // its inode cannot be read: Info has the error
	}
	return fileMode(typeModes[e.DirEntry.Type]).Type()
}

// Info implements fs.DirEntry.
func (e *dirEntry) Info() (fs.FileInfo, error) {
	i, err := e.im.Inode(e.NID)
	if err != nil {
		return nil, &fs.PathError{Op: "lstat", Path: e.DirEntry.Name, Err: err}
	}
	return &info{e.DirEntry.Name, i}, nil
}

// dirFile is an open directory.
type dirFile struct {
	info
	c      *cursor
	ready  []DirEntry
	closed bool
}

// Stat implements fs.File.
func (d *dirFile) Stat() (fs.FileInfo, error) {
	if d.closed {
		return nil, d.fail("stat", fs.ErrClosed)
	}
	return &d.info, nil
}

// Read implements fs.File.
func (d *dirFile) Read([]byte) (int, error) { return 0, d.fail("read", errIsDir) }

// Close implements fs.File.
func (d *dirFile) Close() error {
	if d.closed {
		return d.fail("close", fs.ErrClosed)
	}
	d.closed = true
	return nil
}

// ReadDir implements fs.ReadDirFile.
func (d *dirFile) ReadDir(n int) ([]fs.DirEntry, error) {
	if d.closed {
		return nil, d.fail("readdir", fs.ErrClosed)
	}
	if d.c == nil {
		c, err := d.i.cursor()
		if err != nil {
			return nil, d.fail("readdir", err)
		}
		d.c = c
	}
	var list []DirEntry
	for n <= 0 || len(list) < n {
		if len(d.ready) == 0 {
			block, err := d.c.next()
			if err != nil {
				return d.i.im.dirEntries(list), d.fail("readdir", err)
			}
			if block == nil {
				break
			}
			d.ready = block
		}
		take := len(d.ready)
		if n > 0 {
			take = min(take, n-len(list))
		}
		list = append(list, d.ready[:take]...)
		d.ready = d.ready[take:]
	}
	if n > 0 && len(list) == 0 {
		return nil, io.EOF
	}
	return d.i.im.dirEntries(list), nil
}

func (d *dirFile) fail(op string, err error) error {
	return &fs.PathError{Op: op, Path: d.name, Err: err}
}
