package store

import (
	"context"
	"fmt"

	"github.com/containerd/errdefs"
)

// Config says where a store is and how it behaves.
type Config struct {
	Root      string      // directory of the store; made if it is missing, its parent must exist
	Immutable bool        // set the immutable flag on published blobs; hard links to blobs are not made then
	Observe   func(Event) // told of what happened, on any goroutine, in no transaction; may be nil
}

// EventKind is what an Event tells of.
type EventKind uint8

// The kinds of events and the fields of Event that they use.
const (
	Published EventKind = iota + 1 // Key, Bytes: a blob is durable and recorded
	Healed                         // Key, Bytes: as Published, for a blob that had been damaged
	Damaged                        // Key, Path, Err: a blob was found missing or damaged; Path is where it went, if anywhere
	Mounted                        // Key, Path
	Unmounted                      // Key if known, Path
	Collected                      // Key, Bytes: a blob that nobody linked is gone
	Removed                        // Path, Err: a file or directory without record is gone, or could not be removed
)

// Event is something that happened to the store.
type Event struct {
	Kind  EventKind
	Key   Key
	Path  string
	Bytes int64
	Err   error
}

// Store is a set of blobs and the records of snapshots. Its methods may be called by any number of
// goroutines, and any number of processes may have the same store open.
type Store struct {
	Layout
	config Config
}

// Open opens a store, makes it if there is none, and recovers it if no other process has it open: see
// the package comment. It is an ErrUnavailable if another process is recovering and ctx ends.
func Open(ctx context.Context, c Config) (*Store, error) {
	return nil, fmt.Errorf("store: %w", errdefs.ErrNotImplemented)
}

// Close gives up the store. Mounts stay. It is idempotent. Transactions and stagings must have ended.
func (s *Store) Close() error { return nil }
