//go:build linux

package containerd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/containerd/v2/pkg/rootfs"
	"golang.org/x/sys/unix"

	"github.com/laminafs/lamina/test/containerd/harness"
)

// The disk of the store is full at some point of a pull: the error says so, nothing is left of the attempt, and when there is
// space the same pull works.
func TestPullOntoAFullDisk(t *testing.T) {
	s := newSetup(t)
	disk := must(s.bench.NewDisk(s.ctx, "small", "ext4", 64<<20))(t)
	root := s.bench.Path("c-root")
	s.lamina = must(s.bench.StartLamina(s.ctx, harness.LaminaConfig{Root: filepath.Join(disk.Dir, "lamina"), Containerd: root}))(t)
	s.containerd = must(s.bench.StartContainerd(s.ctx, harness.ContainerdConfig{Version: current, Unpacks: 4, Root: root,
		Lamina: s.lamina.Socket, Exports: s.lamina.Config.Root}))(t)
	img := tenLayers(t)
	ref := s.push("ten", img)
	for _, free := range []int64{0, 64 << 10, 1 << 20, 4 << 20} {
		filler := fill(t, disk.Dir, free)
		_, err := s.containerd.Ctr(s.ctx, "images", "pull", "--plain-http", "--snapshotter", s.name, ref)
		if err == nil {
			t.Errorf("%d bytes free: the pull worked", free)
		} else if !strings.Contains(err.Error(), "no space left on device") {
			t.Errorf("%d bytes free: the error does not say why: %v", free, err)
		}
		if err := os.Remove(filler); err != nil {
			t.Fatal(err)
		}
		if left, _ := filepath.Glob(filepath.Join(s.lamina.Config.Root, "staging/*")); len(left) > 0 {
			t.Errorf("%d bytes free: left in staging: %v", free, left)
		}
		s.pull(ref)
		s.intact(t, chainID(img, len(img.Layers)-1), img.Tars())
		s.removeAllImages()
	}
}

// The disk of containerd is full, that of the store is not, and the other way round: pull, run and commit say why, nothing is
// left of what was begun, and when there is space all of it works.
func TestFullDiskOfContainerdOrOfTheStore(t *testing.T) {
	eachVersion(t, func(t *testing.T, version string) {
		s := newSetup(t)
		theirs := must(s.bench.NewDisk(s.ctx, "theirs", "ext4", 96<<20))(t)
		ours := must(s.bench.NewDisk(s.ctx, "ours", "ext4", 96<<20))(t)
		root := filepath.Join(theirs.Dir, "c")
		s.lamina = must(s.bench.StartLamina(s.ctx, harness.LaminaConfig{Root: filepath.Join(ours.Dir, "lamina"), Containerd: root}))(t)
		s.containerd = must(s.bench.StartContainerd(s.ctx, harness.ContainerdConfig{Version: version, Unpacks: 4, Root: root,
			Lamina: s.lamina.Socket, Exports: s.lamina.Config.Root}))(t)
		img := tenLayers(t)
		ref := s.push("ten", img)
		for name, dir := range map[string]string{"containerd": theirs.Dir, "the store": ours.Dir} {
			for _, free := range []int64{0, 1 << 20} {
				filler := fill(t, dir, free)
				s.refused(t, name, "images", "pull", "--plain-http", "--snapshotter", s.name, ref)
				if err := os.Remove(filler); err != nil {
					t.Fatal(err)
				}
				s.pull(ref)
				s.intact(t, chainID(img, len(img.Layers)-1), img.Tars())
				s.removeAllImages()
			}
		}
		s.pull(ref)
		s.background(ref, "writes", "dd if=/dev/urandom of=/srv/random bs=64k count=256 2>/dev/null")
		for name, dir := range map[string]string{"containerd": theirs.Dir, "the store": ours.Dir} {
			filler := fill(t, dir, 0)
			if err := s.diff("writes"); name == "containerd" && (err == nil || !strings.Contains(err.Error(), noSpace)) {
				t.Errorf("commit, disk of %s full: %v", name, err)
			}
			if err := os.Remove(filler); err != nil {
				t.Fatal(err)
			}
		}
		committed := s.commit(ref, "writes", strings.Replace(ref, ":v1", ":v2", 1))
		if out := s.run(committed, "reads", "sh", "-c", "wc -c </srv/random"); strings.TrimSpace(out) != "16777216" {
			t.Errorf("the committed image printed %q", out)
		}
		s.remove("writes")
		s.removeAllImages()
	})
}

const noSpace = "no space left on device"

// refused runs ctr and wants it to say that there is no space.
func (s *setup) refused(t testing.TB, disk string, args ...string) {
	t.Helper()
	_, err := s.containerd.Ctr(s.ctx, args...)
	if err == nil || !strings.Contains(err.Error(), noSpace) {
		t.Errorf("disk of %s full: %v", disk, err)
	}
	if left, _ := filepath.Glob(filepath.Join(s.lamina.Config.Root, "staging/*")); len(left) > 0 {
		t.Errorf("disk of %s full: left in staging: %v", disk, left)
	}
}

// diff makes the layer of a container's changes, which nothing refers to.
func (s *setup) diff(container string) error {
	c, ctx := s.client()
	loaded, err := c.LoadContainer(ctx, container)
	if err != nil {
		return err
	}
	info, err := loaded.Info(ctx)
	if err == nil {
		_, err = rootfs.CreateDiff(ctx, info.SnapshotKey, c.SnapshotService(s.name), c.DiffService())
	}
	return err
}

// fill writes a file that leaves about that many bytes free.
func fill(t testing.TB, dir string, free int64) string {
	t.Helper()
	name := filepath.Join(dir, "filler")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for step := int64(16 << 20); step >= 4096; {
		var st unix.Statfs_t
		if err := unix.Fstatfs(int(f.Fd()), &st); err != nil {
			t.Fatal(err)
		}
		room := int64(st.Bavail)*st.Bsize - free
		for step > room && step >= 4096 {
			step /= 2
		}
		if step < 4096 {
			break
		}
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		if err := unix.Fallocate(int(f.Fd()), 0, info.Size(), step); err != nil {
			step /= 2
		}
	}
	return name
}
