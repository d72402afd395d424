package roundtrip

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/laminafs/lamina/mkfs"
	"github.com/laminafs/lamina/tree"
)

// Sparse files are not compressed and begin at a block, also between extents at any byte; and where they are does not
// depend on how many workers are busy with what came before.
func TestSparseFilesAmongCompressedOnes(t *testing.T) {
	source := func() *tree.Tree {
		tr := tree.New()
		text := words(rand.New(rand.NewPCG(3, 3)), 60_000)
		for i := range 7 { // more than what may wait for the workers
			b := bytes.Repeat(text[i*1000:], 40)
			tr.Root.Add(fmt.Sprintf("file-%d", i), &tree.Node{Mode: tree.TypeRegular | 0o644, Size: int64(len(b)), Content: tree.Bytes(b)})
			s := make([]byte, 40_000)
			copy(s[20_000:30_000], text)
			c := holes{tree.Bytes(s), []tree.Extent{{Off: 20_000, Len: 10_000}}}
			tr.Root.Add(fmt.Sprintf("file-%d-sparse", i), &tree.Node{Mode: tree.TypeRegular | 0o644, Size: int64(len(s)), Content: c})
		}
		return tr
	}
	var dump bytes.Buffer
	if err := tree.Dump(&dump, source()); err != nil {
		t.Fatal(err)
	}
	for _, c := range []mkfs.Compression{{}, {Index: mkfs.IndexExtents}} {
		var images [2][]byte
		for i := range images {
			c.Workers = 1 + 3*i
			var err error
			if images[i], err = write(t, source(), mkfs.Options{Compression: &c}); err != nil {
				t.Fatal(err)
			}
		}
		name := fmt.Sprint("index ", c.Index)
		if !bytes.Equal(images[0], images[1]) {
			t.Errorf("%s: the image depends on the number of workers", name)
		}
		readsBack(t, name, images[0], nil, dump.String())
		isClean(t, name, images[0], nil)
	}
}
