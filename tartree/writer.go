package tartree

import (
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/laminafs/lamina/tree"
)

// Writer writes an archive entry by entry, for sources that are too large to be a tree. Its entries are
// those of Write; it is up to the caller that directories come before what is in them, and that no name comes
// twice. Paths have no slash at the start or the end; "" is the root.
type Writer struct {
	x   writer
	err error // of the first call that failed; all others return it
}

// NewWriter returns a Writer to w. Close completes the archive and leaves w open.
func NewWriter(w io.Writer, o WriteOptions) *Writer {
	return &Writer{x: writer{o: o, w: w, buf: make([]byte, 0, bufferSize), first: make(map[*tree.Node]string)}}
}

// Entry writes a node that is no hard link to an earlier one, with its content. What n has below it is not
// looked at.
func (w *Writer) Entry(path string, n *tree.Node) error {
	return w.do(path, func() error {
		if n.IsDir() {
			path += "/"
			if path == "/" {
				path = "./"
			}
		}
		return w.x.entry(path, n)
	})
}

// Link writes another name of the node n, which was written as first.
func (w *Writer) Link(path, first string, n *tree.Node) error {
	return w.do(path, func() error { return w.x.link(path, first, n) })
}

// Opaque writes that a directory hides what lower layers have in it.
func (w *Writer) Opaque(dir string) error {
	if dir != "" {
		dir += "/"
	}
	return w.do("", func() error { return w.x.emit(dir+whiteoutOpaque, typeFile, &tree.Node{}, nil, 0) })
}

// Whiteout writes that lower layers have nothing of this name.
func (w *Writer) Whiteout(path string) error {
	return w.do(path, func() error {
		i := strings.LastIndexByte(path, '/') + 1
		name := whiteoutPrefix + path[i:]
		if !isName(name) || name == whiteoutOpaque || isMeta([]byte(name)) {
			return refuse(path, "an OCI layer has no whiteout of this name")
		}
		return w.x.emit(path[:i]+name, typeFile, &tree.Node{}, nil, 0)
	})
}

// Close writes the end mark. It does not close the writer below.
func (w *Writer) Close() error {
	err := w.do("", func() error {
		if err := w.x.bytes(make([]byte, 2*blockSize)); err != nil {
			return err
		}
		return w.x.flush()
	})
	if err == nil {
		w.err = fmt.Errorf("tartree: writer: %w", fs.ErrClosed)
	}
	return err
}

// do checks the last component of a path, whose others came before, and calls fn.
func (w *Writer) do(path string, fn func() error) error {
	if w.err != nil {
		return w.err
	}
	base := path[strings.LastIndexByte(path, '/')+1:]
	switch {
	case path == "":
	case !isName(base):
		w.err = refuse(path, "no name of a file")
	case w.x.o.Whiteouts != Keep && strings.HasPrefix(base, whiteoutPrefix):
		w.err = refuse(path, "the name means a whiteout in an OCI layer")
	}
	if w.err == nil {
		w.err = fn()
	}
	return w.err
}
