package mount

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/laminafs/lamina/internal/oracle"
)

type imageKind struct {
	name, mkfs string
	make       func(context.Context, string, int64, ImageOptions) error
	size, disk int64 // of the image, and what it may take of the disk when it is new
}

var imageKinds = []imageKind{
	{"ext4", "mkfs.ext4", Ext4Image, 64 << 20, 1 << 20},
	{"xfs", "mkfs.xfs", XFSImage, 320 << 20, 70 << 20},
}

// disk returns how many bytes of the disk a file takes.
func disk(t *testing.T, path string) int64 {
	t.Helper()
	var st unix.Stat_t
	must(t, unix.Stat(path, &st))
	return st.Blocks * 512
}

// newImage makes and mounts an image; dir is unmounted after the test.
func newImage(t *testing.T, kind imageKind) (path, dir string) {
	t.Helper()
	oracle.NeedRoot(t)
	oracle.Need(t, kind.mkfs)
	base := t.TempDir()
	mkdirs(t, base, "rw")
	path, dir = filepath.Join(base, "rw.img"), filepath.Join(base, "rw")
	must(t, kind.make(t.Context(), path, kind.size, ImageOptions{}))
	if n := disk(t, path); n > kind.disk {
		t.Errorf("a new image takes %d bytes of the disk", n)
	}
	must(t, MountImage(path, dir))
	unmountLater(t, dir)
	return path, dir
}

// fill writes until the file system refuses and returns how much it took.
func fill(t *testing.T, path string) (int64, error) {
	t.Helper()
	f, err := os.Create(path)
	must(t, err)
	defer func() { _ = f.Close() }()
	chunk, n := make([]byte, 1<<20), int64(0)
	for {
		w, err := f.Write(chunk)
		n += int64(w)
		if err == nil && n > 1<<30 {
			t.Fatal("no limit")
		}
		if err != nil {
			return n, err
		}
	}
}

func TestImageIsAQuota(t *testing.T) {
	for _, kind := range imageKinds {
		t.Run(kind.name, func(t *testing.T) {
			path, dir := newImage(t, kind)
			if u, err := ImageUsage(dir); err != nil || u != (Usage{}) {
				t.Errorf("empty image: %+v, %v", u, err)
			}
			n, err := fill(t, filepath.Join(dir, "big"))
			if !errors.Is(err, unix.ENOSPC) || n < kind.size/2 || n > kind.size {
				t.Errorf("%d bytes, then %v", n, err)
			}
			must(t, os.WriteFile(filepath.Join(filepath.Dir(dir), "beside"), make([]byte, 1<<20), 0o644)) // the host goes on
			u, err := ImageUsage(dir)
			if err != nil || u.Inodes != 1 || u.Bytes < n || u.Bytes > n+n/50 {
				t.Errorf("usage %+v, %v, want %d", u, err, n)
			}
			must(t, os.Remove(filepath.Join(dir, "big")))
			syncFS(t, dir)
			if u, err := ImageUsage(dir); err != nil || u.Bytes > 1<<16 || u.Inodes != 0 {
				t.Errorf("usage after remove %+v, %v", u, err)
			}
			until := time.Now().Add(20 * time.Second)
			for disk(t, path) > kind.size/2 { // discards are asynchronous
				if time.Now().After(until) {
					t.Fatalf("the image keeps %d bytes of the disk", disk(t, path))
				}
				time.Sleep(10 * time.Millisecond)
				syncFS(t, dir)
			}
		})
	}
}

func syncFS(t *testing.T, dir string) {
	t.Helper()
	d, err := os.Open(dir)
	must(t, err)
	must(t, errors.Join(unix.Syncfs(int(d.Fd())), d.Close()))
}

func TestImageKeepsFilesAndUsageOverMounts(t *testing.T) {
	for _, kind := range imageKinds {
		t.Run(kind.name, func(t *testing.T) {
			path, dir := newImage(t, kind)
			must(t, os.WriteFile(filepath.Join(dir, "f"), make([]byte, 3<<20), 0o644))
			syncFS(t, dir)
			before, err := ImageUsage(dir)
			must(t, err)
			must(t, Umount(dir, false))
			must(t, MountImage(path, dir))
			after, err := ImageUsage(dir)
			if err != nil || before != after || after.Bytes < 3<<20 {
				t.Errorf("usage %+v, then %+v, %v", before, after, err)
			}
		})
	}
}

// TestImageAfterAPowerCut mounts a copy of the file taken while the image is in use.
func TestImageAfterAPowerCut(t *testing.T) {
	for _, kind := range imageKinds {
		t.Run(kind.name, func(t *testing.T) {
			path, dir := newImage(t, kind)
			f, err := os.Create(filepath.Join(dir, "kept"))
			must(t, err)
			_, err = f.WriteString("synced")
			must(t, errors.Join(err, f.Sync(), f.Close()))
			must(t, os.WriteFile(filepath.Join(dir, "torn"), make([]byte, 1<<20), 0o644))
			cut := filepath.Join(filepath.Dir(dir), "cut.img")
			oracle.Run(t, oracle.Need(t, "cp"), "--sparse=always", path, cut)
			mkdirs(t, filepath.Dir(dir), "cut")
			at := filepath.Join(filepath.Dir(dir), "cut")
			must(t, MountImage(cut, at))
			unmountLater(t, at)
			if b, err := os.ReadFile(filepath.Join(at, "kept")); err != nil || string(b) != "synced" {
				t.Errorf("%q, %v", b, err)
			}
			if u, err := ImageUsage(at); err != nil || u.Inodes < 1 || u.Inodes > 2 {
				t.Errorf("usage %+v, %v", u, err)
			}
		})
	}
}

func TestImageDoesDirectIO(t *testing.T) {
	_, dir := newImage(t, imageKinds[0])
	table, err := Table(dir)
	if err != nil || len(table) != 1 {
		t.Fatalf("%v, %v", table, err)
	}
	sys := filepath.Join("/sys/block", filepath.Base(table[0].Source))
	for file, want := range map[string]string{"loop/dio": "1", "loop/autoclear": "1", "queue/logical_block_size": "4096"} {
		b, err := os.ReadFile(filepath.Join(sys, file))
		if got := strings.TrimSpace(string(b)); err != nil || got != want {
			if _, e := os.OpenFile(filepath.Join(filepath.Dir(dir), "rw.img"), os.O_RDONLY|unix.O_DIRECT, 0); e != nil && file == "loop/dio" {
				continue // not on this file system
			}
			t.Errorf("%s: %q, %v", file, got, err)
		}
	}
}

func TestImagesThatCannotBeLeaveNothing(t *testing.T) {
	oracle.NeedRoot(t)
	oracle.Need(t, "mkfs.ext4")
	dir := t.TempDir()
	path := filepath.Join(dir, "i")
	if err := Ext4Image(t.Context(), path, MinExt4-1, ImageOptions{}); err == nil {
		t.Error("too small: made")
	}
	if err := Ext4Image(t.Context(), path, MinExt4, ImageOptions{UUID: "nonsense"}); err == nil || !strings.Contains(err.Error(), "UUID") {
		t.Errorf("bad UUID: %v", err)
	}
	ended, cancel := context.WithTimeout(t.Context(), -time.Second)
	defer cancel()
	if err := Ext4Image(ended, path, MinExt4, ImageOptions{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("ended context: %v", err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
	must(t, os.WriteFile(path, make([]byte, 8192), 0o644))
	if err := Ext4Image(t.Context(), path, MinExt4, ImageOptions{}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("existing file: %v", err)
	}
	if err := MountImage(path, dir); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("mount of zeros: %v", err)
	}
	if _, err := find("mkfs.nothing"); !errors.Is(err, exec.ErrNotFound) || !strings.Contains(err.Error(), "mkfs.nothing") {
		t.Errorf("missing program: %v", err)
	}
}
