package store

import (
	"fmt"

	"github.com/containerd/errdefs"
)

// AdoptDevice is Adopt for the device of the image. There must be none yet.
func (st *Staged) AdoptDevice(path string) error {
	return fmt.Errorf("store: adopt %s: %w", path, errdefs.ErrNotImplemented)
}
