package snapshotter

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/core/snapshots/storage"
	cfs "github.com/containerd/continuity/fs"

	"github.com/laminafs/lamina/internal/mount"
	"github.com/laminafs/lamina/internal/store"
)

// Usage implements snapshots.Snapshotter. A committed snapshot takes the files of its blob, as they lie on
// disk; a blob that several snapshots share counts for each. An active snapshot takes what its changes
// take, in a quota image too.
func (s *Snapshotter) Usage(ctx context.Context, key string) (snapshots.Usage, error) {
	var usage snapshots.Usage
	var info snapshots.Info
	var id string
	err := s.store.View(ctx, func(ctx context.Context, _ *store.Tx) (err error) {
		id, info, usage, err = storage.GetInfo(ctx, key)
		return err
	})
	if err == nil && info.Kind == snapshots.KindActive {
		usage, err = s.usageOfUpper(ctx, id)
	}
	if err != nil {
		return snapshots.Usage{}, fmt.Errorf("snapshotter: usage of %q: %w", key, err)
	}
	return usage, nil
}

// usageOfUpper asks the file system where it knows, and walks over the upper directory where not. It takes
// no lock and mounts nothing.
func (s *Snapshotter) usageOfUpper(ctx context.Context, id string) (snapshots.Usage, error) {
	image, err := os.Stat(s.store.QuotaImage(id))
	if err == nil {
		if is, err := mount.Mounted(s.store.QuotaMount(id)); err == nil && is {
			return walkUsage(ctx, s.store.QuotaUpper(id))
		}
		// It may be in use by a virtual machine.
		return snapshots.Usage{Inodes: 1, Size: blocksOf(image)}, nil
	}
	if s.conf.quota == quotaProject {
		if u, ok := s.usageOfProject(ctx, id); ok {
			return u, nil
		}
	}
	return walkUsage(ctx, s.store.Upper(id))
}

// usageOfProject is what the project of the snapshot takes, less what is beside the upper directory.
func (s *Snapshotter) usageOfProject(ctx context.Context, id string) (snapshots.Usage, bool) {
	dir := s.store.Snapshot(id)
	if p, err := mount.ProjectOf(dir); err != nil || p < projectBase {
		return snapshots.Usage{}, false
	}
	u, err := mount.ProjectUsage(dir)
	work, err2 := walkUsage(ctx, s.store.Work(id))
	own, err3 := os.Stat(dir)
	if err := errors.Join(err, err2, err3); err != nil {
		return snapshots.Usage{}, false
	}
	return snapshots.Usage{
		Inodes: max(0, u.Inodes-work.Inodes-1),
		Size:   max(0, u.Bytes-work.Size-blocksOf(own)),
	}, true
}

func walkUsage(ctx context.Context, dir string) (snapshots.Usage, error) {
	u, err := cfs.DiskUsage(ctx, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return snapshots.Usage{}, nil // not made yet, or removed meanwhile
	}
	return snapshots.Usage(u), err
}

// usageOfBlob is what the files of a blob take on disk.
func (s *Snapshotter) usageOfBlob(b store.Blob) (snapshots.Usage, error) {
	var u snapshots.Usage
	for _, path := range append([]string{s.store.Path(b)}, s.store.DevicePaths(b)...) {
		info, err := os.Stat(path)
		if err != nil {
			return u, fmt.Errorf("blob: %w", err)
		}
		u.Inodes++
		u.Size += blocksOf(info)
	}
	return u, nil
}
