package snapshotter

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	cmount "github.com/containerd/containerd/v2/core/mount"

	"github.com/laminafs/lamina/internal/mount"
)

// upperToRead finds the upper directory of a snapshot that is to be committed. release gives it up.
func (s *Snapshotter) upperToRead(ctx context.Context, st *state) (dir string, release func(), err error) {
	nothing := func() {}
	image, err := exists(s.store.QuotaImage(st.id))
	if err != nil {
		return "", nothing, err
	}
	if image {
		mounted, err := mount.Mounted(s.store.QuotaMount(st.id))
		if st.managed && (err != nil || !mounted) {
			return s.readImage(st)
		}
	}
	up, err := s.upper(ctx, st)
	return up.fs, nothing, err
}

// readImage mounts the image that a virtual machine has written to, in passing and read-only.
func (s *Snapshotter) readImage(st *state) (dir string, release func(), err error) {
	nothing := func() {}
	target, err := os.MkdirTemp(s.store.Snapshot(st.id), "commit-")
	if err != nil {
		return "", nothing, err
	}
	m := cmount.Mount{Type: "ext4", Source: s.store.QuotaImage(st.id), Options: []string{"ro", "loop", "noload"}}
	if err := m.Mount(target); err != nil {
		_ = os.Remove(target)
		return "", nothing, fmt.Errorf("%s: %w", m.Source, err)
	}
	release = func() {
		if mount.Umount(target, true) == nil {
			_ = os.Remove(target)
		}
	}
	dir = filepath.Join(target, "fs")
	if is, err := exists(dir); err != nil || is {
		return dir, release, err
	}
	// Nobody has mounted it: the changes are none.
	return filepath.Join(target, "lost+found"), release, nil
}
