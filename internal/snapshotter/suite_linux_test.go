package snapshotter

import (
	"context"
	"os"
	"testing"

	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/core/snapshots/testsuite"

	"github.com/laminafs/lamina/internal/oracle"
	"github.com/laminafs/lamina/internal/store"
)

// TestContainerdSuite runs the suite of containerd in host style; with LAMINA_SUITES in every other one too.
func TestContainerdSuite(t *testing.T) {
	oracle.NeedRoot(t)
	for name, c := range map[string]Config{
		"host":               {},
		"managed":            {MountMode: "managed"},
		"quota":              {DefaultSize: "16MiB"},
		"managed with quota": {MountMode: "managed", DefaultSize: "16MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			if name != "host" && os.Getenv("LAMINA_SUITES") == "" {
				t.Skip("LAMINA_SUITES is not set: 128 layers take minutes in other ways")
			}
			if c.DefaultSize != "" {
				oracle.Need(t, "mkfs.ext4")
			}
			// "erofs" leaves out renaming a lower directory, which overlayfs does not do.
			testsuite.SnapshotterSuite(t, "erofs", func(ctx context.Context, root string) (snapshots.Snapshotter, func() error, error) {
				return forSuite(t, ctx, root, c)
			})
		})
	}
}

// forSuite opens a store in root. What the suite leaves is removed; then nothing may be left.
func forSuite(t *testing.T, ctx context.Context, root string, c Config) (snapshots.Snapshotter, func() error, error) {
	st, err := store.Open(ctx, store.Config{Root: root})
	if err != nil {
		return nil, nil, err
	}
	s, err := New(ctx, st, c)
	return s, func() error {
		defer unmountBelow(t, root)
		if err := removeAll(context.Background(), s); err != nil {
			return err
		}
		checkEmpty(t, s)
		return st.Close()
	}, err
}
