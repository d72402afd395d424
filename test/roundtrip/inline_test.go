package roundtrip

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/laminafs/lamina/internal/oracle"
	"github.com/laminafs/lamina/mkfs"
	"github.com/laminafs/lamina/tree"
)

// The kernel reads all inline pclusters of small blocks, wherever they would begin in a page: it takes one for broken
// whose offset there is the block size.
func TestKernelReadsInlinePclustersOfSmallBlocks(t *testing.T) {
	methods := []mkfs.Method{{Algorithm: mkfs.LZ4}, {Algorithm: mkfs.LZMA, Level: 1}, {Algorithm: mkfs.Deflate}, {Algorithm: mkfs.ZSTD}}
	for _, bs := range []int{512, 1024, 2048} {
		for _, m := range methods {
			for _, box := range []*mkfs.Metabox{nil, {}} {
				name := fmt.Sprintf("%d-%s-metabox-%v", bs, m.Algorithm, box != nil)
				t.Run(name, func(t *testing.T) {
					c := &mkfs.Compression{Method: m, Tails: mkfs.TailInline, Metabox: box}
					image, err := write(t, inlineTree(bs), mkfs.Options{BlockSize: bs, Compression: c})
					if err != nil {
						t.Fatal(err)
					}
					isClean(t, name, image, nil)
					file := filepath.Join(t.TempDir(), "image")
					if err := os.WriteFile(file, image, 0o600); err != nil {
						t.Fatal(err)
					}
					judgeMounted(t, oracle.MountImage(t, file), inlineTree(bs))
				})
			}
		}
	}
}

// inlineTree has files whose indexes and inline pclusters have many lengths.
func inlineTree(bs int) *tree.Tree {
	r := rand.New(rand.NewPCG(uint64(bs), 5))
	t := tree.New()
	for i := range 600 {
		b := words(r, r.IntN(3*bs))
		b = append(b, bytes.Repeat([]byte{'a'}, 100+r.IntN(8*bs))...)
		t.Root.Add(fmt.Sprintf("file-%04d", i), &tree.Node{Mode: tree.TypeRegular | 0o644, Size: int64(len(b)), Content: tree.Bytes(b)})
	}
	return t
}
