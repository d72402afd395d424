package snapshotter

import (
	"fmt"

	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/errdefs"

	"github.com/laminafs/lamina/internal/mount"
)

// mappingOf reads the labels by which containerd asks for owners as a user namespace sees them; nil without
// them.
func mappingOf(labels map[string]string) (*mount.IDMap, error) {
	u, okU := labels[snapshots.LabelSnapshotUIDMapping]
	g, okG := labels[snapshots.LabelSnapshotGIDMapping]
	if !okU && !okG {
		return nil, nil
	}
	uids, err := mount.ParseIDRanges(u)
	if err != nil {
		return nil, fmt.Errorf("label %s: %w: %w", snapshots.LabelSnapshotUIDMapping, err, errdefs.ErrInvalidArgument)
	}
	gids, err := mount.ParseIDRanges(g)
	if err != nil {
		return nil, fmt.Errorf("label %s: %w: %w", snapshots.LabelSnapshotGIDMapping, err, errdefs.ErrInvalidArgument)
	}
	return &mount.IDMap{UIDs: uids, GIDs: gids}, nil
}

// mapID is the id outside for one inside.
func mapID(ranges []mount.IDRange, id int) (int, bool) {
	for _, r := range ranges {
		if id >= int(r.Inside) && id-int(r.Inside) < int(r.Count) {
			return id - int(r.Inside) + int(r.Outside), true
		}
	}
	return 0, false
}

// unmapper maps owners of an upper directory, which are those outside, back inside. Ids that are not in the
// mapping stay: they came from outside.
func unmapper(m *mount.IDMap) func(uid, gid uint32) (uint32, uint32) {
	back := func(ranges []mount.IDRange, id uint32) uint32 {
		for _, r := range ranges {
			if id >= r.Outside && id-r.Outside < r.Count {
				return id - r.Outside + r.Inside
			}
		}
		return id
	}
	return func(uid, gid uint32) (uint32, uint32) { return back(m.UIDs, uid), back(m.GIDs, gid) }
}
