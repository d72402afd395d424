package snapshotter

import (
	"fmt"
	"strconv"

	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/errdefs"
)

// Labels of snapshots besides those that package snapshots has.
const (
	// LabelMode chooses the form of the mounts of one snapshot: "host" or "managed". Kubernetes passes pod
	// annotations of that name.
	LabelMode = "containerd.io/snapshot/lamina.mount-mode"
)

// sizeOf is the size that the label of a snapshot asks for; ok is false without the label.
func sizeOf(labels map[string]string) (size int64, ok bool, err error) {
	v, ok := labels[snapshots.LabelSnapshotMaxSize]
	if !ok {
		return 0, false, nil
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err == nil && n < 0 {
		err = strconv.ErrRange
	}
	if err == nil {
		n, err = boundSize(float64(n))
	}
	if err != nil {
		return 0, false, fmt.Errorf("label %s: %q: %w: %w", snapshots.LabelSnapshotMaxSize, v, err, errdefs.ErrInvalidArgument)
	}
	return n, true, nil
}

// modeOf is the form of mounts that the label of a snapshot asks for, or the configuration.
func (s *Snapshotter) modeOf(labels map[string]string) (mode, error) {
	switch m := mode(labels[LabelMode]); m {
	case "":
		return s.conf.mode, nil
	case modeHost, modeManaged:
		return m, nil
	default:
		return "", fmt.Errorf("label %s: %q: must be host or managed: %w", LabelMode, m, errdefs.ErrInvalidArgument)
	}
}
