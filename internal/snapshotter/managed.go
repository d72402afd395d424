package snapshotter

import (
	"context"
	"fmt"

	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/core/snapshots"

	"github.com/laminafs/lamina/internal/store"
)

// managed returns the forms of containerd's own erofs snapshotter (plugins/snapshots/erofs, mounts): image
// files, the highest first, and what joins them. Its mount manager (2.2 and newer) mounts them, or a shim
// hands them to a virtual machine.
//
// One thing differs: the image for the changes is made here and has the type ext4, which is what theirs
// becomes once the mount manager has made it. Theirs works below the root of containerd only.
func (s *Snapshotter) managed(ctx context.Context, st *state) ([]mount.Mount, error) {
	layers := make([]mount.Mount, len(st.parents))
	for i, b := range st.parents {
		layers[i] = s.erofs(b)
	}
	if st.kind == snapshots.KindView && len(layers) == 1 {
		return layers, nil
	}
	if st.kind == snapshots.KindView && len(layers) == 0 {
		return bind(s.store.Empty(), "ro"), nil
	}
	var before []mount.Mount
	var options []string
	if st.kind == snapshots.KindActive {
		w, err := s.managedUpper(ctx, st)
		if err != nil {
			return nil, err
		}
		if len(layers) == 0 {
			return w.alone(), nil
		}
		before, options = w.before, w.options
	}
	if ids, err := store.MappingOf(st.info.Labels); err != nil {
		return nil, err
	} else if ids != nil {
		options = append(options, "uidmap="+st.info.Labels[snapshots.LabelSnapshotUIDMapping],
			"gidmap="+st.info.Labels[snapshots.LabelSnapshotGIDMapping])
	}
	first := len(before)
	mounts := append(before, layers...)
	lower := fmt.Sprintf("lowerdir={{ overlay %d %d }}", first, len(mounts)-1)
	if len(layers) == 1 {
		lower = fmt.Sprintf("lowerdir={{ mount %d }}", first)
	}
	options = append(append(options, lower), s.conf.overlay...)
	return append(mounts, mount.Mount{Type: "format/mkdir/overlay", Source: "overlay", Options: options}), nil
}

func (s *Snapshotter) erofs(b store.Blob) mount.Mount {
	m := mount.Mount{Type: "erofs", Source: s.store.Path(b), Options: []string{"ro", "loop"}}
	for _, d := range s.store.DevicePaths(b) {
		m.Options = append(m.Options, "device="+d)
	}
	return m
}

// managedUpper is what takes the changes, in the forms of containerd.
type managedUpper struct {
	before  []mount.Mount // comes before the layers
	options []string      // of the overlay
	dir     string        // of a snapshot without layers
}

func (s *Snapshotter) managedUpper(ctx context.Context, st *state) (managedUpper, error) {
	up, err := s.upper(ctx, st)
	if err != nil {
		return managedUpper{}, err
	}
	if up.kind != quotaImage {
		return managedUpper{options: []string{"workdir=" + up.work, "upperdir=" + up.fs}, dir: up.fs}, nil
	}
	if err := s.markGuest(st.id); err != nil {
		return managedUpper{}, err
	}
	return managedUpper{
		before: []mount.Mount{{Type: "ext4", Source: s.store.QuotaImage(st.id), Options: []string{"rw", "loop"}}},
		options: []string{
			"X-containerd.mkdir.path={{ mount 0 }}/fs:0755", "X-containerd.mkdir.path={{ mount 0 }}/work:0755",
			"workdir={{ mount 0 }}/work", "upperdir={{ mount 0 }}/fs",
		},
	}, nil
}

// alone is the changes without anything below.
func (w *managedUpper) alone() []mount.Mount {
	if len(w.before) == 0 {
		return bind(w.dir, "rw")
	}
	return append(w.before, mount.Mount{
		Type: "format/mkdir/bind", Source: "{{ mount 0 }}/fs",
		Options: []string{"X-containerd.mkdir.path={{ mount 0 }}/fs:0755", "rw", "rbind"},
	})
}
