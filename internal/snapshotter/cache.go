package snapshotter

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/containerd/errdefs"

	"github.com/laminafs/lamina/fsck"
	"github.com/laminafs/lamina/internal/store"
)

// profileCache is the profile of blobs that came from a cache: somebody else made them, in a way that is
// not known, and the name of the file says of which layer.
const profileCache = "cache"

// adoptCached takes a layer that the store does not have from the first cache that does. Caches hold
// <algorithm>/<first two digits>/<digest>.erofs, by diffID. Whatever is wrong with one, the layer is
// pulled as usual; the event says why.
func (s *Snapshotter) adoptCached(ctx context.Context, e *store.Extraction) {
	if len(s.conf.caches) == 0 {
		return
	}
	known := false
	err := s.store.View(ctx, func(_ context.Context, tx *store.Tx) error {
		_, known = s.hit(tx, e)
		return nil
	})
	if known || err != nil {
		return
	}
	for _, dir := range s.conf.caches {
		hex := e.DiffID.Encoded()
		path := filepath.Join(dir, e.DiffID.Algorithm().String(), hex[:2], hex+".erofs")
		err := s.adopt(ctx, path, store.Key{Profile: profileCache, Digest: e.DiffID})
		if err == nil {
			return
		}
		if !errors.Is(err, fs.ErrNotExist) && s.conf.observe != nil {
			s.conf.observe(Event{Path: path, Err: err})
		}
	}
}

// adopt puts a file of a cache into the store, by a hard link or reflink where that is possible. It is
// checked first: the kernel shall not be the first to see what is wrong with it.
func (s *Snapshotter) adopt(ctx context.Context, path string, k store.Key) error {
	if info, err := os.Stat(path); err != nil {
		return err
	} else if !info.Mode().IsRegular() {
		return fmt.Errorf("snapshotter: %s: is no regular file: %w", path, errdefs.ErrInvalidArgument)
	}
	staged, err := s.store.Stage(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = staged.Discard() }()
	if err := staged.Adopt(path); err != nil {
		return err
	}
	info, err := staged.File().Stat()
	if err != nil {
		return err
	}
	report, err := fsck.Check(staged.File(), info.Size(), fsck.Options{MaxFindings: 1})
	if err != nil {
		return err
	}
	if !report.Clean() {
		return fmt.Errorf("snapshotter: %s: %w: %s", path, errdefs.ErrInvalidArgument, report.Findings[0])
	}
	_, err = staged.Publish(ctx, k, "")
	return err
}
