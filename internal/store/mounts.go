package store

import "context"

// MountBlob mounts a blob at MountPoint(b.N), unless it is mounted there, and returns that directory. All
// users of the blob share the mount, in all processes that share the mount namespace. Asking again costs one
// system call. The mount stays until Collect finds that no active snapshot or view needs the blob, so call
// it after the transaction that makes the snapshot, never inside one. A blob whose files prove to be missing or damaged is set aside: ErrNotFound.
func (s *Store) MountBlob(ctx context.Context, b Blob) (dir string, err error) { return "", errTODO }
