package mkfs

import (
	"bytes"
	"io"
	"testing"

	"github.com/laminafs/lamina/tree"
)

// zeroes is a content of so many zeros.
type zeroes int64

func (z zeroes) ReadAt(p []byte, off int64) (int, error) {
	n := int(min(int64(len(p)), int64(z)-off))
	clear(p[:n])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (z zeroes) Data() []tree.Extent { return nil }

// growing is a file in memory.
type growing struct{ b []byte }

func (g *growing) ReadAt(p []byte, off int64) (int, error) {
	return bytes.NewReader(g.b).ReadAt(p, off)
}

func (g *growing) WriteAt(p []byte, off int64) (int, error) {
	if end := int(off) + len(p); end > len(g.b) {
		g.b = append(g.b, make([]byte, end-len(g.b))...)
	}
	return copy(g.b[off:], p), nil
}

func (g *growing) Truncate(n int64) error {
	g.b = append(g.b, make([]byte, max(0, int(n)-len(g.b)))...)[:n]
	return nil
}

// What is read of a base is bounded by its length: a gigabyte of zeros in a few blocks is looked at in part.
func TestBasesThatDecodeToMuchAreReadInPart(t *testing.T) {
	for _, c := range []struct {
		files int
		all   bool
	}{{1, true}, {12, false}} {
		tr := tree.New()
		for i := range c.files {
			tr.Root.Add(string(rune('a'+i)), &tree.Node{Mode: tree.TypeRegular | 0o644, Size: 32 << 20, Content: zeroes(32 << 20)})
		}
		var out growing
		w, err := New(&out, Options{Compression: &Compression{}})
		if err == nil {
			_, err = w.Finish(tr)
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := newBases(0, []Base{{Data: &out, Size: int64(len(out.b))}})
		if err != nil {
			t.Fatal(err)
		}
		b.files = &baseFiles{chunks: make(map[uint64]chunkAt), fragments: make(map[digest]fragmentAt)}
		s, err := b.openImage(0, make([]bool, 1))
		if err == nil {
			err = s.scan()
		}
		if err != nil || s.left > 0 != c.all {
			t.Errorf("%d files of 32 MiB in %d bytes: %d bytes were left to be read: %v", c.files, len(out.b), s.left, err)
		}
	}
}
