package engine

import (
	"context"
	"strings"

	"github.com/containerd/containerd/v2/core/snapshots"

	"github.com/laminafs/lamina/internal/snapshotter"
)

// others is a snapshotter without the snapshots of our own images and containers: containerd removes what it
// sees and does not know.
type others struct{ *snapshotter.Snapshotter }

// ForContainerd is the snapshotter as containerd may see it, in the same store that Local uses.
func (e *Engine) ForContainerd() snapshots.Snapshotter { return others{e.Snapshotter} }

// Walk implements snapshots.Snapshotter.
func (o others) Walk(ctx context.Context, fn snapshots.WalkFunc, filters ...string) error {
	return o.Snapshotter.Walk(ctx, func(ctx context.Context, info snapshots.Info) error {
		if strings.HasPrefix(info.Name, keyPrefix) {
			return nil
		}
		return fn(ctx, info)
	}, filters...)
}
