package daemon_test

import (
	"context"
	"path/filepath"
	"testing"

	snapshotsapi "github.com/containerd/containerd/api/services/snapshots/v1"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/core/snapshots/proxy"
	"github.com/containerd/containerd/v2/core/snapshots/testsuite"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/laminafs/lamina/internal/daemon"
	"github.com/laminafs/lamina/internal/engine"
	"github.com/laminafs/lamina/internal/mount"
	"github.com/laminafs/lamina/internal/oracle"
)

// TestSuiteOfContainerdOverTheSocket is containerd's own suite for snapshotters, through its proxy client.
func TestSuiteOfContainerdOverTheSocket(t *testing.T) {
	oracle.NeedRoot(t)
	testsuite.SnapshotterSuite(t, "overlayfs", func(_ context.Context, root string) (snapshots.Snapshotter, func() error, error) {
		conf := engine.Default()
		conf.Root, conf.Socket = filepath.Join(root, "store"), filepath.Join(t.TempDir(), "s")
		eng, err := engine.Open(context.Background(), conf)
		if err != nil {
			return nil, nil, err
		}
		content, hangUp, err := conf.Containerd.Content()
		if err != nil {
			return nil, nil, err
		}
		d, err := eng.NewDiffer(content, "", nil)
		if err != nil {
			return nil, nil, err
		}
		listeners, err := daemon.Listen(conf.Socket)
		if err != nil {
			return nil, nil, err
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() {
			done <- daemon.Serve(ctx, daemon.Options{Snapshotter: eng.Snapshotter, Differ: d}, listeners...)
		}()
		conn, err := grpc.NewClient("unix://"+conf.Socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			cancel()
			return nil, nil, err
		}
		return proxy.NewSnapshotter(snapshotsapi.NewSnapshotsClient(conn), "lamina"), func() error {
			_ = conn.Close()
			cancel()
			err := <-done
			unmountAll(t, conf.Root)
			for _, e := range []error{eng.Close(), hangUp()} {
				if err == nil {
					err = e
				}
			}
			return err
		}, nil
	})
}

// unmountAll takes away what the daemon has left mounted on purpose.
func unmountAll(t *testing.T, root string) {
	t.Helper()
	table, err := mount.Table(root)
	if err != nil {
		t.Error(err)
	}
	for i := len(table) - 1; i >= 0; i-- {
		if err := mount.Umount(table[i].Target, true); err != nil {
			t.Error(err)
		}
	}
}
