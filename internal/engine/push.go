package engine

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/core/remotes"
	"github.com/containerd/containerd/v2/pkg/labels"
	"github.com/containerd/errdefs"
	"github.com/containerd/platforms"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/semaphore"
)

// PushOptions say what is pushed; the zero value is all that is here.
type PushOptions struct {
	Platform string // OS/ARCH[/VARIANT]: its manifest alone, without the index
	Watch    Watcher
}

// Push sends an image to the registry that to names; "" is the image's own name. Layers that were not fetched
// because the store had them are fetched now if the registry lacks them.
func (l *Local) Push(ctx context.Context, ref, to string, o PushOptions) (v1.Descriptor, error) {
	im, err := l.Lookup(ctx, ref)
	if err != nil {
		return v1.Descriptor{}, err
	}
	if to == "" {
		to = im.Name
	}
	name, err := Normalize(to)
	if err != nil {
		return v1.Descriptor{}, err
	}
	d, err := l.push(ctx, im, name, o)
	if err != nil {
		return d, fmt.Errorf("engine: %s: %w", Familiar(name), err)
	}
	return d, nil
}

func (l *Local) push(ctx context.Context, im Image, name string, o PushOptions) (v1.Descriptor, error) {
	target, pick, err := l.pushTarget(ctx, im, o)
	if err != nil {
		return target, err
	}
	c, err := l.client(ctx)
	if err != nil {
		return target, err
	}
	// With the digest behind the name, a tag is made to point to it.
	p, err := c.resolver(everyHost).Pusher(ctx, name+"@"+target.Digest.String())
	if err != nil {
		return target, fmt.Errorf("engine: %w", err)
	}
	w := o.Watch
	if w == nil {
		w = nobody{}
	}
	provider := &provider{l: l, name: im.Name}
	pusher, err := l.watchPush(ctx, p, provider, target, pick, w)
	if err != nil {
		return target, err
	}
	limit := semaphore.NewWeighted(int64(max(1, l.Config.Registry.MaxConcurrentUploads)))
	err = remotes.PushContent(l.named(ctx), pusher, target, provider, limit, pick, nil)
	if err != nil {
		return target, fmt.Errorf("engine: %w", ofRegistry(err))
	}
	return target, nil
}

// pushTarget is what is pushed: the index with the manifests that are here, or one manifest.
func (l *Local) pushTarget(ctx context.Context, im Image, o PushOptions) (v1.Descriptor, platforms.MatchComparer, error) {
	c, err := l.contentsOf(ctx, im.target, o.Platform)
	if err != nil {
		return v1.Descriptor{}, nil, err
	}
	whole := o.Platform == "" && images.IsIndexType(im.target.MediaType)
	if whole {
		// A registry refuses an index whose manifests it does not get.
		for _, d := range c.docs[:len(c.docs)-2] {
			var index v1.Index
			if err := parseJSON(d.desc, d.bytes, &index); err != nil {
				return v1.Descriptor{}, nil, err
			}
			for _, m := range index.Manifests {
				if _, err := l.content.Info(l.named(ctx), m.Digest); err != nil {
					whole = false
				}
			}
		}
	}
	if whole {
		return im.target, platforms.All, nil
	}
	return c.manifest, platforms.All, nil
}

// watchPush tells the watcher what is to be pushed, and returns a pusher that goes on telling.
func (l *Local) watchPush(ctx context.Context, p remotes.Pusher, from *provider, target v1.Descriptor, pick platforms.MatchComparer, w Watcher) (remotes.Pusher, error) {
	var list []v1.Descriptor
	index := map[digest.Digest]int{}
	err := images.Walk(l.named(ctx), images.HandlerFunc(func(ctx context.Context, d v1.Descriptor) ([]v1.Descriptor, error) {
		if images.IsLayerType(d.MediaType) {
			if _, ok := index[d.Digest]; !ok {
				index[d.Digest] = len(list)
				list = append(list, d)
			}
			return nil, nil
		}
		if !images.IsManifestType(d.MediaType) && !images.IsIndexType(d.MediaType) {
			return nil, nil
		}
		return images.FilterPlatforms(images.ChildrenHandler(from), pick)(ctx, d)
	}), target)
	if err != nil {
		return nil, fmt.Errorf("engine: %w", err)
	}
	w.Layers(list)
	return &watchedPusher{p, w, index}, nil
}

// watchedPusher tells how a push goes.
type watchedPusher struct {
	remotes.Pusher
	watch Watcher
	index map[digest.Digest]int
}

// Push implements remotes.Pusher.
func (p *watchedPusher) Push(ctx context.Context, d v1.Descriptor) (content.Writer, error) {
	w, err := p.Pusher.Push(ctx, d)
	i, ok := p.index[d.Digest]
	if !ok {
		return w, err
	}
	if errdefs.IsAlreadyExists(err) {
		p.watch.Done(i, "there")
	}
	if err != nil {
		return w, err
	}
	return &watchedWriter{w, p.watch, i}, nil
}

// watchedWriter tells how one layer goes.
type watchedWriter struct {
	content.Writer
	watch Watcher
	i     int
}

// Write implements io.Writer.
func (w *watchedWriter) Write(b []byte) (int, error) {
	n, err := w.Writer.Write(b)
	w.watch.Moved(w.i, int64(n))
	return n, err
}

// Commit implements content.Writer.
func (w *watchedWriter) Commit(ctx context.Context, size int64, d digest.Digest, o ...content.Opt) error {
	err := w.Writer.Commit(ctx, size, d, o...)
	if err == nil || errdefs.IsAlreadyExists(err) {
		w.watch.Done(w.i, "pushed")
	}
	return err
}

// provider gives what is in the content store, and fetches what is not from where its manifest came from. It
// also says where content came from, so that registries can take it from another repository of theirs.
type provider struct {
	l    *Local
	name string // of the image
}

// ReaderAt implements content.Provider.
func (p *provider) ReaderAt(ctx context.Context, d v1.Descriptor) (content.ReaderAt, error) {
	ctx = p.l.named(ctx)
	r, err := p.l.content.ReaderAt(ctx, d)
	if !errdefs.IsNotFound(err) {
		return r, err
	}
	if err := p.l.refetch(ctx, p.name, d); err != nil {
		return nil, fmt.Errorf("%s: it is not here, and to fetch it: %w", d.Digest, err)
	}
	return p.l.content.ReaderAt(ctx, d)
}

// Info implements content.InfoProvider. What is not here is said to come from where its image came from.
func (p *provider) Info(ctx context.Context, d digest.Digest) (content.Info, error) {
	info, err := p.l.content.Info(p.l.named(ctx), d)
	if errdefs.IsNotFound(err) {
		labels, _ := p.l.sources(ctx, p.name)
		return content.Info{Digest: d, Labels: labels}, nil
	}
	return info, err
}

// sources are the labels that say where the manifest of an image came from.
func (l *Local) sources(ctx context.Context, name string) (map[string]string, error) {
	im, err := l.images.Get(l.named(ctx), name)
	if err != nil {
		return nil, fmt.Errorf("engine: %w", err)
	}
	return l.sourcesOf(ctx, im.Target.Digest)
}

// sourcesOf are the labels that say where content came from.
func (l *Local) sourcesOf(ctx context.Context, d digest.Digest) (map[string]string, error) {
	info, err := l.content.Info(l.named(ctx), d)
	if err != nil {
		return nil, fmt.Errorf("engine: %w", err)
	}
	maps.DeleteFunc(info.Labels, func(k, _ string) bool { return !strings.HasPrefix(k, labels.LabelDistributionSource) })
	return info.Labels, nil
}

// refetch brings a layer of an image into the content store that was not fetched when the image was pulled.
func (l *Local) refetch(ctx context.Context, name string, d v1.Descriptor) error {
	from, err := l.sources(ctx, name)
	if err != nil {
		return err
	}
	if len(from) == 0 {
		return fmt.Errorf("engine: nobody knows where %s came from: %w", Familiar(name), errdefs.ErrNotFound)
	}
	done, err := claim(l.path("content", "busy", d.Digest.Encoded()), func() error { return context.Cause(ctx) })
	if err != nil {
		return err
	}
	defer done()
	t := &transfer{Local: l, source: l.refetcher(name), labels: from, watch: nobody{}}
	err = t.fetch(ctx, d, func(in *ingestion, r io.Reader) error { return in.all(ctx, r) })
	if errdefs.IsAlreadyExists(err) {
		return nil
	}
	return err
}

// repositories are where content comes from, by its labels, as host/path.
func repositories(from map[string]string) []string {
	var list []string
	for key, repos := range from {
		host, ok := strings.CutPrefix(key, labels.LabelDistributionSource+".")
		if !ok {
			continue
		}
		for _, repo := range strings.Split(repos, ",") {
			list = append(list, host+"/"+repo)
		}
	}
	slices.Sort(list)
	return list
}
