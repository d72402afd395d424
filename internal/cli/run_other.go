//go:build !linux

package cli

import (
	"errors"
	"os"

	"github.com/laminafs/lamina/internal/mount"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

func lockFile(string, bool) (*os.File, error) { return nil, errors.ErrUnsupported }

func (c *container) deleteFromRuntime(string) {}

func (e *env) runContainer(*runJob, v1.ImageConfig, *container, mount.Root, mount.Kernel) error {
	return errors.ErrUnsupported
}
