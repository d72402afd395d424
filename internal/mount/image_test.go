package mount

import (
	"slices"
	"testing"
)

func TestJournalGrowsWithTheImage(t *testing.T) {
	for size, want := range map[int64]string{MinExt4: "size=4", 1 << 30: "size=8", 100 << 30: "size=64"} {
		if args := ext4Args("/i", size, ImageOptions{UUID: "u"}); !slices.Contains(args, want) || args[len(args)-1] != "/i" || args[len(args)-2] != "u" {
			t.Errorf("%d: %q", size, args)
		}
	}
}

func TestQuotaBlocksNeverBecomeNone(t *testing.T) {
	for bytes, want := range map[uint64]uint64{0: 0, 1: 1, 1024: 1, 1025: 2, 1<<64 - 1: (1<<64 - 1) / 1024} {
		if got := quotaBlocks(bytes); got != want {
			t.Errorf("%d bytes: %d", bytes, got)
		}
	}
}
