// Package dirtree reads directories of the operating system into trees and writes trees into directories.
//
// On Linux everything is done relative to open directories and without following symbolic links, so
// nobody who renames things meanwhile can lead it out of the directory, and all that Linux knows of a
// file is kept. Elsewhere it works through os.Root and keeps what the system has; extended attributes
// and devices are left out there.
package dirtree

import (
	"fmt"
	"io"

	"github.com/laminafs/lamina/tree"
)

// Options of Read; the zero value works.
type Options struct {
	// Warn, if set, is told of everything that Read leaves out but Exclude.
	Warn func(Warning)
	// Exclude, if set, tells of each path below the directory, with slashes, whether to leave it out with
	// all that is below it.
	Exclude func(path string) bool
	// OneFileSystem leaves directories empty in which another file system is mounted.
	OneFileSystem bool
	// NoXattrs leaves out extended attributes, and the system calls to find out that there are none.
	NoXattrs bool
}

// Warning is something that Read or Extract left out.
type Warning struct {
	Path string // below the directory, with slashes
	Text string // what was left out and why
}

func (w Warning) String() string { return fmt.Sprintf("%q: %s", w.Path, w.Text) }

// Read returns the tree of a directory and hands the bytes of its regular files to spool, in the order
// of tree.Walk. The root has the metadata of the directory.
//
// Kept are hard links, holes, and extended attributes of the namespaces user, trusted and security and
// POSIX access lists; sockets are left out with a warning. A file that changes its size or its
// modification time while it is read is an error, and so is one that vanishes or cannot be opened. Memory
// is proportional to the number of files.
func Read(dir string, spool tree.Spool, o Options) (*tree.Tree, error) {
	r := newReader(spool, o)
	t := tree.New()
	if err := r.root(dir, t.Root); err != nil {
		return nil, err
	}
	return t, nil
}

// inode names a file of the system, to find hard links.
type inode struct{ dev, ino uint64 }

// reader has what readers of all systems need.
type reader struct {
	o        Options
	spool    tree.Spool
	stream   stream
	links    map[inode]*tree.Node
	at, name string // directory and name of the file that is being put
	path     func() string
	system
}

func newReader(spool tree.Spool, o Options) *reader {
	r := &reader{o: o, spool: spool, links: map[inode]*tree.Node{}}
	r.path = r.pathOfFile // one closure for all files
	return r
}

// pathOfFile returns the path of the file that is being put.
func (r *reader) pathOfFile() string { return join(r.at, r.name) }

func (r *reader) warn(path, text string) {
	if r.o.Warn != nil {
		r.o.Warn(Warning{path, text})
	}
}

func (r *reader) excluded(dir, name string) bool {
	return r.o.Exclude != nil && r.o.Exclude(join(dir, name))
}

// put hands a regular file to the spool. Errors do not have the path yet.
func (r *reader) put(src io.ReaderAt, f tree.File) (tree.Content, error) {
	f.Path = r.path
	r.stream = stream{src: src, f: f}
	return r.spool.Put(f, &r.stream)
}

// stream reads the data of a file, its extents back to back.
type stream struct {
	src io.ReaderAt
	f   tree.File
	ext int   // index of the extent, with f.Data
	off int64 // in the extent
}

// Read implements io.Reader.
func (s *stream) Read(p []byte) (int, error) {
	e := tree.Extent{Len: s.f.Size}
	if s.f.Data != nil {
		for s.ext < len(s.f.Data) && s.off == s.f.Data[s.ext].Len {
			s.ext, s.off = s.ext+1, 0
		}
		if s.ext == len(s.f.Data) {
			return 0, io.EOF
		}
		e = s.f.Data[s.ext]
	}
	if s.off == e.Len {
		return 0, io.EOF
	}
	if len(p) == 0 {
		return 0, nil
	}
	n, err := s.src.ReadAt(p[:min(int64(len(p)), e.Len-s.off)], e.Off+s.off)
	s.off += int64(n)
	if n > 0 {
		return n, nil
	}
	if err == nil || err == io.EOF {
		err = errShrank
	}
	return 0, err
}

type constError string

func (e constError) Error() string { return string(e) }

const (
	errShrank  = constError("shrank while it was read")
	errChanged = constError("changed while it was read")
	errBecame  = constError("became another kind of file while the directory was read")
	errDeep    = constError("is deeper than 2048 directories")
)

func fail(path string, err error) error { return fmt.Errorf("dirtree: %q: %w", path, err) }

func failDoing(path, what string, err error) error {
	return fmt.Errorf("dirtree: %q: %s: %w", path, what, err)
}

func join(dir, name string) string {
	if dir == "" {
		return name
	}
	return dir + "/" + name
}
