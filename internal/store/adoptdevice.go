package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/containerd/errdefs"
)

// AdoptDevice is Adopt for the device of the image. There must be none yet.
func (st *Staged) AdoptDevice(path string) error {
	if err := st.usable(); err != nil {
		return err
	}
	if st.device != nil {
		return fmt.Errorf("store: adopt %s: there is a device already: %w", path, errdefs.ErrFailedPrecondition)
	}
	src, err := os.OpenFile(path, os.O_RDONLY|noFollow, 0)
	if err != nil {
		return fmt.Errorf("store: adopt: %w", err)
	}
	defer func() { _ = src.Close() }() // only read
	if info, err := src.Stat(); err != nil || !info.Mode().IsRegular() {
		return fmt.Errorf("store: adopt %s: not a regular file: %w", path, errors.Join(err, errdefs.ErrInvalidArgument))
	}
	target := filepath.Join(st.dir.path, deviceName)
	if !st.store.config.Immutable && st.store.files.link(path, target) == nil {
		if st.device, err = os.OpenFile(target, os.O_RDONLY|noFollow, 0); err != nil {
			return fmt.Errorf("store: adopt: %w", err)
		}
		if same, err := sameFile(st.device, src); err != nil || !same { // somebody has replaced path meanwhile
			return errors.Join(fmt.Errorf("store: adopt %s: replaced meanwhile: %w", path, errdefs.ErrUnavailable), err)
		}
		return nil
	}
	to, err := st.Device()
	if err == nil {
		err = st.store.files.copy(to, src)
	}
	if err != nil {
		return fmt.Errorf("store: adopt %s: %w", path, err)
	}
	return nil
}
