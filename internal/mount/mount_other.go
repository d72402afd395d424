//go:build !linux

package mount

import (
	"context"
	"errors"
	"fmt"
	"os"
)

var errNotLinux = fmt.Errorf("mount: only Linux mounts EROFS: %w", errors.ErrUnsupported)

type kernel struct{}

func (kernel) mkdir(string) error   { return errNotLinux }
func (kernel) rmdir(string) error   { return errNotLinux }
func (kernel) erofs(Step) error     { return errNotLinux }
func (kernel) overlay(Step) error   { return errNotLinux }
func (kernel) unmount(string) error { return errNotLinux }
func (kernel) scratch(string) error { return errNotLinux }
func (kernel) detach(string) error  { return errNotLinux }
func (kernel) stacked(error) bool   { return false }

func absent(err error) error { return err }

// Umount takes away the mount at dir.
func Umount(string, bool) error { return errNotLinux }

// Probe tries what the kernel can do with images that lie in dir.
func Probe(string) (Kernel, error) { return Kernel{}, errNotLinux }

// TypeOf names the file system mounted at dir.
func TypeOf(string) (string, error) { return "", errNotLinux }

// Mounted tells whether dir is the root of a mount.
func Mounted(string) (bool, error) { return false, errNotLinux }

// Table returns the mounts at prefix and below it.
func Table(string) ([]Entry, error) { return nil, errNotLinux }

// Overlay mounts an overlay.
func Overlay(string, OverlayOptions) error { return errNotLinux }

// Idmapped mounts a copy of a mount with other owners.
func Idmapped(string, string, IDMap) error { return errNotLinux }

// Namespace makes a user namespace with the map.
func (IDMap) Namespace() (*os.File, error) { return nil, errNotLinux }

// Ext4Image makes a file with an empty ext4.
func Ext4Image(context.Context, string, int64, ImageOptions) error { return errNotLinux }

// XFSImage makes a file with an empty xfs.
func XFSImage(context.Context, string, int64, ImageOptions) error { return errNotLinux }

// MountImage mounts an image of Ext4Image or XFSImage.
func MountImage(string, string) error { return errNotLinux }

// ImageUsage returns what the files of a mounted image take.
func ImageUsage(string) (Usage, error) { return Usage{}, errNotLinux }

// SetProject puts a directory into a project with a limit of bytes.
func SetProject(string, uint32, uint64) error { return errNotLinux }

// ProjectUsage returns what the files of the directory's project take.
func ProjectUsage(string) (Usage, error) { return Usage{}, errNotLinux }

// ProjectOf returns the id of the directory's project.
func ProjectOf(string) (uint32, error) { return 0, errNotLinux }

// ClearProject removes the limit of a project.
func ClearProject(string, uint32) error { return errNotLinux }

// SetImmutable sets or clears the immutable flag.
func SetImmutable(string, bool) error { return errNotLinux }

// Once calls do unless something is mounted at a directory.
func Once(context.Context, string, func() error) (bool, error) { return false, errNotLinux }

// MountGuest mounts what is in an image of a guest.
func MountGuest(context.Context, string, string) error { return errNotLinux }

// CheckGuest checks an image of a guest.
func CheckGuest(context.Context, string) error { return errNotLinux }
