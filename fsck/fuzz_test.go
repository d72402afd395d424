package fsck

import (
	"testing"

	"github.com/laminafs/lamina/mkfs"
	"github.com/laminafs/lamina/tree"
)

// micro is a tree whose images have few bytes: the fuzzer minimizes what it finds byte by byte.
func micro() *tree.Tree {
	t := tree.New()
	d := tree.NewDir(0o755)
	t.Root.Add("d", d)
	hard := file("hard", "user.a", "1", "trusted.overlay.opaque", "y")
	d.Add("f", hard)
	t.Root.Add("g", hard)
	t.Root.Add("b", file(text("block", 600), "user.s", "shared"))
	t.Root.Add("c", file("", "user.s", "shared"))
	t.Root.Add("l", &tree.Node{Mode: tree.TypeSymlink | 0o777, Target: "d/f"})
	t.Root.Add("o", &tree.Node{Mode: tree.TypeRegular | 0o600, Content: tree.Bytes(""), Mtime: -5, Nsec: 7})
	return t
}

// seeds adds small images of every kind to the corpus.
func seeds(f *testing.F) {
	f.Helper()
	for name, o := range tinyOptions {
		o.BlockSize = 512
		o.ChunkSize = min(o.ChunkSize, 512)
		b := build(f, micro(), o)
		f.Add(b)
		if name == "plain" {
			f.Add(b[:len(b)/2])
		}
	}
	for _, name := range compressedImages {
		f.Add(golden(f, name))
	}
	blob := &memFile{}
	image := build(f, micro(), mkfs.Options{BlockSize: 512, ChunkSize: 512, DataDevice: blob})
	f.Add(append(image, blob.b...))
}

// FuzzCheck looks for images that Check does not survive: panics, hangs, memory beyond the bound.
func FuzzCheck(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<20 {
			return
		}
		fixSum(b, len(b)%2 == 0)
		survive(t, b)
	})
}

// FuzzMap looks for images whose map has gaps or overlaps.
func FuzzMap(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) <= 1<<20 {
			covers(t, b)
		}
	})
}
