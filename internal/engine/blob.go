package engine

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/containerd/errdefs"

	"github.com/laminafs/lamina/erofs"
	"github.com/laminafs/lamina/internal/convert"
	"github.com/laminafs/lamina/internal/differ"
	"github.com/laminafs/lamina/internal/store"
	"github.com/laminafs/lamina/tartree"
)

// holder is what links the blob of a layer in the store for images, beside the snapshots: no number, so the
// store takes it for no snapshot. One is enough for all images with the layer; it goes when none of them is left.
func holder(l layer) string { return holderPrefix + l.diffID.String() }

const holderPrefix = "image:"

// keysOf are the keys that the blob of a layer may have, by how it was made.
func keysOf(l layer) []store.Key {
	if IsNative(l.desc.MediaType) {
		return []store.Key{{Profile: store.ProfileNative, Digest: l.diffID}}
	}
	var keys []store.Key
	for _, p := range convert.LayerProfiles {
		keys = append(keys, store.Key{Profile: p, Digest: l.diffID})
	}
	return keys
}

// IsNative tells whether a media type is that of layers that are EROFS images, compressed or not.
func IsNative(mediaType string) bool {
	base, _, _ := strings.Cut(mediaType, "+")
	return base == differ.MediaTypeErofsLayer || base == differ.MediaTypeErofs
}

// blobOf returns the blob of a layer: ErrNotFound if the store has none that is whole.
func blobOf(tx *store.Tx, l layer) (store.Blob, error) {
	var b store.Blob
	var err error
	for _, k := range keysOf(l) {
		if b, err = tx.Blob(k); !errdefs.IsNotFound(err) {
			break
		}
	}
	return b, err
}

// hold makes sure that the blob of a layer stays if the store has it, and tells whether it has it.
func (l *Local) hold(ctx context.Context, la layer) (there bool, err error) {
	var key store.Key
	look := func(tx *store.Tx) (linked bool, err error) {
		b, err := blobOf(tx, la)
		there, key = err == nil, b.Key
		if err != nil {
			if errdefs.IsNotFound(err) {
				err = nil
			}
			return true, err
		}
		have, ok := tx.LinkOf(holder(la))
		return ok && have == key, nil
	}
	linked := false
	err = l.Store.View(ctx, func(_ context.Context, tx *store.Tx) (err error) {
		linked, err = look(tx)
		return err
	})
	if err != nil || linked {
		return there, err
	}
	err = l.Store.Update(ctx, func(_ context.Context, tx *store.Tx) error {
		if linked, err := look(tx); err != nil || linked {
			return err
		}
		return tx.Link(holder(la), key)
	})
	return there && err == nil, err
}

// convert makes the blob of a layer that is read, or that lies in a file, and holds it.
func (l *Local) convert(ctx context.Context, in io.Reader, la layer, file string) error {
	_, err := l.differ.Convert(ctx, &cancelled{ctx, in}, differ.Layer{
		MediaType: la.desc.MediaType, DiffID: la.diffID, Snapshot: holder(la), File: file, FileDigest: la.desc.Digest,
	})
	return err
}

// cancelled is a reader that ends with its context.
type cancelled struct {
	ctx context.Context
	r   io.Reader
}

// Read implements io.Reader.
func (c *cancelled) Read(b []byte) (int, error) {
	if c.ctx.Err() != nil {
		return 0, context.Cause(c.ctx)
	}
	return c.r.Read(b)
}

// isBadLayer tells whether an error says that the bytes of a layer are wrong, or not supported: to fetch them
// again is of no use.
func isBadLayer(err error) bool {
	var digest *convert.DigestError
	return errors.As(err, &digest) || errors.Is(err, tartree.ErrArchive) ||
		errors.Is(err, erofs.ErrCorrupt) || errors.Is(err, errors.ErrUnsupported) ||
		errdefs.IsNotImplemented(err) || errdefs.IsInvalidArgument(err)
}
