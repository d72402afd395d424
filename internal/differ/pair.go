package differ

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	cmount "github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/core/snapshots/storage"
	"github.com/containerd/errdefs"

	"github.com/laminafs/lamina/internal/store"
)

// pair is two snapshots and where the difference of them is.
type pair struct {
	dir  string      // an upper directory that is the difference, "" if there is none
	blob *store.Blob // a blob that is; with neither of them the two are compared

	owner func(uid, gid uint32) (uint32, uint32) // maps owners as they are on disk; nil: they stay

	lower, upper side
}

// side is one of two snapshots.
type side struct {
	mounts []cmount.Mount
	ours   bool         // what follows is known
	dir    string       // the upper directory, "" if there is none
	blobs  []store.Blob // below it, the highest first; of equal ones the highest
	owner  func(uid, gid uint32) (uint32, uint32)
}

// pair finds out what two snapshots are, and how they are related.
func (d *Differ) pair(ctx context.Context, lower, upper []cmount.Mount) (*pair, error) {
	p := &pair{lower: side{mounts: lower}, upper: side{mounts: upper}}
	err := d.store.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		return errors.Join(d.resolve(ctx, tx, &p.lower), d.resolve(ctx, tx, &p.upper))
	})
	if err != nil {
		return nil, err
	}
	if !p.upper.ours || len(upper) == 0 {
		return nil, fmt.Errorf("the mounts are not of the store %s: %w", d.store.Root, errdefs.ErrNotImplemented)
	}
	p.owner = p.upper.owner
	if !p.lower.ours || p.lower.dir != "" {
		return p, nil
	}
	low, up := p.lower.blobs, p.upper.blobs
	switch {
	case p.upper.dir != "":
		if same(low, up) {
			p.dir = p.upper.dir
		}
	case len(up) > 0 && !same(low, up):
		below := slices.DeleteFunc(slices.Clone(low), func(b store.Blob) bool { return b.N == up[0].N })
		if same(below, up[1:]) {
			p.blob = &up[0]
		}
	}
	return p, nil
}

func same(a, b []store.Blob) bool {
	return slices.EqualFunc(a, b, func(a, b store.Blob) bool { return a.N == b.N })
}

// resolve finds out what mounts are of.
func (d *Differ) resolve(ctx context.Context, tx *store.Tx, s *side) error {
	if shown, ok := d.store.Stack(s.mounts); ok {
		s.ours = true
		return d.find(tx, s, shown)
	}
	id, ok := store.SnapshotID(d.store.Root, s.mounts)
	if !ok {
		return nil
	}
	s.ours = true
	key, err := d.store.SnapshotKey(ctx, id)
	if err != nil {
		return err
	}
	snap, err := storage.GetSnapshot(ctx, key)
	if err != nil {
		return err
	}
	_, info, _, err := storage.GetInfo(ctx, key)
	if err != nil {
		return err
	}
	of := snap.ParentIDs
	if _, linked := tx.LinkOf(id); linked { // it has its layer already
		of = append([]string{id}, of...)
	} else if info.Kind == snapshots.KindActive {
		if s.dir, err = d.upperOf(id); err != nil {
			return err
		}
		ids, err := store.MappingOf(info.Labels)
		if err != nil {
			return err
		}
		if ids != nil {
			s.owner = ids.Owner
		}
	}
	for _, id := range of {
		k, ok := tx.LinkOf(id)
		if !ok {
			return fmt.Errorf("snapshot %s has no blob: %w", id, errdefs.ErrNotFound)
		}
		b, err := tx.Blob(k)
		if err != nil {
			return err
		}
		s.add(b)
	}
	return nil
}

// find looks up the blobs that mounts show.
func (d *Differ) find(tx *store.Tx, s *side, shown []store.Shown) error {
	for _, sh := range shown {
		var b store.Blob
		var err error
		if sh.N != 0 {
			b, err = d.store.BlobAt(tx, sh.N)
		} else {
			b, err = tx.Blob(sh.Key)
		}
		if err != nil {
			return err
		}
		s.add(b)
	}
	return nil
}

func (s *side) add(b store.Blob) {
	if !slices.ContainsFunc(s.blobs, func(o store.Blob) bool { return o.N == b.N }) {
		s.blobs = append(s.blobs, b)
	}
}

// upperOf is the upper directory of an active snapshot.
func (d *Differ) upperOf(id string) (string, error) {
	for _, dir := range []string{d.store.Upper(id), d.store.QuotaUpper(id)} {
		if _, err := os.Stat(dir); err == nil {
			return dir, nil
		}
	}
	return "", fmt.Errorf("the upper directory of snapshot %s is not mounted here: %w", id, errdefs.ErrFailedPrecondition)
}
