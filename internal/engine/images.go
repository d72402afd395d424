package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/errdefs"
	"github.com/containerd/platforms"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// Image is an image with a name.
type Image struct {
	Name     string        `json:"name"`
	Digest   digest.Digest `json:"digest"` // of what the name stands for: a manifest or an index
	Manifest digest.Digest `json:"manifest,omitempty"`
	Platform string        `json:"platform,omitempty"`
	Layers   int           `json:"layers"`
	Size     int64         `json:"size"`            // of the layers as registries have them, in bytes
	Blobs    int64         `json:"blobs,omitempty"` // of the EROFS images of the layers, in bytes
	Created  *time.Time    `json:"created,omitempty"`
	Updated  time.Time     `json:"updated"`

	target   v1.Descriptor
	contents *contents // nil if it could not be read
}

func newImage(im images.Image, c *contents) Image {
	out := Image{Name: im.Name, Digest: im.Target.Digest, Updated: im.UpdatedAt, target: im.Target, contents: c}
	if c == nil {
		return out
	}
	out.Manifest, out.Layers, out.Created = c.manifest.Digest, len(c.layers), c.config.Created
	out.Platform = platforms.Format(c.config.Platform)
	for _, l := range c.layers {
		out.Size += l.desc.Size
	}
	return out
}

// Images lists all images by name. One whose documents are missing or damaged is in the list with its digest only.
func (l *Local) Images(ctx context.Context) ([]Image, error) {
	list, err := l.images.List(l.named(ctx))
	if err != nil {
		return nil, fmt.Errorf("engine: %w", err)
	}
	out := make([]Image, 0, len(list))
	for _, im := range list {
		c, err := l.contentsOf(ctx, im.Target, "")
		if err != nil && ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		out = append(out, newImage(im, c))
	}
	slices.SortFunc(out, func(a, b Image) int { return cmp.Compare(a.Name, b.Name) })
	return out, nil
}

// contentsOf reads what the content store has of a target. Without a platform, this machine's is preferred to
// others, which an image may have been pulled for.
func (l *Local) contentsOf(ctx context.Context, target v1.Descriptor, platform string) (*contents, error) {
	match, err := matcher(platform)
	if err != nil {
		return nil, err
	}
	c, err := readContents(ctx, l.fromContent, target, func(index v1.Descriptor, list []v1.Descriptor) (v1.Descriptor, error) {
		var there []v1.Descriptor
		for _, d := range list {
			if _, err := l.content.Info(l.named(ctx), d.Digest); err == nil {
				there = append(there, d)
			}
		}
		best, err := choose(index, there, match)
		if errdefs.IsNotFound(err) && platform == "" && len(there) > 0 {
			return there[0], checkDescriptor(there[0], maxDocument)
		}
		return best, err
	})
	if err == nil && platform != "" {
		err = c.isFor(match)
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Lookup finds an image by its name, whole or short, or by the beginning of its digest. It is an ErrNotFound
// if there is none, and an ErrInvalidArgument if the beginning fits several.
func (l *Local) Lookup(ctx context.Context, ref string) (Image, error) {
	if name, err := Normalize(ref); err == nil {
		im, err := l.images.Get(l.named(ctx), name)
		if err == nil {
			c, _ := l.contentsOf(ctx, im.Target, "") // what is missing shows when it is needed
			return newImage(im, c), nil
		}
		if !errdefs.IsNotFound(err) {
			return Image{}, fmt.Errorf("engine: %w", err)
		}
	}
	return l.lookupDigest(ctx, ref)
}

// minDigest is how much of a digest must be given.
const minDigest = 4

func (l *Local) lookupDigest(ctx context.Context, ref string) (Image, error) {
	missing := fmt.Errorf("engine: %s: there is no such image: %w", ref, errdefs.ErrNotFound)
	part := strings.TrimPrefix(ref, "sha256:")
	if len(part) < minDigest || strings.Trim(part, "0123456789abcdef") != "" {
		return Image{}, missing
	}
	list, err := l.Images(ctx)
	if err != nil {
		return Image{}, err
	}
	var found *Image
	for i := range list {
		im := &list[i]
		if !strings.HasPrefix(im.Digest.Encoded(), part) && !strings.HasPrefix(im.Manifest.Encoded(), part) {
			continue
		}
		if found != nil && found.Digest != im.Digest {
			return Image{}, fmt.Errorf("engine: %s: several images have such a digest: %w", ref, errdefs.ErrInvalidArgument)
		}
		found = im
	}
	if found == nil {
		return Image{}, missing
	}
	return *found, nil
}

// RemoveImage removes the name of an image. What nothing refers to any more is removed by Prune. It is an
// ErrFailedPrecondition if a container was made from it and force is not given.
func (l *Local) RemoveImage(ctx context.Context, ref string, force bool) (Image, error) {
	im, err := l.Lookup(ctx, ref)
	if err != nil {
		return Image{}, err
	}
	if !force {
		list, err := l.Containers(ctx)
		if err != nil {
			return Image{}, err
		}
		for _, c := range list {
			if c.Image == im.Name {
				return Image{}, fmt.Errorf("engine: %s: container %s uses it: remove that first, or use --force: %w",
					Familiar(im.Name), c.ID, errdefs.ErrFailedPrecondition)
			}
		}
	}
	err = l.images.Delete(l.named(ctx), im.Name)
	if err != nil && !errors.Is(err, errdefs.ErrNotFound) {
		return Image{}, fmt.Errorf("engine: %w", err)
	}
	return im, nil
}

// unseen picks manifests that are in the content store and were not picked before; more is set if there are
// others left.
func (l *Local) unseen(ctx context.Context, seen map[digest.Digest]bool, more *bool) picker {
	return func(index v1.Descriptor, list []v1.Descriptor) (v1.Descriptor, error) {
		var best *v1.Descriptor
		for i := range list {
			d := &list[i]
			if seen[d.Digest] || checkDescriptor(*d, maxDocument) != nil {
				continue
			}
			if _, err := l.content.Info(l.named(ctx), d.Digest); err != nil {
				continue
			}
			if best != nil {
				*more = true
				break
			}
			best = d
		}
		if best == nil {
			return v1.Descriptor{}, fmt.Errorf("engine: %s: no manifest of it is here: %w", index.Digest, errdefs.ErrNotFound)
		}
		seen[best.Digest] = true
		return *best, nil
	}
}
