package convert

import (
	"context"
	"errors"

	"github.com/laminafs/lamina/erofs"
	"github.com/laminafs/lamina/mkfs"
	"github.com/laminafs/lamina/tree"
)

// ErrEncoded is why an index cannot refer to a file.
var ErrEncoded = errors.New("is compressed, which an index cannot refer to")

// Locate makes the contents of a tree that erofs.Image.Tree returned located on a device (mkfs.Options.Devices, counted
// from 1), or in the image that is kept (0). Files that have to be decoded are read, or are an ErrEncoded if strict is
// set. Reading ends with the context.
func Locate(ctx context.Context, t *tree.Tree, device int, strict bool) {
	for _, n := range t.Inodes() {
		if c, ok := n.Content.(extenter); ok {
			n.Content = &located{c, ctx, device, strict}
		}
	}
}

// extenter is what contents of package erofs are.
type extenter interface {
	tree.Content
	Extents() ([]erofs.Extent, error)
	ChunkSize() (int64, error)
}

// located is an mkfs.Located.
type located struct {
	extenter
	ctx    context.Context
	device int
	strict bool
}

// ReadAt implements io.ReaderAt.
func (l *located) ReadAt(p []byte, off int64) (int, error) {
	if l.ctx.Err() != nil {
		return 0, context.Cause(l.ctx)
	}
	return l.extenter.ReadAt(p, off)
}

// Located implements mkfs.Located. Inline tails are in no piece, nor is what has to be decoded.
func (l *located) Located() (at mkfs.Location, err error) {
	list, err := l.Extents()
	if err != nil {
		return at, err
	}
	at.Device = l.device
	for _, x := range list {
		encoded := x.Encoded || x.Packed
		if encoded && l.strict {
			return at, ErrEncoded
		}
		if !encoded && !x.Hole && !x.Inline && x.Device == 0 {
			at.Pieces = append(at.Pieces, mkfs.Piece{Off: x.Logical, Len: x.Length, Pos: x.Physical})
		}
	}
	at.Chunk, err = l.ChunkSize()
	return at, err
}
