package mount

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/laminafs/lamina/internal/oracle"
)

var shifted = IDMap{UIDs: []IDRange{{0, 100000, 65536}}, GIDs: []IDRange{{0, 200000, 65536}}}

// needNamespaces is for tests that make user namespaces: in a chroot the kernel refuses them even to root.
func needNamespaces(t *testing.T) {
	t.Helper()
	oracle.NeedRoot(t)
	ns, err := shifted.Namespace()
	if errors.Is(err, unix.EPERM) {
		oracle.NotInKernel(t, "user namespaces: "+err.Error())
	}
	must(t, err)
	must(t, ns.Close())
}

func owner(t *testing.T, path string) string {
	t.Helper()
	var st unix.Stat_t
	must(t, unix.Lstat(path, &st))
	return fmt.Sprintf("%d:%d", st.Uid, st.Gid)
}

// mountedImage mounts an image with one file, f, and returns the mount point.
func mountedImage(t *testing.T) string {
	t.Helper()
	base := t.TempDir()
	mkdirs(t, base, "erofs")
	dir := filepath.Join(base, "erofs")
	k, err := Probe(base)
	must(t, err)
	steps, err := Plan(Root{Layers: []Layer{{Image: image(t, map[string]string{"f": "x"})}}, Target: dir}, k)
	must(t, err)
	must(t, Apply(steps))
	unmountLater(t, dir)
	return dir
}

func TestIdmappedImageShowsMappedOwners(t *testing.T) {
	needNamespaces(t)
	src, base := mountedImage(t), t.TempDir()
	mkdirs(t, base, "target")
	target := filepath.Join(base, "target")
	must(t, Idmapped(src, target, shifted))
	unmountLater(t, target)
	if got := owner(t, filepath.Join(src, "f")); got != "0:0" {
		t.Fatalf("source shows %s", got)
	}
	if got := owner(t, filepath.Join(target, "f")); got != "100000:200000" {
		t.Errorf("mapped mount shows %s", got)
	}
	few := IDMap{UIDs: []IDRange{{5, 100000, 1}}, GIDs: []IDRange{{0, 7, 1}}}
	mkdirs(t, base, "few")
	must(t, Idmapped(src, filepath.Join(base, "few"), few))
	unmountLater(t, filepath.Join(base, "few"))
	if got := owner(t, filepath.Join(base, "few", "f")); got != "65534:7" {
		t.Errorf("id outside of the map shows as %s", got)
	}
}

func TestOverlayOnMappedLayers(t *testing.T) {
	needNamespaces(t)
	src := mountedImage(t)
	for _, how := range []struct {
		name  string
		mount func(string, OverlayOptions) error
	}{
		{"as this kernel can", Overlay},
		{"with mount points in passing", func(target string, o OverlayOptions) error {
			layers, release, err := o.layers()
			if err != nil {
				return err
			}
			defer release()
			return overlayScratch(target, o, layers)
		}},
	} {
		t.Run(how.name, func(t *testing.T) {
			base := t.TempDir()
			mkdirs(t, base, "target", "u", "w")
			target := filepath.Join(base, "target")
			must(t, how.mount(target, OverlayOptions{
				Lowers: []string{src}, Upper: filepath.Join(base, "u"), Work: filepath.Join(base, "w"), IDMap: &shifted,
			}))
			unmountLater(t, target)
			if got := owner(t, filepath.Join(target, "f")); got != "100000:200000" {
				t.Errorf("overlay shows %s", got)
			}
			must(t, os.Chmod(filepath.Join(target, "f"), 0o600))
			if got := owner(t, filepath.Join(base, "u", "f")); got != "100000:200000" {
				t.Errorf("copied up as %s", got)
			}
			if table, err := Table(base); err != nil || len(table) != 1 {
				t.Errorf("%+v, %v: want the overlay alone", table, err)
			}
			if list, _ := os.ReadDir(base); len(list) != 3 {
				t.Errorf("left: %v", list)
			}
		})
	}
}

func TestFileSystemsThatCannotMapSaySo(t *testing.T) {
	needNamespaces(t)
	dir := t.TempDir()
	if err := Idmapped("/proc", dir, shifted); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("proc: %v", err)
	}
	if err := Idmapped("/", dir, IDMap{}); err == nil {
		t.Error("an empty map was taken")
		_ = Umount(dir, true)
	}
}

// children returns the processes whose parent is this one.
func children(t *testing.T) (list []string) {
	t.Helper()
	files, err := filepath.Glob("/proc/self/task/*/children")
	must(t, err)
	for _, f := range files {
		b, _ := os.ReadFile(f) // the thread may have ended
		list = append(list, strings.Fields(string(b))...)
	}
	return list
}

func TestNamespacesFromManyGoroutines(t *testing.T) {
	needNamespaces(t)
	before := len(children(t))
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() {
			ns, err := shifted.Namespace()
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = ns.Close() }()
			if uid, err := unix.IoctlRetInt(int(ns.Fd()), unix.NS_GET_NSTYPE); err != nil || uid != unix.CLONE_NEWUSER {
				t.Errorf("namespace of type %#x, %v", uid, err)
			}
		})
	}
	wg.Wait()
	if left := children(t); len(left) > before {
		t.Errorf("processes are left: %v", left)
	}
}
