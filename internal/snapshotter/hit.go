package snapshotter

import (
	"context"
	"fmt"
	"slices"

	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/core/snapshots/storage"
	"github.com/opencontainers/go-digest"

	"github.com/laminafs/lamina/internal/convert"
	"github.com/laminafs/lamina/internal/store"
)

// hit finds the blob of a layer: by its diffID, or by the chain ID for containerd before 2.3, which sends
// no diffID. The same layer in another chain is found by its diffID only.
func (s *Snapshotter) hit(tx *store.Tx, e *store.Extraction) (store.Blob, bool) {
	if e.DiffID != "" {
		for _, p := range slices.Concat(convert.LayerProfiles, []string{profileCache}) {
			if b, err := tx.Blob(store.Key{Profile: p, Digest: e.DiffID}); err == nil && s.isThere(b) {
				return b, true
			}
		}
	}
	if e.Chain == "" {
		return store.Blob{}, false
	}
	k, ok := tx.Chain(e.Chain)
	if !ok {
		return store.Blob{}, false
	}
	b, err := tx.Blob(k)
	return b, err == nil && s.isThere(b)
}

// wanted looks for the blob of a layer that is to be unpacked, and what it takes on disk, before the transaction that
// uses it: files are not looked at while others wait.
func (s *Snapshotter) wanted(ctx context.Context, e *store.Extraction) (b *store.Blob, usage snapshots.Usage, err error) {
	err = s.store.View(ctx, func(_ context.Context, tx *store.Tx) error {
		if hit, ok := s.hit(tx, e); ok {
			b = &hit
		}
		return nil
	})
	if err != nil || b == nil {
		return nil, usage, err
	}
	if usage, err = s.usageOfBlob(*b); err != nil { // gone since
		return nil, usage, nil
	}
	return b, usage, nil
}

// still tells whether a blob is the one on record.
func still(tx *store.Tx, b *store.Blob) bool {
	if b == nil {
		return false
	}
	now, err := tx.Blob(b.Key)
	return err == nil && now.N == b.N
}

// commitHit makes the committed snapshot that a Prepare aims at. Its name follows from the parent and the
// chain ID, so there is one for all namespaces of a containerd that share the parent. The last element
// of the name is the chain ID, as in the names that containerd gives.
func (s *Snapshotter) commitHit(ctx context.Context, tx *store.Tx, b *store.Blob, usage snapshots.Usage, key string, base *snapshots.Info, e *store.Extraction) (there bool, err error) {
	name := targetName(base.Parent, e.Chain)
	if id, info, _, err := storage.GetInfo(ctx, name); err == nil && info.Kind == snapshots.KindCommitted {
		if _, err := s.blobOf(tx, id); err == nil {
			return true, nil
		}
		return true, tx.Link(id, b.Key) // the one it had is damaged
	}
	labels := snapshots.WithLabels(base.Labels)
	snap, err := storage.CreateSnapshot(ctx, snapshots.KindActive, key, base.Parent, labels)
	if err != nil {
		return false, err
	}
	if err := tx.Link(snap.ID, b.Key); err != nil {
		return false, err
	}
	if _, err := storage.CommitActive(ctx, key, name, usage, labels); err != nil {
		return false, err
	}
	return true, tx.SetChain(e.Chain, b.Key)
}

// targetName names a snapshot that was committed without being unpacked.
func targetName(parent string, chain digest.Digest) string {
	return fmt.Sprintf("lamina/%s/%s", digest.FromString(parent).Encoded()[:16], chain)
}
