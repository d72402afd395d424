package fsck

import (
	"testing"

	"github.com/laminafs/lamina/mkfs"
)

func TestImagesOfOurWriterAreClean(t *testing.T) {
	for name, o := range map[string]mkfs.Options{
		"default": {}, "512": {BlockSize: 512}, "1024": {BlockSize: 1024}, "no inline": {Inline: mkfs.InlineNone}, "large": {Large: true},
		"extended": {Inodes: mkfs.InodeExtended}, "chunks": {ChunkSize: 4096}, "dedupe": {Dedupe: true}, "label": {Label: "0123456789abcde"},
		"prefixes": {XattrPrefixes: []string{"trusted.overlay.", "user.sh"}}, "no checksum": {NoChecksum: true}, "share nothing": {XattrShare: -1},
		"align": {LargeAlign: 4096, SizeAlign: 1 << 20},
	} {
		rep := checked(t, build(t, sample(), o), Options{ReadData: true})
		for _, f := range rep.Findings {
			t.Errorf("%s: %v", name, f)
		}
		if len(rep.Unchecked) > 0 {
			t.Errorf("%s: %q", name, rep.Unchecked)
		}
	}
}
