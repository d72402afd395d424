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
		{mkfs.Options{}, "a4485ce5fbb959566dd76b565cf18d7c19e8dd60d9bacf9a14a4b65db70ae343"},
		{mkfs.Options{Inline: mkfs.InlineNone, BlockSize: 512, Label: "layer"}, "c504ac2a1b662417e30bc184720131b3fda55573626ac2259da4dd75bab9af4f"},
		{mkfs.Options{Dedupe: true, Large: true, XattrPrefixes: []string{"user.long."}}, "deb4f1c16a4648d32b6637ec1b364d538d11250256a89b302a4500e258f66f19"},
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
