package differ

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/containerd/containerd/v2/core/diff"
	"github.com/containerd/containerd/v2/core/diff/apply"
	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/laminafs/lamina/erofs"
	"github.com/laminafs/lamina/internal/convert"
	"github.com/laminafs/lamina/internal/store"
	"github.com/laminafs/lamina/tartree"
)

var _ diff.Applier = (*Differ)(nil)

// Apply makes the blob of a layer and links it to the snapshot that mounts are of. It returns the descriptor
// of the uncompressed layer, whose digest is the diffID; its size is 0 if the blob was there already and
// nobody said how long the layer is. Whether SyncFs is asked for or not, after nil the blob is durable.
//
// Errors, besides those of the content and of the store: ErrNotImplemented if the mounts are not of the
// store or the media type is none that is known, encrypted ones included; ErrFailedPrecondition if the
// mounts are read-only, unless the snapshot is staged, that is, has its blob already; ErrInvalidArgument
// if the layer is damaged, or is not the one that the snapshot is for.
func (d *Differ) Apply(ctx context.Context, desc ocispec.Descriptor, mounts []mount.Mount, opts ...diff.ApplyOpt) (ocispec.Descriptor, error) {
	var none ocispec.Descriptor
	var c diff.ApplyConfig
	for _, o := range opts {
		if err := o(ctx, desc, &c); err != nil {
			return none, fmt.Errorf("differ: apply %s: option: %w", desc.Digest, err)
		}
	}
	id, ok := store.SnapshotID(d.store.Root, mounts)
	if !ok {
		return none, fmt.Errorf("differ: apply %s: the mounts are not of the store %s: %w", desc.Digest, d.store.Root, errdefs.ErrNotImplemented)
	}
	t, err := parseType(desc.MediaType)
	if err != nil {
		return none, err
	}
	if err := desc.Digest.Validate(); err != nil {
		return none, fmt.Errorf("differ: digest %.80q: %w: %w", desc.Digest, err, errdefs.ErrInvalidArgument)
	}
	to, err := d.target(ctx, id)
	if err != nil {
		return none, fmt.Errorf("differ: apply %s: %w", desc.Digest, err)
	}
	// A staged snapshot is read-only and linked: containerd 2.4 does not come here with one, 2.2 and 2.3 do.
	if mounts[len(mounts)-1].ReadOnly() && !to.linked {
		return none, fmt.Errorf("differ: apply %s: snapshot %s is read-only: %w", desc.Digest, id, errdefs.ErrFailedPrecondition)
	}
	if !to.unpacking {
		return d.unpack(ctx, &t, desc, mounts, opts)
	}
	out, err := d.apply(ctx, desc, &t, id, to.diffID, c.Progress)
	if err != nil {
		return none, fmt.Errorf("differ: apply %s: %w", desc.Digest, classify(err))
	}
	return out, nil
}

// unpack applies a layer to the upper directory of a snapshot that is not for unpacking, such as that of a
// container which is restored.
func (d *Differ) unpack(ctx context.Context, t *layerType, desc ocispec.Descriptor, mounts []mount.Mount, opts []diff.ApplyOpt) (ocispec.Descriptor, error) {
	switch {
	case t.native:
		return ocispec.Descriptor{}, fmt.Errorf("differ: apply %s: an EROFS image to a snapshot that is not for unpacking: %w", desc.Digest, errdefs.ErrNotImplemented)
	case len(mounts) > 1: // containerd's mount manager joins them
		return ocispec.Descriptor{}, fmt.Errorf("differ: apply %s: %d mounts of a snapshot that is not for unpacking: %w", desc.Digest, len(mounts), errdefs.ErrNotImplemented)
	}
	out, err := apply.NewFileSystemApplier(d.content).Apply(ctx, desc, mounts, opts...)
	if err == nil {
		d.observe(Unpacked, desc.MediaType, desc.Size)
	}
	return out, err
}

// apply links the blob of the layer, which it makes if it is not there. Of calls with the same layer at the
// same time one makes it. want is the diffID if it is known.
func (d *Differ) apply(ctx context.Context, desc ocispec.Descriptor, t *layerType, id string, want digest.Digest, progress func(int64)) (ocispec.Descriptor, error) {
	f, err := d.flights.enter(ctx, desc.Digest)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	defer d.flights.leave(desc.Digest, f)
	if progress != nil {
		progress(0)
	}
	if t.native && t.plain() && want != "" && want != desc.Digest {
		return ocispec.Descriptor{}, &convert.DigestError{Got: desc.Digest.String(), Want: want.String()}
	}
	diffID := diffIDOf(desc, t, want, f)
	if d.config.Isolated {
		// The diffID is from the config of an image, so from anybody: only what the content was seen to be counts.
		diffID = diffIDOf(desc, t, "", f)
		if _, err := d.content.Info(ctx, desc.Digest); err != nil {
			return ocispec.Descriptor{}, err
		}
	}
	ok, err := d.link(ctx, id, diffID)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	if ok {
		d.observe(Linked, desc.MediaType, desc.Size)
		if progress != nil {
			progress(desc.Size)
		}
		return described(t, diffID, f.size(diffID, desc, t)), nil
	}
	in, err := d.open(ctx, desc)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	defer func() { _ = in.Close() }() // only read
	l := Layer{MediaType: desc.MediaType, DiffID: want, Snapshot: id, File: in.file, FileDigest: desc.Digest}
	out, err := d.Convert(ctx, &watched{ctx: ctx, r: in, progress: progress}, l)
	if err == nil {
		f.diffID, f.length = out.Digest, out.Size
	}
	return out, err
}

// diffIDOf is the diffID of a layer if it is known without reading it, else "". The label containerd.io/uncompressed
// of the content does not say: containerd before 2.4 writes the diffID of a manifest there also when the layer
// was found by it and nobody has compared it with the content.
func diffIDOf(desc ocispec.Descriptor, t *layerType, want digest.Digest, f *flight) digest.Digest {
	switch {
	case want != "":
		return want
	case f.diffID != "":
		return f.diffID
	case t.plain():
		return desc.Digest
	}
	return ""
}

// link links a snapshot to the best blob that there is of a layer, if there is one. diffID may be "": unknown.
func (d *Differ) link(ctx context.Context, id string, diffID digest.Digest) (bool, error) {
	if diffID == "" {
		return false, nil
	}
	var there []store.Key
	err := d.store.View(ctx, func(_ context.Context, tx *store.Tx) error {
		for _, p := range convert.LayerProfiles {
			k := store.Key{Profile: p, Digest: diffID}
			switch _, err := tx.Blob(k); {
			case err == nil:
				there = append(there, k)
			case !errdefs.IsNotFound(err):
				return err
			}
		}
		return nil
	})
	if err != nil {
		return false, err
	}
	for _, k := range there {
		if _, err := d.store.Reuse(ctx, k, id); err == nil || !errdefs.IsNotFound(err) {
			return err == nil, err
		}
	}
	return false, nil
}

// tar makes the blob of a tar layer.
func (d *Differ) tar(ctx context.Context, in io.Reader, t *layerType, l Layer) (ocispec.Descriptor, error) {
	st, err := d.store.Stage(ctx)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	defer func() { _ = st.Discard() }()  // does nothing after Publish
	o := convert.Options{Verified: true} // by the digest of its descriptor
	o.Mkfs.TempDir = st.Dir()
	if l.DiffID != "" && l.DiffID.Algorithm() == digest.SHA256 {
		o.DiffID = l.DiffID.String()
	}
	var r convert.Result
	profile, how := convert.Profile, Converted
	if d.config.EnableTarIndex {
		profile, how = convert.IndexProfile, Indexed
		r, err = index(in, st, t, l, o)
	} else {
		r, err = convert.Layer(in, st.File(), o)
	}
	if err == nil {
		err = convert.ReadBack(st.File())
	}
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	k := store.Key{Profile: profile, Digest: digest.Digest(r.DiffID)}
	if _, err := st.Publish(ctx, k, l.Snapshot); err != nil {
		return ocispec.Descriptor{}, err
	}
	d.observe(how, l.MediaType, r.TarSize)
	return described(t, k.Digest, r.TarSize), nil
}

// index makes a tar index. If the tar lies in a file as it is, that becomes the device; else the tar goes
// behind the index. Either way there is no second copy of it in the store.
func index(in io.Reader, st *store.Staged, t *layerType, l Layer, o convert.Options) (convert.Result, error) {
	if l.File == "" || !t.plain() {
		return convert.IndexedTar(in, st.File(), o)
	}
	o.DiffID = ""
	r, err := convert.Index(in, st.File(), o)
	switch {
	case err != nil:
		return r, err
	case l.DiffID != "" && r.DiffID != l.DiffID.String():
		return r, &convert.DigestError{Got: r.DiffID, Want: l.DiffID.String()}
	case r.Compression != tartree.None:
		return r, fmt.Errorf("%s in a layer whose media type says that it is not compressed: %w", r.Compression, tartree.ErrArchive)
	}
	return r, st.AdoptDevice(l.File)
}

// described is what Apply returns for a layer.
func described(t *layerType, diffID digest.Digest, size int64) ocispec.Descriptor {
	mediaType := ocispec.MediaTypeImageLayer
	if t.native {
		mediaType = t.base
	}
	return ocispec.Descriptor{MediaType: mediaType, Digest: diffID, Size: size}
}

// classify gives errors that are the fault of the layer the kind that containerd knows.
func classify(err error) error {
	var wrong *convert.DigestError
	if errors.Is(err, tartree.ErrArchive) || errors.As(err, &wrong) || errors.Is(err, erofs.ErrCorrupt) || errors.Is(err, errors.ErrUnsupported) {
		return fmt.Errorf("%w: %w", err, errdefs.ErrInvalidArgument)
	}
	return err
}
