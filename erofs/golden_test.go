package erofs

import (
	"bytes"
	"compress/gzip"
	"flag"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/laminafs/lamina/tree"
)

var update = flag.Bool("update", false, "rewrite the descriptions of the golden images")

// goldenImages are images of mkfs.erofs, made by testdata/golden.sh.
var goldenImages = []string{"flat", "chunks", "wide", "packed"}

// compressedImages are golden images whose data and metadata are compressed: compact and full indexes, large
// pclusters, tails behind the index, shared pclusters, fragments, encoded extents, a metabox.
var compressedImages = []string{"compact", "big", "tails", "shared", "extents", "box"}

func golden(t testing.TB, name string) []byte {
	t.Helper()
	f, err := os.ReadFile("testdata/" + name + ".erofs.gz")
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(f))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// describe writes a line for every name in a tree.
func describe(t *testing.T, tr *tree.Tree) string {
	t.Helper()
	var out strings.Builder
	tr.Inodes()
	err := tr.Walk(func(path string, n *tree.Node) error {
		fmt.Fprintf(&out, "/%s %o %d:%d %d", path, n.Mode, n.UID, n.GID, n.Mtime)
		major, minor := tree.DevMajorMinor(n.Rdev)
		switch n.Type() {
		case tree.TypeRegular:
			fmt.Fprintf(&out, " links %d, %d bytes", n.Links(), n.Size)
			b, err := io.ReadAll(io.NewSectionReader(n.Content, 0, n.Size+1))
			if err != nil {
				return err
			}
			fmt.Fprintf(&out, ", crc %08x", crc32.ChecksumIEEE(b))
			if data := n.Content.Data(); data != nil {
				fmt.Fprintf(&out, ", data %v", data)
			}
		case tree.TypeSymlink:
			fmt.Fprintf(&out, " -> %q", n.Target)
		case tree.TypeChar, tree.TypeBlock:
			fmt.Fprintf(&out, " %d,%d", major, minor)
		}
		for _, x := range n.Xattrs {
			fmt.Fprintf(&out, " %s=%q", x.Name, x.Value)
		}
		out.WriteByte('\n')
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestGoldenImagesReadAsDescribed(t *testing.T) {
	for _, name := range slices.Concat(goldenImages, compressedImages) {
		tr, err := open(t, bytes.NewReader(golden(t, name))).Tree()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := describe(t, tr)
		if *update {
			if err := os.WriteFile("testdata/"+name+".txt", []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile("testdata/" + name + ".txt")
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, want)
		}
	}
}

func open(t testing.TB, r io.ReaderAt, devices ...io.ReaderAt) *Image {
	t.Helper()
	im, err := Open(r, devices...)
	if err != nil {
		t.Fatal(err)
	}
	return im
}

func TestImageIsAFileSystem(t *testing.T) {
	for _, name := range slices.Concat(goldenImages, compressedImages) {
		im := open(t, bytes.NewReader(golden(t, name)))
		if err := fstest.TestFS(im, "hello", "dir/deeper/entry-40", "dir/fifo", "link", "absolute"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
