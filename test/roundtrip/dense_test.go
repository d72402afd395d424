package roundtrip

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/laminafs/lamina/mkfs"
	"github.com/laminafs/lamina/tree"
)

// Sparse files begin at a block, also behind extents of the 48-bit layout, which end at any byte.
func TestSparseFilesBehindDenseExtentsKeepTheirBytes(t *testing.T) {
	source := func() *tree.Tree {
		rnd := rand.New(rand.NewPCG(1, 1))
		tr := tree.New()
		for i := range 40 {
			add(tr, fmt.Sprintf("%02d-text", i), words(rnd, 1<<19))
			b := make([]byte, 100_000)
			copy(b[50_000:], noise(rnd, 10_000))
			c := holes{tree.Bytes(b), []tree.Extent{{Off: 50_000, Len: 10_000}}}
			tr.Root.Add(fmt.Sprintf("%02d-sparse", i), &tree.Node{Mode: tree.TypeRegular | 0o644, Size: 100_000, Content: c})
		}
		return tr
	}
	var want bytes.Buffer
	if err := tree.Dump(&want, source()); err != nil {
		t.Fatal(err)
	}
	image, err := write(t, source(), mkfs.Options{Compression: &mkfs.Compression{Index: mkfs.IndexExtents}})
	if err != nil {
		t.Fatal(err)
	}
	readsBack(t, "dense", image, nil, want.String())
	isClean(t, "dense", image, nil)
}

// Extents that end at any byte leave no padding that inline tails could save: the options go together.
func TestDenseExtentsWithInlineTailsShowTheirSource(t *testing.T) {
	var want bytes.Buffer
	if err := tree.Dump(&want, compressibleTree()); err != nil {
		t.Fatal(err)
	}
	image, err := write(t, compressibleTree(), mkfs.Options{Compression: &mkfs.Compression{Index: mkfs.IndexExtents, Tails: mkfs.TailInline}})
	if err != nil {
		t.Fatal(err)
	}
	readsBack(t, "dense", image, nil, want.String())
	isClean(t, "dense", image, nil)
}
