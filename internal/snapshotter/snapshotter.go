package snapshotter

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/core/snapshots/storage"
	"github.com/containerd/errdefs"

	"github.com/laminafs/lamina/internal/mount"
	"github.com/laminafs/lamina/internal/store"
)

// Snapshotter implements snapshots.Snapshotter and snapshots.Cleaner on a store. It has no state of its own
// but its configuration, so any number of them, in any number of processes, may use the same store, and
// one that is killed leaves nothing that the next one misses.
type Snapshotter struct {
	store   *store.Store
	conf    parsed
	overlay []string // options of every overlay
	mounts  bool     // this process may mount
	locks   locks
}

var (
	_ snapshots.Snapshotter = (*Snapshotter)(nil)
	_ snapshots.Cleaner     = (*Snapshotter)(nil)
)

// New returns a snapshotter on a store that the caller keeps open, and closes afterwards. What the
// configuration asks for and this system cannot do is an error that says why.
func New(ctx context.Context, st *store.Store, c Config) (*Snapshotter, error) {
	conf, err := c.parse()
	if err != nil {
		return nil, err
	}
	s := &Snapshotter{store: st, conf: conf, mounts: os.Geteuid() == 0}
	s.overlay = overlayDefaults("/sys/module/overlay/parameters", conf.overlay)
	if err := s.probeQuota(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// overlayDefaults adds to the options of the configuration those without which an overlay may not be what
// the snapshotter needs, as far as this kernel has them: with an index the same upper directory cannot be
// mounted twice, which containerd does to look for users; with metacopy or redirects a committed layer would
// depend on the ones below by more than its names.
func overlayDefaults(parameters string, options []string) []string {
	var add []string
	for _, key := range []string{"index", "metacopy", "redirect_dir"} {
		set := func(o string) bool { return strings.HasPrefix(o, key+"=") }
		if anyOf(options, set) {
			continue
		}
		b, err := os.ReadFile(filepath.Join(parameters, key))
		if err == nil && (key == "index" || strings.HasPrefix(string(b), "Y")) {
			add = append(add, key+"=off")
		}
	}
	return append(add, options...)
}

func anyOf(list []string, is func(string) bool) bool {
	for _, x := range list {
		if is(x) {
			return true
		}
	}
	return false
}

// probeQuota looks whether quotas that will be needed for every snapshot can be made.
func (s *Snapshotter) probeQuota(ctx context.Context) error {
	if s.conf.quota == quotaProject {
		return s.probeProject(ctx)
	}
	if s.conf.defaultSize == 0 {
		return nil
	}
	tool := "mkfs." + s.conf.quota.fileSystem()
	if _, err := exec.LookPath(tool); err != nil {
		return fmt.Errorf("snapshotter: default_size needs %s: %w: %w", tool, err, errdefs.ErrFailedPrecondition)
	}
	return nil
}

// probeProject tries a project quota where the snapshots are.
func (s *Snapshotter) probeProject(ctx context.Context) (err error) {
	st, err := s.store.Stage(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = st.Discard() }()
	dir := filepath.Join(st.Dir(), "project")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return fmt.Errorf("snapshotter: %w", err)
	}
	if err := mount.SetProject(dir, projectBase, MinSize); err != nil {
		return fmt.Errorf("snapshotter: quota: %q: the file system of %s must be ext4 or xfs, mounted with prjquota: %w: %w",
			quotaProject, s.store.Root, err, errdefs.ErrFailedPrecondition)
	}
	return mount.ClearProject(st.Dir(), projectBase)
}

// Capabilities are what a plugin says that registers the snapshotter, and what goes into the
// configuration of containerd: "rebase" from 2.2 on only.
func (s *Snapshotter) Capabilities() []string {
	return []string{snapshots.RebaseCap, "remap-ids"}
}

// Root is the directory of the store.
func (s *Snapshotter) Root() string { return s.store.Root }

// Stat implements snapshots.Snapshotter. A committed snapshot whose blob is lost or damaged gets it rebuilt; if that
// cannot be, it is an ErrNotFound.
func (s *Snapshotter) Stat(ctx context.Context, key string) (info snapshots.Info, err error) {
	err = s.healing(ctx, func() error {
		return s.store.View(ctx, func(ctx context.Context, tx *store.Tx) error {
			var id string
			if id, info, _, err = storage.GetInfo(ctx, key); err != nil {
				return err
			}
			if info.Kind != snapshots.KindCommitted {
				return nil
			}
			_, err = s.blobOf(tx, id)
			return err
		})
	})
	if err != nil {
		return snapshots.Info{}, fmt.Errorf("snapshotter: stat %q: %w", key, err)
	}
	return info, nil
}

// Update implements snapshots.Snapshotter.
func (s *Snapshotter) Update(ctx context.Context, info snapshots.Info, fields ...string) (out snapshots.Info, err error) {
	err = s.store.Update(ctx, func(ctx context.Context, _ *store.Tx) error {
		out, err = storage.UpdateInfo(ctx, info, fields...)
		return err
	})
	if err != nil {
		return snapshots.Info{}, fmt.Errorf("snapshotter: update %q: %w", info.Name, err)
	}
	return out, nil
}

// Walk implements snapshots.Snapshotter. fn is called outside of the transaction: it may take its time and
// call the snapshotter.
func (s *Snapshotter) Walk(ctx context.Context, fn snapshots.WalkFunc, filters ...string) error {
	var all []snapshots.Info
	err := s.store.View(ctx, func(ctx context.Context, _ *store.Tx) error {
		return storage.WalkInfo(ctx, func(_ context.Context, info snapshots.Info) error {
			all = append(all, info)
			return nil
		}, filters...)
	})
	if errdefs.IsNotFound(err) {
		return nil // no snapshot has ever been made
	}
	if err != nil {
		return fmt.Errorf("snapshotter: walk: %w", err)
	}
	for _, info := range all {
		if err := fn(ctx, info); err != nil {
			return err
		}
	}
	return nil
}

// Remove implements snapshots.Snapshotter. It changes records only and takes no time; what the snapshot
// had on disk, and its mounts, go with the next Cleanup, so whoever has it mounted keeps what is mounted.
// Errors are ErrNotFound or ErrFailedPrecondition: others would end a garbage collection of containerd.
func (s *Snapshotter) Remove(ctx context.Context, key string) error {
	err := s.store.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		id, _, err := storage.Remove(ctx, key)
		if err != nil {
			return err
		}
		return tx.Unlink(id)
	})
	switch {
	case err == nil:
		return nil
	case errdefs.IsNotFound(err), errdefs.IsFailedPrecondition(err):
		return fmt.Errorf("snapshotter: remove %q: %w", key, err)
	}
	return fmt.Errorf("snapshotter: remove %q: %w: %w", key, errdefs.ErrFailedPrecondition, err)
}

// Cleanup implements snapshots.Cleaner: it frees what removed snapshots had.
func (s *Snapshotter) Cleanup(ctx context.Context) error {
	_, err := s.store.Collect(ctx)
	return err
}

// Close implements snapshots.Snapshotter. The store and all mounts stay.
func (s *Snapshotter) Close() error { return nil }
