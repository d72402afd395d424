//go:build !linux

package store

import (
	"errors"
	"fmt"
	"os"
)

var errNotLinux = fmt.Errorf("store: only Linux: %w", errors.ErrUnsupported)

func (*rangeLock) try(int64, bool) error { return errNotLinux }
func (*rangeLock) unlock(int64) error    { return errNotLinux }
func lockDir(*os.File, bool) error       { return errNotLinux }
func unlockDir(d *os.File) error         { return d.Close() }
func reflink(*os.File, *os.File) error   { return errNotLinux }
func isDiskError(error) bool             { return false }

func ownerOf(os.FileInfo) (int, bool) { return 0, false }

const (
	noFollow     = 0
	canCheckMode = false
)
