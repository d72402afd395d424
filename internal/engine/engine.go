package engine

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/errdefs"

	"github.com/laminafs/lamina/internal/differ"
	"github.com/laminafs/lamina/internal/snapshotter"
	"github.com/laminafs/lamina/internal/store"
)

// Engine is a store with what works on it. Methods are safe for concurrent use.
type Engine struct {
	Config      Config
	Store       *store.Store
	Snapshotter *snapshotter.Snapshotter

	rebuilder atomic.Pointer[differ.Differ] // the first that NewDiffer made
}

// Open opens the store of a configuration, recovers it if no other process uses it, and puts a snapshotter on it.
// The observers are told what happens to the store. The caller closes the engine.
func Open(ctx context.Context, c Config, observers ...func(store.Event)) (*Engine, error) {
	if problems := c.Validate(); len(problems) > 0 {
		return nil, &ConfigError{File: "configuration", Problems: problems}
	}
	st, err := store.Open(ctx, store.Config{Root: c.StoreRoot(), Immutable: c.Snapshotter.SetImmutable, Observe: all(observers)})
	if err != nil {
		return nil, fmt.Errorf("engine: %w", err)
	}
	e := &Engine{Config: c, Store: st}
	c.Snapshotter.Rebuild = e.rebuild
	if e.Snapshotter, err = snapshotter.New(ctx, st, c.Snapshotter); err != nil {
		return nil, errors.Join(fmt.Errorf("engine: %w", err), st.Close())
	}
	return e, nil
}

// rebuild makes a blob again that is lost or damaged, from the content store of the differ.
func (e *Engine) rebuild(ctx context.Context, k store.Key) error {
	d := e.rebuilder.Load()
	if d == nil {
		return fmt.Errorf("engine: blob %s: damaged, and there is no content store to rebuild it from: %w", k, errdefs.ErrNotFound)
	}
	if _, ok := namespaces.Namespace(ctx); !ok {
		ctx = namespaces.WithNamespace(ctx, namespace)
	}
	return d.Rebuild(ctx, k)
}

func all(observers []func(store.Event)) func(store.Event) {
	if len(observers) == 0 {
		return nil
	}
	return func(e store.Event) {
		for _, o := range observers {
			o(e)
		}
	}
}

// NewDiffer returns a differ that takes layers from a content store and puts layers there. dir, if not "", is the
// directory of that store: what is a file in it is read, and linked, as a file. observe may be nil. From then on the
// snapshotter rebuilds damaged blobs from that store.
func (e *Engine) NewDiffer(cs content.Store, dir string, observe func(differ.Event)) (*differ.Differ, error) {
	c := e.Config.Differ
	c.Observe, c.Isolated = observe, e.Config.Snapshotter.Isolated()
	if c.ContentRoot == "" {
		c.ContentRoot = dir
	}
	d, err := differ.New(e.Store, cs, c)
	if err != nil {
		return nil, fmt.Errorf("engine: %w", err)
	}
	e.rebuilder.CompareAndSwap(nil, d)
	return d, nil
}

// Close ends the use of the store. Mounts stay, so that containers keep running. It is idempotent.
func (e *Engine) Close() error { return errors.Join(e.Snapshotter.Close(), e.Store.Close()) }
