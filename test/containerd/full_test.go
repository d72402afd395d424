//go:build linux

package containerd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

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
