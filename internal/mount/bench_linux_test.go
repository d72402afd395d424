package mount

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/laminafs/lamina/internal/oracle"
)

// layersOf mounts copies of an image as the lower directories of overlays.
func layersOf(b *testing.B, n int) (base string, lowers []string) {
	b.Helper()
	oracle.NeedRoot(b)
	base = b.TempDir()
	out := filepath.Join(base, "one.erofs")
	tree := b.TempDir()
	check(b, os.WriteFile(filepath.Join(tree, "f"), make([]byte, 9000), 0o644))
	oracle.Run(b, oracle.Need(b, "mkfs.erofs"), "--quiet", out, tree)
	for i := range n {
		dir := filepath.Join(base, strconv.Itoa(i))
		check(b, os.Mkdir(dir, 0o755))
		check(b, Apply([]Step{{Kind: MountErofs, Source: out, Target: dir}}))
		b.Cleanup(func() { check(b, Umount(dir, false)) })
		lowers = append(lowers, dir)
	}
	return base, lowers
}

func check(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// BenchmarkOverlay is what starting a container costs when its layers are mounted.
func BenchmarkOverlay(b *testing.B) {
	for _, n := range []int{1, 20, 100} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			base, lowers := layersOf(b, n)
			for i := 0; b.Loop(); i++ {
				b.StopTimer()
				dir := filepath.Join(base, fmt.Sprintf("c%d", i))
				for _, d := range []string{"u", "w", "t"} {
					check(b, os.MkdirAll(filepath.Join(dir, d), 0o755))
				}
				o := OverlayOptions{Lowers: lowers, Upper: filepath.Join(dir, "u"), Work: filepath.Join(dir, "w")}
				b.StartTimer()
				check(b, Overlay(filepath.Join(dir, "t"), o))
				b.StopTimer()
				check(b, Umount(filepath.Join(dir, "t"), false))
				b.StartTimer()
			}
		})
	}
}

// BenchmarkErofs mounts and unmounts an image of one layer.
func BenchmarkErofs(b *testing.B) {
	base, lowers := layersOf(b, 1)
	src, dir := filepath.Join(base, "one.erofs"), filepath.Join(base, "m")
	check(b, os.Mkdir(dir, 0o755))
	_ = lowers
	for _, loop := range []bool{false, true} {
		b.Run(fmt.Sprintf("loop=%v", loop), func(b *testing.B) {
			for b.Loop() {
				check(b, Apply([]Step{{Kind: MountErofs, Source: src, Target: dir, Loop: loop}}))
				check(b, Umount(dir, false))
			}
		})
	}
}

// BenchmarkPlan mounts all layers, the overlay, and takes the layers away, as for one command.
func BenchmarkPlan(b *testing.B) {
	for _, n := range []int{1, 20, 100} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			base, _ := layersOf(b, 1)
			r := Root{Target: filepath.Join(base, "t"), Scratch: filepath.Join(base, "s"), Upper: filepath.Join(base, "u"), Work: filepath.Join(base, "w")}
			for _, d := range []string{"t", "s", "u", "w"} {
				check(b, os.Mkdir(filepath.Join(base, d), 0o755))
			}
			for range n {
				r.Layers = append(r.Layers, Layer{Image: filepath.Join(base, "one.erofs")})
			}
			steps, err := Plan(r, Kernel{FileBacked: true, LowerdirPlus: true})
			check(b, err)
			for b.Loop() {
				check(b, Apply(steps))
				check(b, Umount(r.Target, false))
			}
		})
	}
}

func BenchmarkMounted(b *testing.B) {
	for b.Loop() {
		if _, err := Mounted("/proc"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkNamespace(b *testing.B) {
	oracle.NeedRoot(b)
	for b.Loop() {
		ns, err := shifted.Namespace()
		check(b, err)
		check(b, ns.Close())
	}
}
