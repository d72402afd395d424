package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/leases"
)

// leaseTime is how long containerd keeps what is written for a caller without a lease: until then the caller has
// named it in a manifest. It is what nerdctl takes for a commit.
const leaseTime = time.Hour

// leased is a content store that writes under a lease. containerd does not pass the lease of its own caller on to
// a differ behind a socket, so the layer of a commit would be free to collect before a manifest names it.
type leased struct {
	content.Store
	leases leases.Manager
}

// Writer opens an upload under the lease of the context, else under a new one that expires.
func (l *leased) Writer(ctx context.Context, opts ...content.WriterOpt) (content.Writer, error) {
	if _, ok := leases.FromContext(ctx); !ok {
		lease, err := l.leases.Create(ctx, leases.WithRandomID(), leases.WithExpiration(leaseTime))
		if err != nil {
			return nil, fmt.Errorf("engine: lease: %w", err)
		}
		ctx = leases.WithLease(ctx, lease.ID)
	}
	return l.Store.Writer(ctx, opts...)
}
