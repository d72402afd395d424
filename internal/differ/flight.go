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
	mu   sync.Mutex // guards all, users of each, and past
	all  map[digest.Digest]*flight
	past map[digest.Digest]landing
}

// landing is what a flight found out by converting a layer.
type landing struct {
	diffID digest.Digest
	length int64 // of the uncompressed layer
}

// maxPast bounds what is remembered of layers, some 200 bytes of each: their diffIDs, for containerd before 2.3, which does
// not tell. What is forgotten is converted again if it comes in another chain.
const maxPast = 10_000

// flight is a layer that calls are working on, or waiting for.
type flight struct {
	users int
	turn  chan struct{} // has room for the one whose turn it is

	landing // of the last call that converted the layer; for the one whose turn it is
}

// enter waits for the turn of the caller, who ends it with leave.
func (f *flights) enter(ctx context.Context, of digest.Digest) (*flight, error) {
	f.mu.Lock()
	if f.all == nil {
		f.all = make(map[digest.Digest]*flight)
		f.past = make(map[digest.Digest]landing)
	}
	l := f.all[of]
	if l == nil {
		l = &flight{turn: make(chan struct{}, 1), landing: f.past[of]}
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
		if l.diffID != "" {
			if len(f.past) >= maxPast {
				clear(f.past)
			}
			f.past[of] = l.landing
		}
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
