package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/leases"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/core/snapshots/storage"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"

	"github.com/laminafs/lamina/internal/store"
)

// Pruned is what Prune has removed.
type Pruned struct {
	Containers []string    `json:"containers,omitempty"` // ids
	Images     []string    `json:"images,omitempty"`     // names
	Snapshots  int         `json:"snapshots"`
	Content    int         `json:"content"`      // manifests, configs, layers as registries have them
	Bytes      int64       `json:"contentBytes"` // of these
	Store      store.Freed `json:"store"`
}

// ErrBusy is matched by the error of Prune when another process fetches or starts something.
var ErrBusy = errors.New("another process is at work")

// PruneOptions say what is removed beside what nothing refers to.
type PruneOptions struct {
	Containers bool // that have ended
	Images     bool // that no container was made from
	Wait       bool // for other processes that fetch or start something; else ErrBusy if there are some
}

// Prune removes what nothing refers to: content, snapshots of layers, blobs. It works while containers run,
// but not while another process fetches or starts something: see PruneOptions.Wait.
func (l *Local) Prune(ctx context.Context, o PruneOptions) (p Pruned, err error) {
	if err := relock(l.lock, true, o.Wait); err != nil {
		// What flock tried may have cost us the lock that we had.
		if serr := relock(l.lock, false, true); serr != nil {
			return p, fmt.Errorf("engine: %w", serr)
		}
		if errors.Is(err, errLocked) {
			return p, fmt.Errorf("engine: %s: %w: %w", l.root, ErrBusy, errdefs.ErrUnavailable)
		}
		return p, fmt.Errorf("engine: %w", err)
	}
	defer func() { err = errors.Join(err, relock(l.lock, false, true)) }()
	used, err := l.pruneContainers(ctx, o, &p)
	if err != nil {
		return p, err
	}
	keep, err := l.pruneImages(ctx, o, used, &p)
	if err != nil {
		return p, err
	}
	if err := l.pruneContent(ctx, used, &p); err != nil {
		return p, err
	}
	if err := l.pruneLayers(ctx, keep, &p); err != nil {
		return p, err
	}
	p.Store, err = l.Store.Collect(ctx)
	return p, err
}

// pruneContainers removes what is left of containers whose process was killed, and returns the others.
func (l *Local) pruneContainers(ctx context.Context, o PruneOptions, p *Pruned) ([]Container, error) {
	if err := errors.Join(l.Sweep(ctx), l.sweepSnapshots(ctx)); err != nil {
		return nil, err
	}
	list, err := l.Containers(ctx)
	if err != nil {
		return nil, err
	}
	left := list[:0]
	for _, c := range list {
		if o.Containers && c.State != Running && c.State != Created {
			err := l.RemoveContainer(ctx, c.ID, false)
			if err == nil || errdefs.IsNotFound(err) {
				p.Containers = append(p.Containers, c.ID)
				continue
			}
			if !errdefs.IsFailedPrecondition(err) { // it runs, since a moment
				return nil, err
			}
		}
		left = append(left, c)
	}
	return left, nil
}

// pruneImages removes names that no container needs, if that is wanted, and returns the holders of the
// blobs that images need.
func (l *Local) pruneImages(ctx context.Context, o PruneOptions, used []Container, p *Pruned) (map[string]bool, error) {
	inUse := map[string]bool{}
	for _, c := range used {
		inUse[c.Image] = true
	}
	list, err := l.Images(ctx)
	if err != nil {
		return nil, err
	}
	keep := map[string]bool{}
	for _, im := range list {
		if o.Images && !inUse[im.Name] {
			if err := l.images.Delete(l.named(ctx), im.Name); err != nil {
				return nil, fmt.Errorf("engine: %s: %w", im.Name, err)
			}
			p.Images = append(p.Images, im.Name)
			continue
		}
		all, err := l.allLayers(ctx, im)
		if err != nil {
			return nil, err
		}
		for _, layer := range all {
			keep[holder(layer)] = true
		}
	}
	for _, c := range used { // a container can be committed only with the layers of its image
		for _, layer := range c.layers() {
			keep[holder(layer)] = true
		}
	}
	return keep, nil
}

// allLayers are the layers of an image for all platforms that it was pulled for.
func (l *Local) allLayers(ctx context.Context, im Image) ([]layer, error) {
	var all []layer
	seen := map[digest.Digest]bool{}
	for {
		more := false
		c, err := readContents(ctx, l.fromContent, im.target, l.unseen(ctx, seen, &more))
		switch {
		case err == nil:
			all = append(all, c.layers...)
		case errdefs.IsNotFound(err) || errors.Is(err, ErrInvalid) || errors.Is(err, errors.ErrUnsupported):
			// Nothing can be run of it: it needs no blobs.
		default:
			return nil, err
		}
		if !more {
			return all, nil
		}
	}
}

// pruneContent collects content. Leases keep what containers were made from, also if their image has no name
// any more.
func (l *Local) pruneContent(ctx context.Context, used []Container, p *Pruned) error {
	ctx = l.named(ctx)
	if err := os.MkdirAll(l.path("content", "blobs"), 0o700); err != nil { // the collector fails without
		return fmt.Errorf("engine: %w", err)
	}
	if err := l.leaseContainers(ctx, used); err != nil {
		return err
	}
	before, err := l.contentSize(ctx)
	if err != nil {
		return err
	}
	if _, err := l.meta.GarbageCollect(ctx); err != nil {
		return fmt.Errorf("engine: collecting content: %w", err)
	}
	// A process that was killed between file and record leaves a file that the collector does not look at.
	err = l.files.Walk(ctx, func(info content.Info) error {
		if _, err := l.content.Info(ctx, info.Digest); !errdefs.IsNotFound(err) {
			return err
		}
		return l.files.Delete(ctx, info.Digest)
	})
	if err != nil {
		return fmt.Errorf("engine: collecting content: %w", err)
	}
	after, err := l.contentSize(ctx)
	p.Content, p.Bytes = before.n-after.n, before.bytes-after.bytes
	return err
}

type contentSize struct {
	n     int
	bytes int64
}

func (l *Local) contentSize(ctx context.Context) (s contentSize, err error) {
	err = l.files.Walk(ctx, func(info content.Info) error {
		s.n++
		s.bytes += info.Size
		return nil
	})
	if err != nil {
		err = fmt.Errorf("engine: %w", err)
	}
	return s, err
}

const leasePrefix = "container-"

// leaseContainers makes the leases those of the containers that there are.
func (l *Local) leaseContainers(ctx context.Context, used []Container) error {
	want := map[string]Container{}
	for _, c := range used {
		if c.Manifest != "" {
			want[leasePrefix+c.ID] = c
		}
	}
	have, err := l.leases.List(ctx)
	if err != nil {
		return fmt.Errorf("engine: leases: %w", err)
	}
	for _, lease := range have {
		if _, ok := want[lease.ID]; ok {
			delete(want, lease.ID)
		} else if strings.HasPrefix(lease.ID, leasePrefix) {
			if err := l.leases.Delete(ctx, lease); err != nil {
				return fmt.Errorf("engine: lease %s: %w", lease.ID, err)
			}
		}
	}
	for id, c := range want {
		lease, err := l.leases.Create(ctx, leases.WithID(id))
		if err == nil {
			err = l.leases.AddResource(ctx, lease, leases.Resource{ID: c.Manifest.String(), Type: "content"})
		}
		if err != nil {
			return fmt.Errorf("engine: lease %s: %w", id, err)
		}
	}
	return nil
}

// pruneLayers removes snapshots of layers that no container stands on, and the holders of blobs that no
// image needs.
func (l *Local) pruneLayers(ctx context.Context, keep map[string]bool, p *Pruned) error {
	return l.Store.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		var drop []string
		for id := range tx.Links() {
			if strings.HasPrefix(id, holderPrefix) && !keep[id] {
				drop = append(drop, id)
			}
		}
		for _, id := range drop {
			if err := tx.Unlink(id); err != nil {
				return err
			}
		}
		n, err := removeChains(ctx, tx)
		p.Snapshots = n
		return err
	})
}

// removeChains removes the committed snapshots of ours that none stands on, the top ones first.
func removeChains(ctx context.Context, tx *store.Tx) (int, error) {
	children, parent := map[string]int{}, map[string]string{}
	var ours []string
	err := storage.WalkInfo(ctx, func(_ context.Context, info snapshots.Info) error {
		children[info.Parent]++
		if info.Kind == snapshots.KindCommitted && strings.HasPrefix(info.Name, chainPrefix) {
			ours = append(ours, info.Name)
			parent[info.Name] = info.Parent
		}
		return nil
	})
	if err != nil && !errdefs.IsNotFound(err) {
		return 0, err
	}
	n := 0
	for _, name := range ours {
		for name != "" && children[name] == 0 {
			above, mine := parent[name]
			if !mine {
				break
			}
			id, _, err := storage.Remove(ctx, name)
			if err != nil {
				return n, err
			}
			if err := tx.Unlink(id); err != nil {
				return n, err
			}
			n++
			children[name] = -1 // gone
			children[above]--
			name = above
		}
	}
	return n, nil
}
