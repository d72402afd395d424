package mount

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/laminafs/lamina/internal/oracle"
)

// unmountLater takes a mount away after the test, also if the test has failed.
func unmountLater(t *testing.T, dir string) {
	t.Helper()
	t.Cleanup(func() {
		if err := Umount(dir, false); err != nil {
			t.Error(err)
			_ = Umount(dir, true)
		}
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// lowers makes directories with a file each, f and one of their own name; the first is to be the highest.
func lowers(t *testing.T, base string, n int) []string {
	t.Helper()
	list := make([]string, n)
	for i := range list {
		list[i] = filepath.Join(base, strconv.Itoa(i))
		must(t, os.Mkdir(list[i], 0o755))
		must(t, os.WriteFile(filepath.Join(list[i], "f"), []byte(strconv.Itoa(i)), 0o644))
		must(t, os.WriteFile(filepath.Join(list[i], "only"+strconv.Itoa(i)), nil, 0o644))
	}
	return list
}

func TestOverlayTakesAllLayersThatTheKernelAllows(t *testing.T) {
	oracle.NeedRoot(t)
	base := t.TempDir()
	mkdirs(t, base, "target", "u", "w")
	target := filepath.Join(base, "target")
	o := OverlayOptions{Lowers: lowers(t, base, MaxLayers), Upper: filepath.Join(base, "u"), Work: filepath.Join(base, "w")}
	if OptionsFit(o.Strings()) {
		t.Fatal("fits a page: the test proves nothing")
	}
	must(t, Overlay(target, o))
	unmountLater(t, target)
	for name, want := range map[string]string{"f": "0", "only0": "", "only499": ""} {
		if got, err := os.ReadFile(filepath.Join(target, name)); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	must(t, os.WriteFile(filepath.Join(target, "f"), []byte("new"), 0o644))
	table, err := Table(target)
	if err != nil || len(table) != 1 || table[0].FSType != "overlay" || table[0].Source != "lamina" ||
		strings.Count(table[0].Super, "lowerdir+=") != MaxLayers {
		t.Errorf("table: %d entries, %v: %.200v", len(table), err, table)
	}
}

func TestOverlayByLongAndOddNames(t *testing.T) {
	oracle.NeedRoot(t)
	base := filepath.Join(t.TempDir(), strings.Repeat("x", 250), "a,b:c\\d e")
	must(t, os.MkdirAll(base, 0o755))
	mkdirs(t, base, "target", "u", "w")
	target := filepath.Join(base, "target")
	o := OverlayOptions{
		Lowers: lowers(t, base, 3), Upper: filepath.Join(base, "u"), Work: filepath.Join(base, "w"),
		Source: "named", Options: []string{"nodev", "noexec", "index=off", "metacopy=off"},
	}
	for _, how := range []struct {
		name  string
		mount func(string, OverlayOptions) error
	}{{"fsconfig", Overlay}, {"mount(2)", overlayJoined}} {
		t.Run(how.name, func(t *testing.T) {
			must(t, how.mount(target, o))
			unmountLater(t, target)
			got, err := os.ReadFile(filepath.Join(target, "f"))
			if err != nil || string(got) != "0" {
				t.Errorf("%q, %v", got, err)
			}
			table, err := Table(target)
			if err != nil || len(table) != 1 {
				t.Fatalf("table: %v, %v", table, err)
			}
			e := table[0]
			if e.Target != target || e.Source != "named" || e.Options != "rw,nodev,noexec,relatime" || !strings.Contains(e.Super, "x/a,b:c\\d e/u,workdir=") && !strings.Contains(e.Super, `a\,b`) {
				t.Errorf("%+v", e)
			}
		})
	}
}

func TestErofsByLongNames(t *testing.T) {
	oracle.NeedRoot(t)
	base := filepath.Join(t.TempDir(), strings.Repeat("y", 250))
	mkdirs(t, filepath.Dir(base), filepath.Base(base))
	mkdirs(t, base, "target")
	img := filepath.Join(base, "image.erofs")
	must(t, os.Rename(image(t, map[string]string{"f": "x"}), img))
	must(t, mountErofs(filepath.Join(base, "target"), img, nil))
	unmountLater(t, filepath.Join(base, "target"))
}

func TestRefusedOverlayIsExplained(t *testing.T) {
	oracle.NeedRoot(t)
	base := t.TempDir()
	mkdirs(t, base, "target", "u")
	target := filepath.Join(base, "target")
	o := OverlayOptions{Lowers: lowers(t, base, 2)}
	for _, c := range []struct {
		change func(*OverlayOptions)
		want   error
		text   string
	}{
		{func(o *OverlayOptions) { o.Options = []string{"colour=red"} }, unix.EINVAL, "colour"},
		{func(o *OverlayOptions) { o.Options = []string{"index=maybe"} }, unix.EINVAL, "index"},
		{func(o *OverlayOptions) { o.Lowers[1] = filepath.Join(base, "missing") }, fs.ErrNotExist, "missing"},
		{func(o *OverlayOptions) { o.Upper, o.Work = filepath.Join(base, "u"), "/proc" }, unix.EINVAL, "kernel log"},
	} {
		o := o
		o.Lowers = append([]string(nil), o.Lowers...)
		c.change(&o)
		err := Overlay(target, o)
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%v does not say %q", err, c.text)
		}
	}
	if on, err := Mounted(target); on || err != nil {
		t.Errorf("mounted: %v, %v", on, err)
	}
	if err := Overlay(filepath.Join(base, "nothing"), OverlayOptions{Lowers: lowers(t, t.TempDir(), 2)}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no target: %v", err)
	}
}

func TestPageIsWhatMountTakes(t *testing.T) {
	oracle.NeedRoot(t)
	base := t.TempDir()
	mkdirs(t, base, "target", "low", "high")
	target := filepath.Join(base, "target")
	for _, n := range []int{os.Getpagesize() - 1, os.Getpagesize()} {
		option := "lowerdir=" + filepath.Join(base, "low") + ":" + filepath.Join(base, "high") // the last letter is needed
		option = strings.Replace(option, "=", "="+strings.Repeat("/", n-len(option)), 1)
		fit := OptionsFit([]string{option})
		err := unix.Mount("lamina", target, "overlay", unix.MS_RDONLY, option)
		if err == nil {
			unmountLater(t, target)
		}
		if fit != (err == nil) {
			t.Errorf("%d bytes: fit is %v, the kernel says %v", n, fit, err)
		}
	}
}

func TestMounted(t *testing.T) {
	oracle.NeedRoot(t)
	dir := filepath.Join(t.TempDir(), "odd \n\\name")
	must(t, os.Mkdir(dir, 0o755))
	if on, err := Mounted(dir); on || err != nil {
		t.Errorf("before: %v, %v", on, err)
	}
	must(t, unix.Mount("none", dir, "tmpfs", 0, ""))
	unmountLater(t, dir)
	if on, err := Mounted(dir); !on || err != nil {
		t.Errorf("tmpfs: %v, %v", on, err)
	}
	link := filepath.Join(t.TempDir(), "link")
	must(t, os.Symlink(dir, link))
	if on, err := Mounted(link); on || err != nil {
		t.Errorf("symbolic link: %v, %v", on, err)
	}
	if _, err := Mounted(filepath.Join(dir, "missing")); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	table, err := Table(dir)
	if err != nil || len(table) != 1 || table[0].Target != dir || table[0].FSType != "tmpfs" {
		t.Errorf("%+v, %v", table, err)
	}
	if all, err := Table(""); err != nil || len(all) < 2 || all[0].Target != "/" && len(all) < 5 {
		t.Errorf("%d entries, %v", len(all), err)
	}
}
