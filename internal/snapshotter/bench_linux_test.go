package snapshotter

import (
	"os"
	"testing"

	cmount "github.com/containerd/containerd/v2/core/mount"

	"github.com/laminafs/lamina/internal/mount"
)

// BenchmarkPrepare is what a container waits for on a warm image of 20 layers: from Prepare to a mounted
// root, and taking it away again, without Cleanup.
func BenchmarkPrepare(b *testing.B) {
	s := open(b, Config{})
	image := chain(b, s, 20)
	dir := b.TempDir()
	warm, err := s.Prepare(b.Context(), newKey("warm"), image)
	must(b, err)
	if len(warm) != 1 {
		b.Fatal(warm)
	}
	for b.Loop() {
		key := newKey("container")
		m, err := s.Prepare(b.Context(), key, image)
		must(b, err)
		must(b, cmount.All(m, dir))
		b.StopTimer()
		must(b, mount.Umount(dir, false))
		must(b, s.Remove(b.Context(), key))
		b.StartTimer()
	}
	_ = os.Remove(dir)
}
