package engine

import (
	"context"
	"fmt"

	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/errdefs"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/laminafs/lamina/internal/oci"
)

// RootOf makes sure that the layers of an image are in the store, and returns what a container of it is made
// from. Blobs that are missing or damaged are made again: from the content store, or fetched.
func (l *Local) RootOf(ctx context.Context, im Image, o PullOptions) (*Root, error) {
	c, err := l.contentsOf(ctx, im.target, o.Platform)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", Familiar(im.Name), err)
	}
	t := &transfer{Local: l, watch: o.Watch, source: l.refetcher(im.Name)}
	if t.watch == nil {
		t.watch = nobody{}
	}
	t.labels, _ = l.sources(ctx, im.Name) // only needed if something has to be fetched
	if err := t.layers(ctx, c.layers); err != nil {
		return nil, fmt.Errorf("%s: %w", Familiar(im.Name), err)
	}
	return &Root{Image: im.Name, Manifest: c.manifest.Digest, Config: c.config, layers: c.layers}, nil
}

// refetcher leads to what is not in the content store: to the registries that the image came from.
func (l *Local) refetcher(name string) source {
	return func(ctx context.Context, d v1.Descriptor) (*trail, error) {
		labels, err := l.sources(ctx, name)
		if err != nil {
			return nil, err
		}
		repos := repositories(labels)
		if len(repos) == 0 {
			return nil, fmt.Errorf("engine: %s: it is not here, and nobody knows where it came from: %w", d.Digest, errdefs.ErrNotFound)
		}
		for i := range repos {
			repos[i] += "@" + d.Digest.String()
		}
		c, err := l.client(ctx)
		if err != nil {
			return nil, err
		}
		return c.follow(repos...), nil
	}
}

// nowhere is the source of what has to be in the content store.
func (l *Local) nowhere(_ context.Context, d v1.Descriptor) (*trail, error) {
	return nil, fmt.Errorf("engine: %s: it is not here: %w", d.Digest, errdefs.ErrNotFound)
}

// RootOfFile is RootOf for an image in an archive or a directory; its layers are read from there.
func (l *Local) RootOfFile(ctx context.Context, ref string, im *oci.Image, w Watcher) (*Root, error) {
	r := &Root{Image: ref, Config: im.Config}
	for i := range im.Layers {
		la := &im.Layers[i]
		d := v1.Descriptor{MediaType: la.MediaType, Digest: la.Digest, Size: la.Size}
		if d.MediaType == "" {
			d.MediaType = images.MediaTypeDockerSchema2Layer // compressed or not
		}
		if d.Digest == "" {
			d.Digest = la.DiffID
		}
		r.layers = append(r.layers, layer{d, la.DiffID})
	}
	if w == nil {
		w = nobody{}
	}
	t := &fileTransfer{transfer{Local: l, watch: w}, im}
	return r, t.each(ctx, r.layers, t.layer)
}

// fileTransfer brings layers of an image in files into the store.
type fileTransfer struct {
	transfer
	im *oci.Image
}

func (t *fileTransfer) layer(ctx context.Context, i int, la layer) (string, error) {
	there, err := t.hold(ctx, la)
	if err != nil || there {
		return "there", err
	}
	done, err := t.busy(ctx, la)
	if err != nil {
		return "", err
	}
	defer done()
	if there, err := t.hold(ctx, la); err != nil || there {
		return "there", err
	}
	r, err := t.im.OpenLayer(i)
	if err != nil {
		return "", err
	}
	defer func() { _ = r.Close() }() // only read
	return "converted", t.convert(ctx, &movedReader{r, t.watch, i}, la, "")
}
