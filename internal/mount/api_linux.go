package mount

import (
	"context"
	"errors"
	"os"
)

var errTODO = errors.ErrUnsupported

// Mounted tells whether dir is the root of a mount, by one statx(2). A symbolic link is not followed. A directory that
// does not exist is an error that matches fs.ErrNotExist.
func Mounted(dir string) (bool, error) { return false, errTODO }

// Table returns the mounts at prefix and below it, "" for all, in the order of the kernel: what lies on top comes later.
// It reads the whole table; the table may change while it is read.
func Table(prefix string) ([]Entry, error) { return nil, errTODO }

// Overlay mounts an overlay at the existing directory target. The options go to the kernel one by one, so their length
// is not bounded, except by kernels without lowerdir+ (before 6.7), where they must fit a page.
func Overlay(target string, o OverlayOptions) error { return errTODO }

// Idmapped mounts a copy of the mount at the directory src at target, with the owners of files mapped by m. File systems
// that cannot do this give an error that matches errors.ErrUnsupported.
func Idmapped(src, target string, m IDMap) error { return errTODO }

// Namespace makes a user namespace with the map; it lives as long as the file is open, or a mount uses it.
func (m IDMap) Namespace() (*os.File, error) { return nil, errTODO }

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

// SetImmutable sets or clears the immutable flag of a file or directory: nobody can write, rename, link or delete it.
func SetImmutable(path string, on bool) error { return errTODO }
