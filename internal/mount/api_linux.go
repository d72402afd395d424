package mount

import (
	"context"
	"errors"
)

var errTODO = errors.ErrUnsupported

// Ext4Image makes a sparse file of size bytes with an empty ext4, by mkfs.ext4 of the system. path must not exist; it is
// gone after an error.
func Ext4Image(ctx context.Context, path string, size int64, o ImageOptions) error { return errTODO }

// XFSImage is Ext4Image for xfs and mkfs.xfs. The least size is 300 MiB.
func XFSImage(ctx context.Context, path string, size int64, o ImageOptions) error { return errTODO }

// MountImage mounts an image of Ext4Image or XFSImage at dir, writable, by a loop device that goes with the mount.
func MountImage(path, dir string) error { return errTODO }

// ImageUsage returns what the files in the image that MountImage has mounted at dir take, without walking over them.
func ImageUsage(dir string) (Usage, error) { return Usage{}, errTODO }

// SetProject puts the directory, and what will be made in it, into a project of the file system's quota, with a limit of
// bytes, 0 for none. The directory should be empty. errors.ErrUnsupported: the file system (ext4 or xfs) is not mounted
// with prjquota.
func SetProject(dir string, id uint32, limit uint64) error { return errTODO }

// ProjectUsage returns what the files of the directory's project take.
func ProjectUsage(dir string) (Usage, error) { return Usage{}, errTODO }

// ProjectOf returns the id of the directory's project, 0 for none.
func ProjectOf(dir string) (uint32, error) { return 0, errTODO }

// ClearProject removes the limit of a project from the file system of dir, any directory on it. Call it when the
// directory of the project is gone.
func ClearProject(dir string, id uint32) error { return errTODO }
