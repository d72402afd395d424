package differ

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/pkg/labels"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/laminafs/lamina/internal/convert"
	"github.com/laminafs/lamina/internal/store"
)

// maxRebuilds is how many blobs are rebuilt at once: after damage to a whole disk every container asks for some.
const maxRebuilds = 4

// Rebuild makes the blob of a layer again that is lost or damaged, from what the content store has of the layer, and
// heals every snapshot that refers to it. The digest of what is read is compared with the key, so it does not matter
// how the content was found. After nil the blob is durable and there, whoever made it, or no snapshot refers to it any
// more: of calls for one key at the same time one works. It ends with ctx. Without content it is an ErrNotFound that
// says what the user can do.
func (d *Differ) Rebuild(ctx context.Context, k store.Key) error {
	if err := d.rebuild(ctx, k); err != nil {
		return fmt.Errorf("differ: rebuild of blob %s: %w", k, err)
	}
	return nil
}

func (d *Differ) rebuild(ctx context.Context, k store.Key) error {
	f, err := d.rebuilds.enter(ctx, k.Digest)
	if err != nil {
		return err
	}
	defer d.rebuilds.leave(k.Digest, f)
	if _, err := d.store.Reuse(ctx, k, ""); !errdefs.IsNotFound(err) {
		return err // or healed by who was here before
	}
	select {
	case d.slots <- struct{}{}:
		defer func() { <-d.slots }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	var users []string
	if err := d.store.View(ctx, func(_ context.Context, tx *store.Tx) error {
		users = tx.LinksTo(k)
		return nil
	}); err != nil {
		return err
	}
	if len(users) == 0 { // who was here before has given them another blob, or they were removed
		return nil
	}
	return d.remakeAny(ctx, k, users[0])
}

// remakeAny tries everything in the content store that may be the layer.
func (d *Differ) remakeAny(ctx context.Context, k store.Key, user string) error {
	const advice = "remove the image and pull it again"
	switch {
	case k.Digest.Algorithm() != digest.SHA256: // nothing that is converted has such a key: it came from a cache
		return fmt.Errorf("it was damaged, and the layer is not known by a SHA-256: %s: %w", advice, errdefs.ErrNotFound)
	case k.Profile == store.ProfileDir:
		return fmt.Errorf("it was damaged, and made of a directory that nobody has any more: %s: %w", advice, errdefs.ErrNotFound)
	}
	tried := map[digest.Digest]bool{}
	var bad error // why what there is cannot be used
	for _, find := range []func(context.Context, store.Key) ([]content.Info, error){d.byDigest, d.byLabel, d.byManifest} {
		found, err := find(ctx, k)
		if err != nil {
			return err
		}
		for _, info := range found {
			if tried[info.Digest] {
				continue
			}
			tried[info.Digest] = true
			switch err := d.remake(ctx, k, info, user); {
			case err == nil:
				return d.relink(ctx, k, user)
			case ctx.Err() != nil:
				return context.Cause(ctx)
			case !isUnusable(err):
				return err
			default:
				bad = errors.Join(bad, err)
			}
		}
	}
	if bad != nil { // told, not wrapped: it is of another kind
		return fmt.Errorf("it was damaged, and what the content store has of the layer cannot be used (%s): %s: %w", bad, advice, errdefs.ErrNotFound)
	}
	return fmt.Errorf("it was damaged, and the content of the layer is not here any more: %s: %w", advice, errdefs.ErrNotFound)
}

// isUnusable tells whether an error is the fault of the content, so that other content may do.
func isUnusable(err error) bool {
	err = classify(err)
	return errdefs.IsNotFound(err) || errdefs.IsInvalidArgument(err)
}

// remake makes the blob of content that may be the layer, and links it to a snapshot that refers to the damaged one.
func (d *Differ) remake(ctx context.Context, k store.Key, info content.Info, user string) error {
	desc := ocispec.Descriptor{Digest: info.Digest, Size: info.Size}
	switch native, plain := k.Profile == store.ProfileNative, info.Digest == k.Digest; {
	case native && plain:
		desc.MediaType = MediaTypeErofsLayer
	case native:
		desc.MediaType = MediaTypeErofsLayer + "+zstd"
	case plain:
		desc.MediaType = ocispec.MediaTypeImageLayer
	default:
		desc.MediaType = images.MediaTypeDockerSchema2Layer // compressed in any way
	}
	in, err := d.open(ctx, desc)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // only read
	// Without FileDigest: after damage to the disk the digest of a file is compared once more.
	out, err := d.Convert(ctx, in, Layer{MediaType: desc.MediaType, DiffID: k.Digest, Snapshot: user, File: in.file})
	if err == nil && out.Digest != k.Digest {
		err = &convert.DigestError{Got: out.Digest.String(), Want: k.Digest.String()}
	}
	return err
}

// relink makes all snapshots that refer to a damaged blob refer to the one that user refers to now: it has another key
// if layers are converted in another way today.
func (d *Differ) relink(ctx context.Context, from store.Key, user string) error {
	same := false
	if err := d.store.View(ctx, func(_ context.Context, tx *store.Tx) error {
		to, ok := tx.LinkOf(user)
		same = !ok || to == from
		return nil
	}); err != nil || same {
		return err
	}
	return d.store.Update(ctx, func(_ context.Context, tx *store.Tx) error {
		to, ok := tx.LinkOf(user)
		if !ok {
			return fmt.Errorf("snapshot %s was removed meanwhile: %w", user, errdefs.ErrUnavailable)
		}
		for _, id := range tx.LinksTo(from) {
			if err := tx.Link(id, to); err != nil {
				return err
			}
		}
		return nil
	})
}

// byDigest finds the layer as it is uncompressed.
func (d *Differ) byDigest(ctx context.Context, k store.Key) ([]content.Info, error) {
	info, err := d.content.Info(ctx, k.Digest)
	if errdefs.IsNotFound(err) {
		return nil, nil
	}
	return []content.Info{info}, err
}

// byLabel finds content whose unpacker has noted the diffID.
func (d *Differ) byLabel(ctx context.Context, k store.Key) (found []content.Info, err error) {
	err = d.content.Walk(ctx, func(info content.Info) error {
		found = append(found, info)
		return nil
	}, fmt.Sprintf("labels.%q==%q", labels.LabelUncompressed, k.Digest))
	return found, err
}

// labelConfig is on the record of a manifest: containerd's garbage collection finds the config by it.
const labelConfig = "containerd.io/gc.ref.content.config"

// maxDocument bounds what is read of a manifest or a config; registries take 4 MiB.
const maxDocument = 8 << 20

// byManifest finds the layer of an image whose config lists the diffID, at the same place.
func (d *Differ) byManifest(ctx context.Context, k store.Key) (found []content.Info, err error) {
	var manifests []content.Info
	if err := d.content.Walk(ctx, func(info content.Info) error {
		manifests = append(manifests, info)
		return nil
	}, fmt.Sprintf("labels.%q", labelConfig)); err != nil {
		return nil, err
	}
	for _, m := range manifests {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		var image ocispec.Image
		var manifest ocispec.Manifest
		if !d.document(ctx, digest.Digest(m.Labels[labelConfig]), &image) {
			continue
		}
		i := slices.Index(image.RootFS.DiffIDs, k.Digest)
		if i < 0 || !d.document(ctx, m.Digest, &manifest) || i >= len(manifest.Layers) {
			continue
		}
		if info, err := d.content.Info(ctx, manifest.Layers[i].Digest); err == nil {
			found = append(found, info)
		}
	}
	return found, nil
}

// document reads JSON of an image, and tells whether it could.
func (d *Differ) document(ctx context.Context, dgst digest.Digest, v any) bool {
	info, err := d.content.Info(ctx, dgst)
	if err != nil || info.Size > maxDocument {
		return false
	}
	b, err := content.ReadBlob(ctx, d.content, ocispec.Descriptor{Digest: dgst, Size: info.Size})
	return err == nil && json.Unmarshal(b, v) == nil
}
