package store

import (
	"context"
	"os"

	"github.com/opencontainers/go-digest"
)

// Staged is a blob that is being made, in a directory of its own in staging. It is for one goroutine.
// The directory is locked while the process lives, so that others know what is left of dead ones.
type Staged struct {
	ImageDigest digest.Digest // of the image file, if it is known before Publish; optional
}

// Stage makes a place for a new blob. The caller must end with Publish or Discard.
func (s *Store) Stage(ctx context.Context) (*Staged, error) { return nil, errTODO }

// Dir is the directory of the staged files: a place for temporary files as large as the blob.
func (st *Staged) Dir() string { return "" }

// File is the image, opened for reading and writing, empty at first. It belongs to the Staged. After Adopt
// it is opened for reading only.
func (st *Staged) File() *os.File { return nil }

// Device is the device of the image (the tar of a tar index), made by the first call, opened for reading
// and writing. It belongs to the Staged.
func (st *Staged) Device() (*os.File, error) { return nil, errTODO }

// Adopt makes a file of somebody else, in which nothing changes any more, the image: by a hard link, else a
// reflink, else a copy. With Config.Immutable no hard link is made: the flag would hold the other name too.
func (st *Staged) Adopt(path string) error { return errTODO }

// Publish makes the staged files durable, gives them their names and records them, linked to a snapshot if
// snapshotID is not "", in one transaction. After nil all of that survives a crash, and the Staged is
// discarded. After an error nothing is recorded and Discard is to be called. If the blob is there already
// the staged files are dropped and the one there is linked. A blob that had been damaged is healed, for
// every snapshot that links it. An image that is no EROFS image is an ErrInvalidArgument.
func (st *Staged) Publish(ctx context.Context, k Key, snapshotID string) (Blob, error) {
	return Blob{}, errTODO
}

// Discard removes the staged files. It is idempotent, and does nothing after Publish.
func (st *Staged) Discard() error { return nil }
