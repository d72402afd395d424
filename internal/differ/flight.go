package differ

import (
	"context"
	"sync"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// flights lets one call at a time work on a layer: the same layer in two images, or twice in one, is
// converted once.
type flights struct {
	mu  sync.Mutex // guards all, and users of each
	all map[digest.Digest]*flight
}

// flight is a layer that calls are working on, or waiting for.
type flight struct {
	users int
	turn  chan struct{} // has room for the one whose turn it is

	// what the last call found out; for the one whose turn it is
	diffID digest.Digest
	length int64 // of the uncompressed layer
}

// enter waits for the turn of the caller, who ends it with leave.
func (f *flights) enter(ctx context.Context, of digest.Digest) (*flight, error) {
	f.mu.Lock()
	if f.all == nil {
		f.all = make(map[digest.Digest]*flight)
	}
	l := f.all[of]
	if l == nil {
		l = &flight{turn: make(chan struct{}, 1)}
		f.all[of] = l
	}
	l.users++
	f.mu.Unlock()
	select {
	case l.turn <- struct{}{}:
		return l, nil
	case <-ctx.Done():
		f.drop(of, l)
		return nil, context.Cause(ctx)
	}
}

func (f *flights) leave(of digest.Digest, l *flight) {
	<-l.turn
	f.drop(of, l)
}

func (f *flights) drop(of digest.Digest, l *flight) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if l.users--; l.users == 0 {
		delete(f.all, of)
	}
}

// size is the length of the uncompressed layer, 0 if it is not known.
func (l *flight) size(diffID digest.Digest, desc ocispec.Descriptor, t *layerType) int64 {
	switch {
	case t.plain():
		return desc.Size
	case l.diffID == diffID:
		return l.length
	}
	return 0
}
