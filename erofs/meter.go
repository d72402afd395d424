package erofs

import (
	"math"

	"github.com/laminafs/lamina/internal/image"
)

const (
	// slack is the metadata that any image may have: below it nobody asks for the size of the image.
	slack = 64 << 10
	// maxRatio is how many times as large as the image its metadata may be if some of it is compressed. That
	// of real images shrinks to a tenth at most.
	maxRatio = 64
)

// meter adds up metadata that was met, each inode once. Metadata of an image does not overlap, so all
// of it has at most the size of the image, or a multiple where it is compressed. In a hostile image it may, and a few megabytes of
// directories that share their blocks, or of xattr areas that lie over each other, would become a
// tree of terabytes and a walk of years.
type meter struct {
	spent, limit int64
}

// charge accounts for n bytes. More than the image has are a FormatError.
func (m *meter) charge(img *image.Image, n int64) error {
	if m.spent += min(n, math.MaxInt64-m.spent); m.spent <= slack {
		return nil
	}
	if m.limit == 0 {
		limit := int64(slack)
		for _, d := range img.Devices {
			if d.Window == nil {
				continue
			}
			size, err := d.Window.Size()
			if err != nil {
				return err
			}
			limit += min(size, math.MaxInt64-limit)
		}
		if img.Super.Algorithms() != 0 {
			limit = maxRatio * min(limit, math.MaxInt64/maxRatio)
		}
		m.limit = limit
	}
	if m.spent > m.limit {
		return &FormatError{Off: -1, Field: "metadata", Got: m.spent, Why: "has more bytes than the image: it overlaps"}
	}
	return nil
}
