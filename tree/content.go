package tree

import "io"

// Content is the bytes of a regular file. ReadAt sees the whole file of Node.Size bytes; holes read
// as zeros. A Content is immutable and may be read from several goroutines.
type Content interface {
	io.ReaderAt
	// Data returns the ranges that hold data, ascending, not touching each other; what lies between
	// them is a hole. nil means that everything is data; an empty, non-nil slice that everything is
	// a hole.
	Data() []Extent
}

// Extent is a range of a file.
type Extent struct {
	Off, Len int64
}

// File announces the bytes of a regular file to a Spool.
type File struct {
	Size int64    // length of the file
	Data []Extent // where its data is, as Content.Data has it
	Pos  int64    // where its first data byte is in the source stream; meaningful to a tar index only

	// Path, if the source tells it, returns where in the tree the file will be, without a slash at its
	// beginning. It works until Put returns.
	Path func() string
}

// DataLen returns how many bytes the stream carries for the file.
func (f *File) DataLen() int64 {
	if f.Data == nil {
		return f.Size
	}
	var n int64
	for _, e := range f.Data {
		n += e.Len
	}
	return n
}

// Spool takes the bytes of regular files while a source streams.
type Spool interface {
	// Put reads exactly f.DataLen() bytes from r, the extents of f back to back, and returns what to
	// keep in Node.Content. It does not keep r. Files of size 0 are put as well.
	Put(f File, r io.Reader) (Content, error)
}

// Bytes is a Content in memory.
type Bytes string

// ReadAt implements io.ReaderAt.
func (b Bytes) ReadAt(p []byte, off int64) (int, error) {
	if off >= int64(len(b)) {
		return 0, io.EOF
	}
	n := copy(p, b[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Data implements Content: everything is data.
func (b Bytes) Data() []Extent { return nil }
