//go:build linux

package containerd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/errdefs"

	"github.com/laminafs/lamina/test/containerd/harness"
)

// watcher is what runs in the container that must not notice: it reads files of every layer and writes its own, for ever,
// and says so if anything is not as it should be.
const watcher = `md5sum /srv/big /n/last /n/001 >/sums; i=0
while :; do
  md5sum -c -s /sums || echo "sums $i" >>/bad
  echo $i >/count || echo "count $i" >>/bad
  [ "$(cat /count)" = $i ] || echo "read $i" >>/bad
  i=$((i+1)); [ $i -gt 3 ] && touch /ready; done`

// The daemon is killed at random moments while images are pulled and removed, snapshots are written and committed, and a
// container runs. Requests under way may fail; what was committed is whole, and nothing is left that nobody refers to.
func TestKillAtRandomMomentsOfLoad(t *testing.T) {
	kills := campaign(t, "LAMINA_KILLS", 6)
	random := seed(t)
	s := startOurs(t, current, func(o *options) { o.lamina.Activate = true })
	img, ten := small(t, 4), tenLayers(t)
	runs := s.push("small", img)
	pulled := s.push("ten", ten)
	s.pull(runs)
	s.ctr("run", "-d", "--snapshotter", s.name, runs, "watched", "sh", "-c", watcher)
	s.eventually("the container has begun", func() error { return s.exec("watched", "test -e /ready") })

	for done := 0; done < kills; {
		stop := make(chan struct{})
		var load sync.WaitGroup
		var pulls, commits int
		load.Add(2)
		go func() { defer load.Done(); pulls = s.pullLoad(pulled, stop) }()
		go func() { defer load.Done(); commits = s.commitLoad(img, stop) }()
		round := min(20, kills-done)
		for range round {
			time.Sleep(time.Duration(random.Float64() * float64(400*time.Millisecond)))
			s.lamina.Kill()
			if err := s.lamina.Start(s.ctx); err != nil {
				t.Fatalf("start after a kill: %v", err)
			}
		}
		done += round
		close(stop)
		load.Wait()
		t.Logf("%d kills; %d pulls and %d commits were whole in between", done, pulls, commits)
		s.settled(img, ten, pulled)
		if err := s.exec("watched", "test ! -e /bad || { cat /bad >&2; exit 1; }"); err != nil {
			t.Fatalf("the container noticed: %v", err)
		}
	}
	s.remove("watched")
	s.removeSnapshots()
	s.removeAllImages()
}

// pullLoad pulls an image and removes it, again and again; it counts the pulls that went well.
func (s *setup) pullLoad(ref string, stop chan struct{}) (n int) {
	for {
		select {
		case <-stop:
			return n
		default:
		}
		if _, err := s.containerd.Ctr(s.ctx, "images", "pull", "--plain-http", "--snapshotter", s.name, ref); err == nil {
			n++
		}
		_, _ = s.containerd.Ctr(s.ctx, "images", "rm", "--sync", ref) // it may not be there
	}
}

// commitLoad prepares snapshots on the top of an image, writes into them, commits, and removes some of them; it counts the
// commits that went well. What a commit named N holds is the file /committed with N in it.
func (s *setup) commitLoad(img *harness.Image, stop chan struct{}) (n int) {
	c, ctx := s.client()
	sn := c.SnapshotService(s.name)
	top := chainID(img, len(img.Layers)-1)
	dir := s.bench.Path("commit-load")
	_ = os.MkdirAll(dir, 0o755)
	one := func(name string) (err error) {
		mounts, err := sn.Prepare(ctx, name+"-active", top, keep)
		if err != nil {
			return err
		}
		if err := mount.All(mounts, dir); err != nil {
			return err
		}
		err = os.WriteFile(filepath.Join(dir, "committed"), []byte(name), 0o644)
		err = errors.Join(err, os.Remove(filepath.Join(dir, "n/001")), mount.UnmountAll(dir, 0))
		if err != nil {
			return err
		}
		return sn.Commit(ctx, name, name+"-active", keep)
	}
	for {
		select {
		case <-stop:
			return n
		default:
		}
		name := fmt.Sprint("load", unique())
		if err := one(name); err == nil {
			n++
			if n%3 == 0 {
				_ = sn.Remove(ctx, name) // counted as whole already; it may be refused while the daemon is away
			}
		}
		_ = mount.UnmountAll(dir, 0) // what a failure left
	}
}

// settled looks at everything in a quiet moment: committed snapshots are whole, the pull works, and after Cleanup the store
// holds nothing that nobody refers to.
func (s *setup) settled(img, ten *harness.Image, pulled string) {
	s.Helper()
	s.eventually("a pull after the kills", func() error { // what was killed may be noticed late
		_, err := s.containerd.Ctr(s.ctx, "images", "pull", "--plain-http", "--snapshotter", s.name, pulled)
		return err
	})
	s.intact(s, chainID(ten, len(ten.Layers)-1), ten.Tars())
	c, ctx := s.client()
	sn := c.SnapshotService(s.name)
	err := sn.Walk(ctx, func(_ context.Context, i snapshots.Info) error {
		if !strings.HasPrefix(i.Name, "load") || i.Kind != snapshots.KindCommitted {
			return nil
		}
		key := fmt.Sprint("look", unique())
		mounts, err := sn.View(ctx, key, i.Name, keep)
		if err != nil {
			return fmt.Errorf("view of %s: %w", i.Name, err)
		}
		dir := s.bench.Path("look")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := mount.All(mounts, dir); err != nil {
			return fmt.Errorf("mount of %s: %w", i.Name, err)
		}
		b, err := os.ReadFile(filepath.Join(dir, "committed"))
		if string(b) != i.Name {
			err = errors.Join(err, fmt.Errorf("snapshot %s says that it is %q", i.Name, b))
		}
		if _, e := os.Stat(filepath.Join(dir, "n/001")); e == nil {
			err = errors.Join(err, fmt.Errorf("snapshot %s: a deleted file is back", i.Name))
		}
		return errors.Join(err, mount.UnmountAll(dir, 0), sn.Remove(ctx, key))
	})
	if err != nil {
		s.Error(err)
	}
	s.removeSnapshots()
	s.ctr("images", "rm", "--sync", pulled)
	s.eventually("only the layers of the running container are left", func() error {
		if blobs := blobFiles(s); len(blobs) != len(img.Layers) {
			return fmt.Errorf("%d blobs: %v", len(blobs), blobs)
		}
		for _, dir := range []string{"staging/*", "damaged/*"} {
			if left, _ := filepath.Glob(filepath.Join(s.lamina.Config.Root, dir)); len(left) > 0 {
				return fmt.Errorf("left: %v", left)
			}
		}
		if dirs, _ := filepath.Glob(filepath.Join(s.lamina.Config.Root, "snapshots/*")); len(dirs) != 1 {
			return fmt.Errorf("directories of snapshots: %v", dirs)
		}
		return nil
	})
}

// removeSnapshots removes the snapshots that the load made. containerd does not list all of them: when a Commit is killed
// after ours and before its own, its record stays under the old name, which nothing else refers to.
func (s *setup) removeSnapshots() {
	s.Helper()
	c, ctx := s.client()
	sn := c.SnapshotService(s.name)
	for i := range counter.Load() + 1 {
		for _, name := range []string{fmt.Sprintf("load%d-active", i), fmt.Sprintf("load%d", i)} {
			if err := sn.Remove(ctx, name); err != nil && !errdefs.IsNotFound(err) {
				s.Errorf("remove %s: %v", name, err)
			}
		}
	}
}
