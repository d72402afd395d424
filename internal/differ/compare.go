package differ

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/containerd/containerd/v2/core/diff"
	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/pkg/epoch"
	"github.com/containerd/errdefs"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

var _ diff.Comparer = (*Differ)(nil)

// Compare writes the layer that turns lower into upper to the content store. upper are mounts of a snapshot of
// the store, of any number of layers; lower, those of a view of its parent: then the layer is what the
// upper directory, or the blob, has, and nothing is compared. Otherwise both are mounted and compared, which
// takes memory for the entries of both.
//
// The media type is that of a tar, uncompressed or with gzip (if none is given) or zstd, or that of an EROFS
// image, uncompressed or with zstd. With a SourceDateEpoch nothing in the layer is later. The label
// containerd.io/uncompressed has the diffID.
//
// Attributes that only mean something on this machine (security.selinux, security.evm), what overlayfs keeps
// its books in, and sockets are not in the layer. Files that grow meanwhile are in it as they were.
//
// Errors, besides those of the content store: ErrNotImplemented if upper is not of the store, or for other
// media types; ErrFailedPrecondition if the changes are in an image that is not mounted here.
func (d *Differ) Compare(ctx context.Context, lower, upper []mount.Mount, opts ...diff.Opt) (ocispec.Descriptor, error) {
	var c diff.Config
	for _, o := range opts {
		if err := o(&c); err != nil {
			return ocispec.Descriptor{}, fmt.Errorf("differ: compare: option: %w", err)
		}
	}
	if c.SourceDateEpoch == nil {
		c.SourceDateEpoch = epoch.FromContext(ctx)
	}
	f, err := formOf(&c)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	p, err := d.pair(ctx, lower, upper)
	if err != nil {
		return ocispec.Descriptor{}, fmt.Errorf("differ: compare: %w", err)
	}
	out, err := d.put(ctx, &c, f, p)
	if err != nil {
		return out, fmt.Errorf("differ: compare: %w", err)
	}
	return out, nil
}

// form is what a layer is to be.
type form struct {
	layerType
	mediaType string
	epoch     *time.Time
	compress  func(io.Writer) (io.WriteCloser, error)
}

// formOf reads from the options what a layer is to be.
func formOf(c *diff.Config) (*form, error) {
	f := &form{mediaType: c.MediaType, epoch: c.SourceDateEpoch}
	if c.MediaType == "" {
		if c.Compressor != nil {
			return nil, fmt.Errorf("differ: compare: a compressor without a media type: %w", errdefs.ErrInvalidArgument)
		}
		f.mediaType = ocispec.MediaTypeImageLayerGzip
	}
	var err error
	f.layerType, err = parseType(f.mediaType)
	if c.Compressor != nil {
		f.compress = func(w io.Writer) (io.WriteCloser, error) { return c.Compressor(w, f.mediaType) }
		return f, nil // whatever it is called
	}
	f.compress = compressors[f.compression]
	return f, err
}

// clamp returns the time that a layer has for a modification time.
func (f *form) clamp(sec int64, nsec uint32) (int64, uint32) {
	if f.epoch == nil || !time.Unix(sec, int64(nsec)).After(*f.epoch) {
		return sec, nsec
	}
	return f.epoch.Unix(), uint32(f.epoch.Nanosecond())
}

// errDepends says that an upper directory refers to files of lower directories by more than their names.
var errDepends = errors.New("the upper directory has redirects or files without data")

// write writes the layer, uncompressed.
func (d *Differ) write(ctx context.Context, w io.Writer, f *form, p *pair) error {
	switch {
	case p.blob != nil:
		return d.writeBlob(ctx, w, f, p)
	case p.dir != "" && f.native:
		return d.writeImage(ctx, w, f, p)
	case p.dir != "":
		return writeUpper(ctx, w, f, p)
	}
	return d.writeDifference(ctx, w, f, p)
}
