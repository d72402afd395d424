package differ

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/core/snapshots/storage"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"

	"github.com/laminafs/lamina/internal/convert"
	"github.com/laminafs/lamina/internal/store"
)

// target is the snapshot that a layer is applied to.
type target struct {
	unpacking bool          // it is made to become the layer
	linked    bool          // it has a blob already
	diffID    digest.Digest // of the layer that it is to become, if that is known
}

// target looks a snapshot up.
func (d *Differ) target(ctx context.Context, id string) (t target, err error) {
	err = d.store.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		key, err := d.store.SnapshotKey(ctx, id)
		if err != nil {
			return err
		}
		_, info, _, err := storage.GetInfo(ctx, key)
		if err != nil {
			return err
		}
		if info.Kind != snapshots.KindActive {
			return fmt.Errorf("snapshot %q is not active: %w", key, errdefs.ErrFailedPrecondition)
		}
		t = targetOf(&info)
		var k store.Key
		if k, t.linked = tx.LinkOf(id); t.linked && t.diffID == "" && slices.Contains(convert.LayerProfiles, k.Profile) {
			t.diffID = k.Digest // found by its chain, which is in no label before 2.3
		}
		return nil
	})
	return t, err
}

// targetOf reads what unpackers say of a snapshot: keys as snapshots.UnpackKeyFormat makes them, or a
// label with the chain ID that it is to be committed as.
func targetOf(info *snapshots.Info) target {
	e, unpacking := store.ExtractionOf(info)
	return target{
		unpacking: unpacking || strings.HasPrefix(store.LastElement(info.Name), snapshots.UnpackKeyPrefix),
		diffID:    e.DiffID,
	}
}
