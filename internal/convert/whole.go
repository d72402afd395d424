package convert

import (
	"errors"
	"io/fs"
	"os"

	"github.com/laminafs/lamina/erofs"
)

// isWhole tells whether a blob is there, with the superblock and the length that it was written with. One
// that a failing disk has damaged is to be made again. Its data is trusted: to verify it takes as long as
// to convert the layer.
func isWhole(blob string) (_ bool, err error) {
	f, err := os.Open(blob)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer func() { _ = f.Close() }() // only read
	st, err := f.Stat()
	if err != nil {
		return false, err
	}
	im, err := erofs.Open(f)
	switch {
	case errors.Is(err, erofs.ErrCorrupt), errors.Is(err, errors.ErrUnsupported):
		return false, nil
	case err != nil:
		return false, err
	}
	sb := im.Superblock()
	return uint64(st.Size()) == sb.Blocks()<<sb.BlockBits, nil
}
