//go:build !linux

package mount

import (
	"errors"
	"fmt"
)

var errNotLinux = fmt.Errorf("mount: only Linux mounts EROFS: %w", errors.ErrUnsupported)

type kernel struct{}

func (kernel) mkdir(string) error   { return errNotLinux }
func (kernel) rmdir(string) error   { return errNotLinux }
func (kernel) erofs(Step) error     { return errNotLinux }
func (kernel) overlay(Step) error   { return errNotLinux }
func (kernel) unmount(string) error { return errNotLinux }
func (kernel) stacked(error) bool   { return false }

func absent(err error) error { return err }

// Umount takes away the mount at dir.
func Umount(string, bool) error { return errNotLinux }

// Probe tries what the kernel can do with images that lie in dir.
func Probe(string) (Kernel, error) { return Kernel{}, errNotLinux }

// TypeOf names the file system mounted at dir.
func TypeOf(string) (string, error) { return "", errNotLinux }
