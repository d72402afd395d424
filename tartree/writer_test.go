package tartree

import (
	"bytes"
	"errors"
	"io/fs"
	"testing"

	"github.com/laminafs/lamina/tree"
)

// What Writer writes of the nodes of a tree is what Write writes of the tree.
func TestWriterWritesWhatWriteDoes(t *testing.T) {
	tr := tree.New()
	tr.Root.SetXattr("user.root", "1")
	d := tree.NewDir(0o700)
	d.SetXattr("trusted.overlay.opaque", "y")
	tr.Root.Add("d", d)
	file := &tree.Node{Mode: tree.TypeRegular | 0o644, Size: 3, Content: tree.Bytes("abc"), Mtime: 5}
	d.Add("a", file)
	d.Add("b", file)
	tr.Root.Add("gone", &tree.Node{Mode: tree.TypeChar})
	tr.Root.Add("s", &tree.Node{Mode: tree.TypeSymlink | 0o777, Target: "d/a"})
	var want, got bytes.Buffer
	if err := Write(&want, tr, WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	w := NewWriter(&got, WriteOptions{})
	for _, err := range []error{
		w.Entry("", tr.Root), w.Whiteout("gone"),
		w.Entry("d", tree.NewDir(0o700)), w.Opaque("d"), w.Entry("d/a", &tree.Node{Mode: file.Mode, Size: 3, Content: file.Content, Mtime: 5}),
		w.Link("d/b", "d/a", file), w.Entry("s", tr.Lookup("s")), w.Close(),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(got.Bytes(), want.Bytes()) {
		t.Errorf("got\n%q\nwant\n%q", got.Bytes(), want.Bytes())
	}
	if err := w.Entry("late", file); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("entry after Close: %v", err)
	}
}

func TestWriterRefusesWhatIsNoName(t *testing.T) {
	for _, path := range []string{"a/.wh.b", "a/..", "a//", ".wh..wh..opq", "nul\x00"} {
		w := NewWriter(new(bytes.Buffer), WriteOptions{})
		if err := w.Entry(path, tree.NewDir(0o755)); !errors.Is(err, ErrArchive) {
			t.Errorf("%q: %v", path, err)
		}
		if err := w.Close(); !errors.Is(err, ErrArchive) {
			t.Errorf("%q: Close after an error: %v", path, err)
		}
	}
	if err := NewWriter(new(bytes.Buffer), WriteOptions{}).Whiteout("a/.wh..opq"); !errors.Is(err, ErrArchive) {
		t.Errorf("whiteout that means an opaque directory: %v", err)
	}
}
