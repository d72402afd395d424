package convert

import (
	"fmt"
	"io"

	"github.com/laminafs/lamina/erofs"
)

// DigestError says that the uncompressed tar is not the one that was wanted.
type DigestError struct{ Got, Want string }

// Error implements error.
func (e *DigestError) Error() string {
	return fmt.Sprintf("the uncompressed tar has the digest %s, not %s", e.Got, e.Want)
}

// ReadBack opens a finished image as a mount does, superblock checksum included, and reads its root
// directory. It is what must succeed before an image is named (rule 7): it finds outputs that do not
// give back what was written and metadata that went elsewhere, at the cost of a few blocks. It is no
// check of the whole image; package fsck is.
func ReadBack(r io.ReaderAt) error {
	im, err := erofs.Open(r)
	if err == nil {
		_, err = im.Root().Entries()
	}
	if err != nil {
		return fmt.Errorf("convert: image as read back: %w", err)
	}
	return nil
}
