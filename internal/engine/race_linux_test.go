package engine

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/laminafs/lamina/internal/oracle"
)

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Of many who want a name at the same time one gets it.
func TestANameIsGivenOnce(t *testing.T) {
	l := &Local{root: t.TempDir()}
	check(t, os.Mkdir(l.path("containers"), 0o700))
	var won atomic.Int32
	var wg sync.WaitGroup
	for i := range 30 {
		wg.Go(func() {
			release, err := l.takeName(t.Context(), "web")
			if err != nil {
				if !errdefs.IsAlreadyExists(err) {
					t.Error(err)
				}
				return
			}
			defer release()
			won.Add(1)
			dir := l.containerDir(fmt.Sprint("c", i))
			err = errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(filepath.Join(dir, "lock"), nil, 0o600),
				writeRecord(filepath.Join(dir, "container.json"), &Container{Name: "web"}))
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("%d got the name", won.Load())
	}
}

// Who only looks at a container is not taken for its process.
func TestAContainerThatIsLookedAtDoesNotRun(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	runs, err := lockFile(path, true, true, false)
	check(t, err)
	if _, err := lockEnded(t.Context(), path); !errors.Is(err, errLocked) {
		t.Errorf("while it runs: %v", err)
	}
	check(t, runs.Close())
	looks, err := lockFile(path, false, false, false)
	check(t, err)
	time.AfterFunc(50*time.Millisecond, func() { _ = looks.Close() })
	f, err := lockEnded(t.Context(), path)
	if err != nil {
		t.Fatalf("while somebody looks: %v", err)
	}
	check(t, f.Close())
}

// layerOf makes a layer with one file.
func layerOf(t testing.TB, text string) ([]byte, layer) {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	check(t, w.WriteHeader(&tar.Header{Name: "file", Mode: 0o644, Size: int64(len(text)), Typeflag: tar.TypeReg}))
	_, err := w.Write([]byte(text))
	check(t, errors.Join(err, w.Close()))
	d := digest.FromBytes(b.Bytes())
	return b.Bytes(), layer{v1.Descriptor{MediaType: v1.MediaTypeImageLayer, Digest: d, Size: int64(b.Len())}, d}
}

// Containers start while others sweep, prune and collect: none loses its layer, its directory or what it wrote, and in the
// end nothing is left of any.
func TestSweepsLeaveNewContainersAlone(t *testing.T) {
	oracle.NeedRoot(t)
	c := Default()
	c.Root = filepath.Join(t.TempDir(), "root")
	open := func(do func(l *Local) error) error {
		l, err := OpenLocal(t.Context(), c)
		if err != nil {
			return err
		}
		return errors.Join(do(l), l.Close())
	}
	check(t, open(func(*Local) error { return nil }))
	end := time.Now().Add(4 * time.Second)
	var started, swept atomic.Int32
	var wg sync.WaitGroup
	for w := range 4 {
		archive, la := layerOf(t, fmt.Sprint("layer ", w%2)) // two share one
		wg.Go(func() {
			for time.Now().Before(end) && !t.Failed() {
				if err := startOne(t, open, archive, la); err != nil {
					t.Errorf("container of worker %d: %v", w, err)
				}
				started.Add(1)
			}
		})
	}
	for _, sweep := range []func(l *Local) error{
		func(l *Local) error { return errors.Join(l.Sweep(t.Context()), collected(l)) },
		func(l *Local) error {
			_, err := l.Prune(t.Context(), PruneOptions{Containers: true, Images: true, Wait: true})
			return err
		},
		func(l *Local) error { _, err := l.Containers(t.Context()); return err },
	} {
		wg.Go(func() {
			for time.Now().Before(end) && !t.Failed() {
				if err := open(sweep); err != nil {
					t.Errorf("sweep: %v", err)
				}
				swept.Add(1)
				time.Sleep(5 * time.Millisecond)
			}
		})
	}
	wg.Wait()
	t.Logf("%d containers, %d sweeps", started.Load(), swept.Load())
	check(t, open(func(l *Local) error { _, err := l.Prune(t.Context(), PruneOptions{Wait: true}); return err }))
	for _, dir := range []string{"containers", "snapshots", "m", "staging"} {
		if left, err := os.ReadDir(filepath.Join(c.Root, dir)); err != nil || len(left) > 0 {
			t.Errorf("left in %s: %v, %v", dir, left, err)
		}
	}
}

func collected(l *Local) error {
	_, err := l.Store.Collect(context.Background())
	return err
}

// startOne makes a container, looks into it as its command would, and removes it.
func startOne(t testing.TB, open func(func(*Local) error) error, archive []byte, la layer) (err error) {
	var task *Task
	err = open(func(l *Local) (err error) {
		if err := l.convert(t.Context(), bytes.NewReader(archive), la, ""); err != nil {
			return err
		}
		task, err = l.Create(t.Context(), &Root{Image: "test", layers: []layer{la}}, RunOptions{})
		return err
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, task.Discard(t.Context())) }()
	dir, err := os.MkdirTemp(t.TempDir(), "")
	if err != nil {
		return err
	}
	if err := mount.All(task.mounts, dir); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, mount.UnmountAll(dir, 0)) }()
	if err := os.WriteFile(filepath.Join(dir, "own"), []byte("own"), 0o600); err != nil {
		return err
	}
	time.Sleep(10 * time.Millisecond)
	for _, name := range []string{"file", "own"} {
		if _, err := os.ReadFile(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}
