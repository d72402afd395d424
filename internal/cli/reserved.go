package cli

import (
	"io"

	"github.com/laminafs/lamina/tree"
)

// reserved is the content of a file that gets its blocks, but zeros in them.
type reserved struct{ tree.Content }

// ReadAt implements io.ReaderAt.
func (r reserved) ReadAt(p []byte, _ int64) (int, error) {
	clear(p)
	return len(p), nil
}

// reserve replaces the contents of a tree.
func reserve(t *tree.Tree) {
	for _, n := range t.Inodes() {
		if n.Content != nil {
			n.Content = reserved{n.Content}
		}
	}
}

// reserver is a tree.Spool that puts files of zeros.
type reserver struct{ tree.Spool }

// Put implements tree.Spool.
func (s reserver) Put(f tree.File, r io.Reader) (tree.Content, error) {
	if n, err := io.CopyN(io.Discard, r, f.DataLen()); err != nil && (err != io.EOF || n < f.DataLen()) {
		return nil, err
	}
	return s.Spool.Put(f, io.LimitReader(zeros{}, f.DataLen()))
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
