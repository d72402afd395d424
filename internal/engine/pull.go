package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"

	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/core/metadata/boltutil"
	"github.com/containerd/containerd/v2/pkg/labels"
	"github.com/containerd/errdefs"
	"github.com/containerd/platforms"
	"github.com/distribution/reference"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	bolt "go.etcd.io/bbolt"
)

// PullOptions say what is pulled; the zero value is for this machine.
type PullOptions struct {
	Platform string  // OS/ARCH[/VARIANT]
	Watch    Watcher // may be nil
}

// Pull fetches an image from its registry and converts its layers while they come. Layers that the store has
// are not fetched. After nil, the image with all its layers survives a crash; after an error or a crash there
// is no image, and what has come is used by the next try.
func (l *Local) Pull(ctx context.Context, ref string, o PullOptions) (Image, error) {
	name, err := Normalize(ref)
	if err != nil {
		return Image{}, err
	}
	match, err := matcher(o.Platform)
	if err != nil {
		return Image{}, err
	}
	im, err := l.pull(ctx, name, match, o)
	if cause := context.Cause(ctx); cause != nil && err != nil {
		return im, cause
	}
	if err != nil {
		return im, fmt.Errorf("engine: %s: %w", Familiar(name), err)
	}
	return im, nil
}

func (l *Local) pull(ctx context.Context, name string, match platforms.MatchComparer, o PullOptions) (Image, error) {
	from, err := l.client(ctx)
	if err != nil {
		return Image{}, err
	}
	c, err := l.find(ctx, from, name, match)
	if err != nil {
		return Image{}, err
	}
	if o.Platform != "" { // else it is what this image has
		if err := c.isFor(match); err != nil {
			return Image{}, err
		}
	}
	t := &transfer{Local: l, source: from.only(name), labels: sourceLabels(name), watch: o.Watch}
	if t.watch == nil {
		t.watch = nobody{}
	}
	if err := t.layers(ctx, c.layers); err != nil {
		return Image{}, err
	}
	return l.record(ctx, name, c, t.labels)
}

// find learns what an image consists of. A mirror may say that a name stands for what nobody has, or for what is no
// image: then the next is asked.
func (l *Local) find(ctx context.Context, from *client, name string, match platforms.MatchComparer) (*contents, error) {
	known := func(ctx context.Context, d v1.Descriptor) (io.ReadCloser, error) {
		r, err := l.fromContent(ctx, d)
		if errdefs.IsNotFound(err) {
			r, err = from.follow(name).document(ctx, d)
		}
		return r, err
	}
	var last v1.Descriptor
	t := from.follow(name)
	for {
		desc, err := t.resolve(ctx)
		if err != nil {
			return nil, errors.Join(t.failed(), err)
		}
		if desc.Digest == last.Digest {
			return nil, t.failed()
		}
		last = desc
		c, err := readContents(ctx, known, desc, forPlatform(match))
		if err == nil {
			return c, nil
		}
		var f *fault
		strange := errors.Is(err, ErrInvalid) || errors.Is(err, errors.ErrUnsupported) || errors.As(err, &f)
		if ctx.Err() != nil || !strange {
			return nil, err
		}
		if !t.passOver(err) {
			return nil, t.failed()
		}
	}
}

// record writes the documents of an image and its name, in one transaction.
func (l *Local) record(ctx context.Context, name string, c *contents, labels map[string]string) (Image, error) {
	im := images.Image{Name: name, Target: v1.Descriptor{MediaType: c.docs[0].desc.MediaType, Digest: c.target.Digest, Size: c.target.Size}}
	err := l.meta.Update(func(tx *bolt.Tx) (err error) {
		ctx := boltutil.WithTransaction(l.named(ctx), tx)
		if err := l.putDocuments(ctx, c.docs, labels); err != nil {
			return err
		}
		im, err = putImage(ctx, l.images, im)
		return err
	})
	if err != nil {
		return Image{}, err
	}
	return newImage(im, c), nil
}

// putImage gives a name to a target, whatever it was the name of before.
func putImage(ctx context.Context, to images.Store, im images.Image) (images.Image, error) {
	out, err := to.Update(ctx, im, "target")
	if errdefs.IsNotFound(err) {
		out, err = to.Create(ctx, im)
	}
	return out, err
}

// sourceLabels say where content came from, as containerd does: registries mount blobs of each other's
// repositories by them, and what was not fetched can be.
func sourceLabels(name string) map[string]string {
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return nil
	}
	return map[string]string{labels.LabelDistributionSource + "." + reference.Domain(named): reference.Path(named)}
}

// memoryPerLayer is what one conversion may take: the tree of a layer of half a million entries.
const memoryPerLayer = 256 << 20

// workers is how many layers are fetched at once.
func (l *Local) workers() int {
	n := l.Config.Registry.MaxConcurrentDownloads
	if n <= 0 {
		n = Default().Registry.MaxConcurrentDownloads
	}
	n = min(n, max(2, runtime.GOMAXPROCS(0)))
	if free := availableMemory(); free > 0 {
		n = min(n, int(free/memoryPerLayer))
	}
	return max(1, n)
}

// availableMemory is what Linux says that programs can still get, in bytes; 0 if it does not say.
func availableMemory() int64 {
	b, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(b), "MemAvailable:")
	text, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0
	}
	return n << 10
}
