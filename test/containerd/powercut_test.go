//go:build linux

package containerd

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/identity"
	"golang.org/x/sys/unix"

	"github.com/laminafs/lamina/internal/oracle"
	"github.com/laminafs/lamina/test/containerd/harness"
)

// campaign reads how often to do something from the environment: few times by default, often in `make crash`.
func campaign(t testing.TB, variable string, byDefault int) int {
	t.Helper()
	v := os.Getenv(variable)
	if v == "" {
		return byDefault
	}
	n, err := strconv.Atoi(v)
	if err != nil {
		t.Fatalf("%s: %v", variable, err)
	}
	return n
}

// seed is the seed of what is random, from LAMINA_SEED; it is logged.
func seed(t testing.TB) *rand.Rand {
	t.Helper()
	n := uint64(campaign(t, "LAMINA_SEED", int(time.Now().UnixNano()&0xffffff)))
	t.Logf("LAMINA_SEED=%d", n)
	return rand.New(rand.NewPCG(n, 0))
}

// A machine is one disk with all of containerd and all of ours on it. The backing file of the disk lies on an XFS, which
// clones a file at one moment: a clone is what the disk has when the power fails then. What has been written to files but
// has not reached the disk is lost, as it would be.
type machine struct {
	*setup
	disk  *harness.Disk
	store string // XFS with the disks
	n     int
}

// newMachine makes a disk of that file system.
func newMachine(t testing.TB, kind string) *machine {
	t.Helper()
	for _, tool := range []string{"mkfs.xfs", "mkfs.ext4", "mount"} {
		oracle.Need(t, tool)
	}
	s := newSetup(t)
	host := must(s.bench.NewDisk(s.ctx, "host", "xfs", 4<<30))(t)
	m := &machine{setup: s, store: host.Dir}
	m.disk = must(s.bench.NewDisk(s.ctx, "host/disk", kind, 1<<30))(t)
	m.disk.Dir = s.bench.Path("host/disk")
	return m
}

// boot starts our daemon and containerd on the disk.
func (m *machine) boot(t testing.TB) {
	t.Helper()
	root := filepath.Join(m.disk.Dir, "containerd")
	// One layer after the other, so that a cut has some of them.
	config := harness.ContainerdConfig{Version: current, Root: root}
	if peer == "" {
		m.lamina = must(m.bench.StartLamina(m.ctx, harness.LaminaConfig{Root: filepath.Join(m.disk.Dir, "lamina"), Containerd: root}))(t)
		config.Lamina, config.Exports = m.lamina.Socket, m.lamina.Config.Root
	} else {
		m.name = peer
		config.Erofs = peer == "erofs"
		config.Path = []string{filepath.Join(m.bench.Tools.Cache, "judges/bin")}
	}
	m.containerd = must(m.bench.StartContainerd(m.ctx, config))(t)
}

// halt ends both and takes the disk away.
func (m *machine) halt(t testing.TB) {
	t.Helper()
	if err := m.containerd.Stop(); err != nil {
		t.Error(err)
	}
	if m.lamina != nil {
		if err := m.lamina.Stop(); err != nil {
			t.Error(err)
		}
	}
	for _, dir := range harness.Mounts(m.disk.Dir)[1:] {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	}
	if err := m.disk.Unmount(); err != nil {
		t.Error(err)
	}
}

// cut clones the disk as it is now and returns the file.
func (m *machine) cut(t testing.TB) string {
	t.Helper()
	in, err := os.Open(m.disk.Image)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	m.n++
	out, err := os.Create(filepath.Join(m.store, fmt.Sprintf("cut%d.img", m.n)))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if err := unix.IoctlFileClone(int(out.Fd()), int(in.Fd())); err != nil {
		t.Fatalf("clone of the disk: %v", err)
	}
	return out.Name()
}

// recovered mounts a cut in place of the disk, boots and wants every snapshot that containerd has committed to be what its
// layers say; whole is an image that must be there, "" if none must. Then the image is pulled again, which must work.
func (m *machine) recovered(t testing.TB, cut string, img *harness.Image, ref string, whole bool) (snapshots int) {
	t.Helper()
	image := m.disk.Image
	m.disk.Image = cut
	defer func() { m.disk.Image = image }()
	if err := m.disk.Mount(m.ctx); err != nil {
		t.Fatal(err)
	}
	m.boot(t)
	committed := m.committed(t)
	for i := range img.Layers {
		chain := chainID(img, i)
		if !committed[chain] {
			if whole {
				t.Errorf("layer %d was committed when the pull returned and is not known now", i)
			}
			continue
		}
		snapshots++
		m.intact(t, chain, img.Tars()[:i+1])
	}
	if t.Failed() {
		m.logs()
	}
	m.pull(ref)
	m.intact(t, chainID(img, len(img.Layers)-1), img.Tars())
	m.halt(t)
	if err := os.Remove(cut); err != nil {
		t.Error(err)
	}
	return snapshots
}

func chainID(img *harness.Image, layer int) string {
	var ids []digest.Digest
	for _, l := range img.Layers[:layer+1] {
		ids = append(ids, l.DiffID)
	}
	return identity.ChainID(ids).String()
}

// committed are the names of the committed snapshots.
func (m *machine) committed(t testing.TB) map[string]bool {
	t.Helper()
	c, ctx := m.client()
	names := map[string]bool{}
	err := c.SnapshotService(m.name).Walk(ctx, func(_ context.Context, i snapshots.Info) error {
		names[i.Name] = i.Kind == snapshots.KindCommitted
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	return names
}

// keep keeps a snapshot from containerd's garbage collection.
var keep = snapshots.WithLabels(map[string]string{"containerd.io/gc.root": "yes"})

var models = map[string]listing{} // by the last archive

// intact mounts a committed snapshot and compares it with its layers.
func (s *setup) intact(t testing.TB, name string, tars []string) {
	t.Helper()
	c, ctx := s.client()
	sn := c.SnapshotService(s.name)
	key := fmt.Sprint("look", unique())
	mounts, err := sn.View(ctx, key, name, keep)
	if err != nil {
		t.Errorf("view of %s, %d layers: %v", name, len(tars), err)
		return
	}
	defer func() {
		if err := sn.Remove(ctx, key); err != nil {
			t.Error(err)
		}
	}()
	want := models[tars[len(tars)-1]]
	if want == nil {
		want = modelled(t, tars...)
		models[tars[len(tars)-1]] = want
	}
	dir := s.bench.Path("look")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := mount.All(mounts, dir); err != nil {
		t.Errorf("mount of %s, %d layers: %v", name, len(tars), err)
		return
	}
	got := walked(t, dir)
	if err := errors.Join(mount.UnmountAll(dir, 0)); err != nil {
		t.Error(err)
	}
	same(t, fmt.Sprintf("%d layers", len(tars)), got, want)
}

// The power fails right after the pull has returned, and at random moments of it. What containerd has recorded as committed
// is whole on the next start.
func TestCommittedLayersSurviveAPowerCut(t *testing.T) {
	cuts := campaign(t, "LAMINA_CUTS", 3)
	for _, kind := range []string{"ext4", "xfs"} {
		t.Run(kind, func(t *testing.T) {
			random := seed(t)
			m := newMachine(t, kind)
			img := small(t, 4)
			ref := m.push("small", img)
			took := 300 * time.Millisecond
			for done := 0; done < cuts; {
				m.boot(t)
				taken := make(chan []string)
				stop := make(chan struct{})
				go m.cutAtRandom(t, random.Uint64(), took, min(9, cuts-done-1), stop, taken)
				begun := time.Now()
				m.pull(ref)
				took = time.Since(begun)
				last := m.cut(t)
				close(stop)
				during := <-taken
				m.removeAllImages()
				m.halt(t)
				total := 0
				for _, c := range during {
					total += m.recovered(t, c, img, ref, false)
				}
				total += m.recovered(t, last, img, ref, true)
				done += len(during) + 1
				t.Logf("%d cuts in a pull of %v and one after it: %d committed snapshots compared", len(during), took, total)
				if err := m.disk.Mount(m.ctx); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// cutAtRandom takes cuts over the time that a pull took the last time, until it is told to stop.
func (m *machine) cutAtRandom(t testing.TB, seed uint64, took time.Duration, n int, stop chan struct{}, taken chan []string) {
	random := rand.New(rand.NewPCG(seed, 1))
	var cuts []string
	defer func() { taken <- cuts }()
	for range n {
		select {
		case <-stop:
			return
		case <-time.After(time.Duration(random.Float64() * 2 * float64(took) / float64(n+1))):
			cuts = append(cuts, m.cut(t))
		}
	}
}
