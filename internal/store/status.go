package store

import "context"

// Status is the state of a store at one moment.
type Status struct {
	Blobs   []BlobStatus // in the order of their keys
	Bytes   int64        // of all blobs, each counted once
	Shared  int64        // bytes that would be stored again if every link had its own copy
	Links   int
	Mounts  int // blobs that are mounted
	Damaged int // blobs set aside and not published again yet
	Staged  int // directories in staging
}

// BlobStatus is the state of a blob.
type BlobStatus struct {
	Blob
	Mounted bool
	Links   []string // ids of the snapshots that link it
	Names   []string // names of these snapshots, as far as they have a record
	Users   []string // names of the active snapshots and views on top of it
}

// Status tells what is in the store and who uses it.
func (s *Store) Status(ctx context.Context) (Status, error) { return Status{}, errTODO }
