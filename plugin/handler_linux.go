package plugin

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/errdefs"

	ours "github.com/laminafs/lamina/internal/mount"
)

// handler mounts EROFS images: from the file where the kernel can, else through loop devices.
type handler struct{}

// Mount implements mount.Handler.
func (handler) Mount(_ context.Context, m mount.Mount, target string, _ []mount.ActiveMount) (mount.ActiveMount, error) {
	if m.Type != erofs {
		return mount.ActiveMount{}, errdefs.ErrNotImplemented
	}
	layer := ours.Layer{Image: m.Source}
	for _, o := range m.Options {
		key, value, _ := strings.Cut(o, "=")
		switch key {
		case "ro", "loop":
		case "device":
			layer.Devices = append(layer.Devices, value)
		default:
			return mount.ActiveMount{}, fmt.Errorf("lamina: mount of %s: option %q: %w", m.Source, o, errdefs.ErrNotImplemented)
		}
	}
	if err := os.MkdirAll(target, 0o700); err != nil {
		return mount.ActiveMount{}, fmt.Errorf("lamina: %w", err)
	}
	steps, err := ours.Plan(ours.Root{Layers: []ours.Layer{layer}, Target: target}, ours.Kernel{FileBacked: true})
	if err == nil {
		err = ours.Apply(steps)
	}
	if err != nil {
		return mount.ActiveMount{}, fmt.Errorf("lamina: %w", err)
	}
	now := time.Now()
	return mount.ActiveMount{Mount: m, MountedAt: &now, MountPoint: target}, nil
}

// Unmount implements mount.Handler.
func (handler) Unmount(_ context.Context, target string) error { return ours.Umount(target, false) }
