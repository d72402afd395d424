package mount

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/laminafs/lamina/internal/oracle"
)

// image makes an EROFS image of the files, name to content, with a foreign mkfs.erofs.
func image(t *testing.T, files map[string]string) string {
	t.Helper()
	mkfs := oracle.Need(t, "mkfs.erofs")
	dir, out := t.TempDir(), filepath.Join(t.TempDir(), "image.erofs")
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	oracle.Run(t, mkfs, "--quiet", out, dir)
	return out
}

// mounts counts the entries of the mount table that name a path below dir.
func mounts(t *testing.T, dir string) int {
	t.Helper()
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Count(table, []byte(dir))
}

func mkdirs(t *testing.T, base string, names ...string) {
	t.Helper()
	for _, n := range names {
		if err := os.Mkdir(filepath.Join(base, n), 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

func planAndApply(t *testing.T, r Root, k Kernel) {
	t.Helper()
	steps, err := Plan(r, k)
	if err != nil {
		t.Fatal(err)
	}
	if err := Apply(steps); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := Umount(r.Target, false); err != nil {
			t.Error(err)
		}
		if n := mounts(t, filepath.Dir(r.Target)); n != 0 {
			t.Errorf("%d mounts left", n)
		}
	})
}

func TestLayersUnderAnOverlay(t *testing.T) {
	oracle.NeedRoot(t)
	lower := image(t, map[string]string{"a": "lower", "b": "lower"})
	upper := image(t, map[string]string{"b": "upper"})
	probed, err := Probe(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, k := range map[string]Kernel{
		"as probed": probed,
		"loop":      {LowerdirPlus: probed.LowerdirPlus},
		"joined":    {FileBacked: probed.FileBacked},
	} {
		t.Run(name, func(t *testing.T) {
			base := t.TempDir()
			mkdirs(t, base, "target", "scratch", "up,per", "work")
			r := Root{
				Layers: []Layer{{Image: lower}, {Image: upper}}, Target: filepath.Join(base, "target"),
				Scratch: filepath.Join(base, "scratch"), Upper: filepath.Join(base, "up,per"), Work: filepath.Join(base, "work"),
			}
			planAndApply(t, r, k)
			for file, want := range map[string]string{"a": "lower", "b": "upper"} {
				got, err := os.ReadFile(filepath.Join(r.Target, file))
				if err != nil || string(got) != want {
					t.Errorf("%s: %q, %v", file, got, err)
				}
			}
			if err := os.WriteFile(filepath.Join(r.Target, "a"), []byte("changed"), 0o644); err != nil {
				t.Error(err)
			}
			if got, _ := os.ReadFile(filepath.Join(r.Upper, "a")); string(got) != "changed" {
				t.Errorf("upper directory holds %q", got)
			}
			if left, _ := os.ReadDir(r.Scratch); len(left) != 0 {
				t.Errorf("scratch directory holds %v", left)
			}
		})
	}
}

func TestManyLayers(t *testing.T) {
	oracle.NeedRoot(t)
	base := t.TempDir()
	mkdirs(t, base, "target", "scratch")
	r := Root{Target: filepath.Join(base, "target"), Scratch: filepath.Join(base, "scratch")}
	one := image(t, map[string]string{"f": "x"})
	const layers = 130 // the options of mount(2) hold fewer of such names
	for range layers {
		r.Layers = append(r.Layers, Layer{Image: one})
	}
	k, err := Probe(base)
	if err != nil {
		t.Fatal(err)
	}
	planAndApply(t, r, k)
	if _, err := os.Stat(filepath.Join(r.Target, "f")); err != nil {
		t.Error(err)
	}
}

func TestRefusedImageIsExplainedAndLeavesNothing(t *testing.T) {
	oracle.NeedRoot(t)
	base := t.TempDir()
	mkdirs(t, base, "target", "scratch")
	bad := filepath.Join(base, "bad.erofs")
	if err := os.WriteFile(bad, make([]byte, 8192), 0o644); err != nil {
		t.Fatal(err)
	}
	r := Root{
		Layers: []Layer{{Image: image(t, map[string]string{"f": "x"})}, {Image: bad}},
		Target: filepath.Join(base, "target"), Scratch: filepath.Join(base, "scratch"),
	}
	k, err := Probe(base)
	if err != nil {
		t.Fatal(err)
	}
	steps, err := Plan(r, k)
	if err != nil {
		t.Fatal(err)
	}
	err = Apply(steps)
	if !errors.Is(err, unix.EINVAL) || !strings.Contains(err.Error(), bad) {
		t.Errorf("error %v does not name %s", err, bad)
	}
	r.Layers[1].Image = filepath.Join(base, "missing")
	if steps, err = Plan(r, k); err != nil {
		t.Fatal(err)
	}
	if err = Apply(steps); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing image: %v", err)
	}
	if left, _ := os.ReadDir(r.Scratch); len(left) != 0 || mounts(t, base) != 0 {
		t.Errorf("left: %v, %d mounts", left, mounts(t, base))
	}
}
