package roundtrip

import (
	"math/rand/v2"
	"testing"

	"github.com/laminafs/lamina/internal/oracle"
	"github.com/laminafs/lamina/mkfs"
	"github.com/laminafs/lamina/tree"
)

// The largest pclusters and stored extents that begin at any byte touch no more pages than Linux reads.
func TestKernelReadsTheLargestDensePclusters(t *testing.T) {
	source := func() *tree.Tree {
		rnd, t := rand.New(rand.NewPCG(31, 32)), tree.New()
		noise := make([]byte, 3<<20)
		for i := range noise {
			noise[i] = byte(rnd.Uint32())
		}
		add(t, "a", words(rnd, 1000))
		add(t, "b", words(rnd, 6_000_000))
		add(t, "c", words(rnd, 1001))
		add(t, "d", append(words(rnd, 5001), noise...))
		return t
	}
	for _, a := range []mkfs.Algorithm{mkfs.LZ4, mkfs.Deflate, mkfs.ZSTD} {
		image, _ := imageOn(t, source, mkfs.Options{Compression: &mkfs.Compression{
			Method: mkfs.Method{Algorithm: a}, PclusterSize: 1 << 20, Index: mkfs.IndexExtents}})
		kernelShows(t, oracle.MountImage(t, store(t, "image", image).Name()), source())
	}
}
