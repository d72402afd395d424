package snapshotter

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	cmount "github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/errdefs"

	"github.com/laminafs/lamina/internal/mount"
	"github.com/laminafs/lamina/internal/store"
)

// mountsOf returns the mounts of a snapshot and makes what they need. It changes nothing that is there.
func (s *Snapshotter) mountsOf(ctx context.Context, st *state) ([]cmount.Mount, error) {
	if st.managed {
		return s.managed(ctx, st)
	}
	return s.host(ctx, st)
}

// unpacks tells whether a snapshot is one that a layer is unpacked into.
func (st *state) unpacks() bool {
	_, unpack := store.ExtractionOf(&st.info)
	return unpack && st.kind == snapshots.KindActive
}

// host returns one overlay or bind mount.
func (s *Snapshotter) host(ctx context.Context, st *state) ([]cmount.Mount, error) {
	ids, err := store.MappingOf(st.info.Labels)
	if err != nil {
		return nil, err
	}
	lowers, err := s.lowers(ctx, st)
	if err != nil {
		return nil, err
	}
	if st.kind == snapshots.KindView {
		return s.hostView(st, lowers, ids)
	}
	up, err := s.upper(ctx, st)
	if err != nil {
		return nil, err
	}
	o := mount.OverlayOptions{Lowers: lowers, Upper: up.fs, Work: up.work, Options: s.overlay, IDMap: ids}
	switch {
	case st.own != nil:
		// An overlay, not a bind: containerd 2.2 and 2.3 unpack into the upper directory all the same.
		return []cmount.Mount{{Type: "overlay", Source: "overlay", Options: append([]string{"ro"}, o.Strings()...)}}, nil
	case len(lowers) == 0 && st.unpacks():
		// Onto a plain directory containerd's walking differ would unpack without whiteouts.
		o.Lowers, o.IDMap = []string{s.store.Empty()}, nil
	case len(lowers) == 0:
		return bind(up.fs, "rw"), nil
	}
	return s.hostOverlay(st, o)
}

func (s *Snapshotter) hostView(st *state, lowers []string, ids *mount.IDMap) ([]cmount.Mount, error) {
	switch {
	case len(lowers) == 0:
		return bind(s.store.Empty(), "ro"), nil
	case len(lowers) == 1 && ids == nil:
		return bind(lowers[0], "ro"), nil
	case len(lowers) == 1:
		return s.own(st, "ro", func(target string) error { return mount.Idmapped(lowers[0], target, *ids) })
	}
	return s.hostOverlay(st, mount.OverlayOptions{Lowers: lowers, Options: s.overlay, IDMap: ids})
}

// hostOverlay returns an overlay for others to mount, or, where mount(2) could not do that, a bind of one that
// is mounted here.
func (s *Snapshotter) hostOverlay(st *state, o mount.OverlayOptions) ([]cmount.Mount, error) {
	if len(o.Lowers) > mount.MaxLayers {
		return nil, fmt.Errorf("%d layers: overlayfs takes %d: %w", len(o.Lowers), mount.MaxLayers, errdefs.ErrInvalidArgument)
	}
	options := o.Strings()
	access := "rw"
	if o.Upper == "" {
		access = "ro"
		options = append([]string{"ro"}, options...)
	}
	if o.IDMap == nil && mount.OptionsFit(options) {
		return []cmount.Mount{{Type: "overlay", Source: "overlay", Options: options}}, nil
	}
	return s.own(st, access, func(target string) error { return mount.Overlay(target, o) })
}

// own mounts a snapshot in its own directory, unless that is done, and returns a bind of it.
func (s *Snapshotter) own(st *state, access string, do func(target string) error) ([]cmount.Mount, error) {
	defer s.locks.lock(st.id)()
	target := s.store.Rootfs(st.id)
	is, err := mount.Mounted(target)
	if errors.Is(err, os.ErrNotExist) {
		err = os.MkdirAll(target, 0o711)
	}
	if err != nil {
		return nil, fmt.Errorf("root file system: %w", err)
	}
	if !is {
		if err := do(target); err != nil {
			return nil, err
		}
	}
	return bind(target, access), nil
}

func bind(dir, access string) []cmount.Mount {
	return []cmount.Mount{{Type: "bind", Source: dir, Options: []string{access, "rbind"}}}
}

// lowers mounts the blobs below a snapshot and returns where, the highest first.
func (s *Snapshotter) lowers(ctx context.Context, st *state) ([]string, error) {
	if !s.mounts && st.unpacks() {
		return nil, nil // a differ that writes blobs needs no parents; one that does is not for such users
	}
	blobs := distinct(st.parents)
	if st.own != nil {
		blobs = []store.Blob{*st.own}
	}
	dirs := make([]string, len(blobs))
	for i, b := range blobs {
		var err error
		if dirs[i], err = s.store.MountBlob(ctx, b); err != nil {
			return nil, lost(b.Key, err)
		}
	}
	return dirs, nil
}

// distinct keeps the highest of equal blobs. overlayfs refuses a directory that comes twice, and it is not
// needed: the higher one hides all that the lower one hides and has all that it has.
func distinct(blobs []store.Blob) []store.Blob {
	seen := make(map[uint64]bool, len(blobs))
	return slices.DeleteFunc(slices.Clone(blobs), func(b store.Blob) bool {
		again := seen[b.N]
		seen[b.N] = true
		return again
	})
}
