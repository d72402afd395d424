package roundtrip

import (
	"crypto/sha256"
	"encoding/hex"
	"math/rand/v2"
	"testing"

	"github.com/laminafs/lamina/mkfs"
)

// Same tree and options give the same bytes on every system, and in every release until a change of
// layout is meant; then it is said in changes/ and these digests change.
func TestImagesHaveThePinnedBytes(t *testing.T) {
	for _, c := range []struct {
		o    mkfs.Options
		want string
	}{
		{mkfs.Options{}, "60a4fa5b8b15591f430e285be058794a4aaaf40612c0c65c8fa71dc64e4c63b2"},
		{mkfs.Options{Inline: mkfs.InlineNone, BlockSize: 512, Label: "layer"}, "2e55fba71cb356f0a541987d347f50832f8e03a798ceef10386f8e660121f00c"},
		{mkfs.Options{Dedupe: true, Large: true, XattrPrefixes: []string{"user.long."}}, "3a5a2bb024a562630e0afddd6b8d6c7f194fc845384cec498dd7e9d070624810"},
		{mkfs.Options{ChunkSize: 65536, Time: mkfs.TimeFixed, XattrShare: -1}, "44b04272a055d4dd663abc5b0314a0b8fe088ad034468fb3ebbaaaa48ae972cd"},
	} {
		image, err := write(t, randomTree(rand.New(rand.NewPCG(1, 2)), 2000), c.o)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(image)
		if got := hex.EncodeToString(sum[:]); got != c.want {
			t.Errorf("%+v: %s, want %s", c.o, got, c.want)
		}
	}
}
