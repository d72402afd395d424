package tartree

import (
	"errors"
	"io"

	"github.com/laminafs/lamina/tree"
)

// WriteOptions of Write; the zero value works.
type WriteOptions struct {
	// Whiteouts says what becomes of overlayfs whiteouts and opaque directories: Overlay writes them as
	// .wh. entries, Keep as the devices and attributes that they are, Strip leaves them out.
	Whiteouts Whiteouts
}

// Write writes the tree as a deterministic tar archive.
func Write(w io.Writer, t *tree.Tree, o WriteOptions) error {
	return errors.ErrUnsupported
}
