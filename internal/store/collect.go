package store

import "context"

// Freed is what Collect has removed.
type Freed struct {
	Blobs     int   // records of blobs that nobody linked
	Files     int   // files in blobs that had no record, those of Blobs among them
	Bytes     int64 // of these files
	Mounts    int   // mounts of blobs that no active snapshot or view needed
	Snapshots int   // directories of snapshots without record
	Staged    int   // directories that dead processes left in staging
	Links     int   // links of snapshots without record
}

// Collect removes what nothing refers to: blobs that nobody links, files without record, mounts of blobs that no
// active snapshot or view needs, directories of snapshots without record, and what dead processes left in
// staging. It works next to everything else, in this and other processes. What cannot be removed is
// reported with the error, the rest is removed all the same.
func (s *Store) Collect(ctx context.Context) (Freed, error) { return Freed{}, errTODO }

// DropSnapshot removes the directory of a snapshot whose record is gone, and the mounts below it.
func (s *Store) DropSnapshot(ctx context.Context, id string) error { return errTODO }
