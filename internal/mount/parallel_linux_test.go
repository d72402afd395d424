package mount

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/laminafs/lamina/internal/oracle"
)

const clients = 200

// together runs f in as many goroutines as there are clients and waits for them.
func together(f func(n int)) {
	var wg sync.WaitGroup
	for n := range clients {
		wg.Go(func() { f(n) })
	}
	wg.Wait()
}

func TestLoopDevicesForManyAtOnce(t *testing.T) {
	oracle.NeedRoot(t)
	img, base := image(t, map[string]string{"f": "x"}), t.TempDir()
	dir := func(n int) string { return filepath.Join(base, strconv.Itoa(n)) }
	for n := range clients {
		mkdirs(t, base, strconv.Itoa(n))
	}
	var mounted atomic.Int32
	together(func(n int) {
		if err := Apply([]Step{{Kind: MountErofs, Source: img, Target: dir(n), Loop: true}}); err != nil {
			t.Error(err)
			return
		}
		mounted.Add(1)
		if _, err := os.Stat(filepath.Join(dir(n), "f")); err != nil {
			t.Error(err)
		}
	})
	table, err := Table(base)
	if err != nil || len(table) != int(mounted.Load()) {
		t.Errorf("table has %d of %d mounts, %v", len(table), mounted.Load(), err)
	}
	together(func(n int) {
		if err := Umount(dir(n), false); err != nil {
			t.Error(err)
		}
	})
	backing, _ := filepath.Glob("/sys/block/loop*/loop/backing_file")
	for _, f := range backing {
		if b, _ := os.ReadFile(f); strings.Contains(string(b), img) {
			t.Errorf("%s is left: %s", f, b)
		}
	}
}

func TestOneOfManyMounts(t *testing.T) {
	oracle.NeedRoot(t)
	img, dir := image(t, map[string]string{"f": "x"}), t.TempDir()
	var did atomic.Int32
	together(func(int) {
		ok, err := Once(t.Context(), dir, func() error {
			return Apply([]Step{{Kind: MountErofs, Source: img, Target: dir}})
		})
		if err != nil {
			t.Error(err)
		}
		if ok {
			did.Add(1)
		}
	})
	table, err := Table(dir)
	if err != nil || did.Load() != 1 || len(table) != 1 {
		t.Errorf("mounted %d times, table %v, %v", did.Load(), table, err)
	}
	for range table {
		if err := Umount(dir, false); err != nil {
			t.Error(err)
		}
	}
}

func TestOverlaysOfOneSetOfLayersForManyAtOnce(t *testing.T) {
	oracle.NeedRoot(t)
	src, base := mountedImage(t), t.TempDir()
	low := lowers(t, t.TempDir(), 3)
	together(func(n int) {
		dir := filepath.Join(base, strconv.Itoa(n))
		o := OverlayOptions{Lowers: append([]string{src}, low...), Upper: filepath.Join(dir, "u"), Work: filepath.Join(dir, "w")}
		for _, d := range []string{"u", "w", "target"} {
			if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
				t.Error(err)
			}
		}
		target := filepath.Join(dir, "target")
		if err := Overlay(target, o); err != nil {
			t.Error(err)
			return
		}
		if b, err := os.ReadFile(filepath.Join(target, "f")); err != nil || string(b) != "x" {
			t.Errorf("%q, %v", b, err)
		}
		if err := Umount(target, false); err != nil {
			t.Error(err)
		}
	})
	if table, err := Table(base); err != nil || len(table) != 0 {
		t.Errorf("left: %v, %v", table, err)
	}
}
