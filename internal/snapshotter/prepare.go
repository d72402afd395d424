package snapshotter

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/core/snapshots/storage"
	"github.com/containerd/errdefs"

	"github.com/laminafs/lamina/internal/store"
)

// state is a snapshot as a transaction saw it.
type state struct {
	id      string
	kind    snapshots.Kind
	info    snapshots.Info
	parents []store.Blob // the nearest first
	own     *store.Blob  // of a layer that was there already: the snapshot is staged
	managed bool         // its mounts have the managed form
}

// Prepare implements snapshots.Snapshotter.
//
// For a layer to be unpacked (label containerd.io/snapshot.ref) that the store or a cache has already it
// spares the client the download: where the parent is known, a committed snapshot is made and the
// error is ErrAlreadyExists, the protocol of remote snapshotters; where layers are unpacked in parallel and
// the parent comes with Commit, the mount returned is read-only, which containerd 2.4 takes for a
// finished layer, and older versions unpack into its upper directory, which is then ignored.
func (s *Snapshotter) Prepare(ctx context.Context, key, parent string, opts ...snapshots.Opt) ([]mount.Mount, error) {
	m, err := s.createHealed(ctx, snapshots.KindActive, key, parent, opts)
	if err != nil {
		return nil, fmt.Errorf("snapshotter: prepare %q: %w", key, err)
	}
	return m, nil
}

// View implements snapshots.Snapshotter.
func (s *Snapshotter) View(ctx context.Context, key, parent string, opts ...snapshots.Opt) ([]mount.Mount, error) {
	m, err := s.createHealed(ctx, snapshots.KindView, key, parent, opts)
	if err != nil {
		return nil, fmt.Errorf("snapshotter: view %q: %w", key, err)
	}
	return m, nil
}

// Mounts implements snapshots.Snapshotter. After a restart, or a crash, of this process or of the machine it
// makes what is missing.
func (s *Snapshotter) Mounts(ctx context.Context, key string) ([]mount.Mount, error) {
	var m []mount.Mount
	err := s.healing(ctx, func() error {
		var st state
		err := s.store.View(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
			st, err = s.load(ctx, tx, key)
			return err
		})
		if err == nil {
			m, err = s.mountsOf(ctx, &st)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("snapshotter: mounts of %q: %w", key, err)
	}
	return m, nil
}

// load reads an active snapshot or a view.
func (s *Snapshotter) load(ctx context.Context, tx *store.Tx, key string) (state, error) {
	snap, err := storage.GetSnapshot(ctx, key)
	if err != nil {
		return state{}, err
	}
	return s.loadSnapshot(ctx, tx, key, snap)
}

func (s *Snapshotter) loadSnapshot(ctx context.Context, tx *store.Tx, key string, snap storage.Snapshot) (state, error) {
	st := state{id: snap.ID, kind: snap.Kind}
	var err error
	if _, st.info, _, err = storage.GetInfo(ctx, key); err != nil {
		return st, err
	}
	for _, id := range snap.ParentIDs {
		b, err := s.blobOf(tx, id)
		if err != nil {
			return st, err
		}
		st.parents = append(st.parents, b)
	}
	// The link of a directory is that of a Commit that did not end: what is in the directory counts.
	if k, ok := tx.LinkOf(snap.ID); ok && k.Profile != store.ProfileDir {
		b, err := tx.Blob(k)
		if err != nil {
			return st, fmt.Errorf("layer: %w", lost(k, err))
		}
		st.own = &b
	}
	m, err := s.modeOf(st.info.Labels)
	// Layers are always unpacked on the host, never in a virtual machine.
	st.managed = m == modeManaged && !st.unpacks() && st.own == nil
	return st, err
}

// createHealed is create on layers whose blobs are rebuilt where that is needed.
func (s *Snapshotter) createHealed(ctx context.Context, kind snapshots.Kind, key, parent string, opts []snapshots.Opt) (m []mount.Mount, err error) {
	err = s.healing(ctx, func() error {
		m, err = s.create(ctx, kind, key, parent, opts)
		return err
	})
	return m, err
}

// create makes an active snapshot or a view, or leaves nothing.
func (s *Snapshotter) create(ctx context.Context, kind snapshots.Kind, key, parent string, opts []snapshots.Opt) ([]mount.Mount, error) {
	base := snapshots.Info{Parent: parent}
	for _, o := range opts {
		if err := o(&base); err != nil {
			return nil, err
		}
	}
	base.Parent = parent
	if err := s.checkLabels(base.Labels); err != nil {
		return nil, err
	}
	e, unpack := store.ExtractionOf(&base)
	unpack = unpack && kind == snapshots.KindActive && !s.conf.isolated
	if unpack && e.DiffID != "" {
		s.adoptCached(ctx, &e)
	}
	var hit *store.Blob
	var usage snapshots.Usage
	if unpack {
		var err error
		if hit, usage, err = s.wanted(ctx, &e); err != nil {
			return nil, err
		}
	}
	var st state
	there := false
	err := s.store.Update(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		switch {
		case !still(tx, hit):
			return s.insert(ctx, tx, &st, kind, key, parent, opts, nil)
		case parent == "" && hit.Digest != e.Chain && !e.Bottom():
			return s.insert(ctx, tx, &st, kind, key, parent, opts, hit)
		}
		there, err = s.commitHit(ctx, tx, hit, usage, key, &base, &e)
		return err
	})
	if err != nil {
		return nil, err
	}
	if there {
		return nil, fmt.Errorf("target snapshot %s: %w", e.Chain, errdefs.ErrAlreadyExists)
	}
	m, err := s.mountsOf(ctx, &st)
	if err != nil {
		s.abandon(ctx, st.id, key)
		return nil, err
	}
	return m, nil
}

// checkLabels refuses labels whose wish could not be granted later.
func (s *Snapshotter) checkLabels(labels map[string]string) error {
	if _, err := s.modeOf(labels); err != nil {
		return err
	}
	if _, _, err := sizeOf(labels); err != nil {
		return err
	}
	_, err := store.MappingOf(labels)
	return err
}

// insert makes the record of a snapshot and its directory. The store wants them in one transaction: so
// Collect never sees one without the other.
func (s *Snapshotter) insert(ctx context.Context, tx *store.Tx, st *state, kind snapshots.Kind, key, parent string, opts []snapshots.Opt, staged *store.Blob) error {
	snap, err := storage.CreateSnapshot(ctx, kind, key, parent, opts...)
	if err != nil {
		return err
	}
	s.store.Remember(snap.ID, key) // the differ will ask
	if staged != nil {
		if err := tx.Link(snap.ID, staged.Key); err != nil {
			return err
		}
	}
	if *st, err = s.loadSnapshot(ctx, tx, key, snap); err != nil {
		return err
	}
	return s.makeDir(snap.ID)
}

// makeDir makes the directory of a new snapshot, last in the transaction. What is there already was left by a
// transaction that failed afterwards, or by a process that died in one, so nobody needs it.
func (s *Snapshotter) makeDir(id string) error {
	dir := s.store.Snapshot(id)
	err := os.Mkdir(dir, 0o711)
	if errors.Is(err, os.ErrExist) {
		if err := s.clear(id); err != nil {
			return err
		}
		err = os.Mkdir(dir, 0o711)
	}
	return err
}

// abandon takes a snapshot back that could not be mounted, as far as possible; Cleanup does the rest.
func (s *Snapshotter) abandon(ctx context.Context, id, key string) {
	if err := s.Remove(context.WithoutCancel(ctx), key); err == nil {
		_ = s.clear(id) // ids are not used again once they were in a record
	}
}
