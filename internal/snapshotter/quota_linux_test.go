package snapshotter

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	cmount "github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/core/snapshots"
	"golang.org/x/sys/unix"

	"github.com/laminafs/lamina/internal/mount"
	"github.com/laminafs/lamina/internal/oracle"
)

func TestQuota(t *testing.T) {
	for name, c := range map[string]Config{
		"by default": {DefaultSize: "32MiB"},
		"by label":   {DefaultSize: "1GiB"},
		"xfs":        {DefaultSize: "300MiB", Quota: "xfs"},
	} {
		t.Run(name, func(t *testing.T) {
			oracle.Need(t, "mkfs.ext4")
			if c.Quota == "xfs" {
				oracle.Need(t, "mkfs.xfs")
			}
			s := open(t, c)
			labels := map[string]string{}
			if name == "by label" {
				labels[snapshots.LabelSnapshotMaxSize] = fmt.Sprint(32 << 20)
			}
			checkQuota(t, s, labels)
		})
	}
}

func TestProjectQuota(t *testing.T) {
	for fs, options := range map[string][]string{
		"ext4": {"-q", "-O", "quota,project", "-E", "quotatype=prjquota"},
		"xfs":  {"-q"},
	} {
		t.Run(fs, func(t *testing.T) {
			oracle.NeedRoot(t)
			mkfs := oracle.Need(t, "mkfs."+fs)
			base := t.TempDir()
			image, dir := filepath.Join(base, "image"), filepath.Join(base, "fs")
			must(t, os.WriteFile(image, nil, 0o600))
			must(t, os.Truncate(image, 512<<20))
			oracle.Run(t, mkfs, append(options, image)...)
			must(t, os.Mkdir(dir, 0o755))
			m := cmount.Mount{Type: fs, Source: image, Options: []string{"loop", "prjquota"}}
			if err := m.Mount(dir); err != nil {
				t.Skipf("this kernel has no project quotas on %s: %v", fs, err)
			}
			t.Cleanup(func() { must(t, mount.Umount(dir, true)) })
			root := filepath.Join(dir, "s")
			s, err := New(t.Context(), openStore(t, root), Config{Quota: "project", DefaultSize: "32MiB"})
			if err != nil {
				t.Skipf("this kernel has no project quotas on %s: %v", fs, err)
			}
			checkQuota(t, s, nil)
		})
	}
}

func checkQuota(t *testing.T, s *Snapshotter, labels map[string]string) {
	t.Helper()
	image := commitFiles(t, s, "", map[string]string{"f": "x"})
	key := newKey("container")
	m, err := s.Prepare(t.Context(), key, image, snapshots.WithLabels(labels))
	must(t, err)
	dir := mountAt(t, m)
	write(t, dir, "some", strings.Repeat("x", 3<<20))
	before, err := s.Usage(t.Context(), key)
	if err != nil || before.Size < 3<<20 || before.Size > 4<<20 || before.Inodes < 1 || before.Inodes > 4 {
		t.Errorf("usage %+v, %v", before, err)
	}
	f, err := os.Create(filepath.Join(dir, "too much"))
	must(t, err)
	chunk := make([]byte, 1<<20)
	for n := 0; err == nil; n++ {
		if _, err = f.Write(chunk); err == nil && n > 400 {
			t.Fatal("there is no limit")
		}
	}
	if !errors.Is(err, unix.ENOSPC) && !errors.Is(err, unix.EDQUOT) {
		t.Errorf("writing too much: %v", err)
	}
	must(t, f.Close())
	must(t, os.Remove(f.Name()))

	// A restart of the machine: the mounts are gone.
	unmount(t, dir)
	unmountBelow(t, s.store.Root)
	m, err = s.Mounts(t.Context(), key)
	must(t, err)
	dir = mountAt(t, m)
	if len(read(t, dir, "some")) != 3<<20 {
		t.Error("changes are lost")
	}
	unmount(t, dir)
	name := newKey("committed")
	must(t, s.Commit(t.Context(), name, key))
	dir = view(t, s, name)
	if len(read(t, dir, "some")) != 3<<20 || read(t, dir, "f") != "x" {
		t.Error("not what was committed")
	}
	unmount(t, dir)
	must(t, removeAll(t.Context(), s))
	checkEmptyAfterUnmount(t, s)
}

// checkEmptyAfterUnmount is checkEmpty once the loop devices have let go.
func checkEmptyAfterUnmount(t *testing.T, s *Snapshotter) {
	t.Helper()
	checkEmpty(t, s)
}

func TestLayersAreUnpackedWithoutQuota(t *testing.T) {
	s := open(t, Config{DefaultSize: "32MiB"})
	key := newKey("extract-1")
	m, err := s.Prepare(t.Context(), key, "", snapshots.WithLabels(map[string]string{
		snapshots.LabelSnapshotRef: "sha256:" + strings.Repeat("1", 64), snapshots.LabelSnapshotMaxSize: "1048576",
	}))
	must(t, err)
	write(t, mountAt(t, m), "f", strings.Repeat("x", 33<<20))
}

func TestUsage(t *testing.T) {
	s := open(t, Config{})
	image := commitFiles(t, s, "", map[string]string{"f": strings.Repeat("x", 1<<20)})
	u, err := s.Usage(t.Context(), image)
	if err != nil || u.Size < 1<<20 || u.Size > 1<<20+64<<10 || u.Inodes != 1 {
		t.Errorf("committed: %+v, %v", u, err)
	}
	key := newKey("container")
	m, err := s.Prepare(t.Context(), key, image)
	must(t, err)
	dir := mountAt(t, m)
	if u, err = s.Usage(t.Context(), key); err != nil || u.Size > 8192 || u.Inodes != 1 {
		t.Errorf("nothing written: %+v, %v", u, err)
	}
	write(t, dir, "d/g", strings.Repeat("x", 1<<20))
	if u, err = s.Usage(t.Context(), key); err != nil || u.Size < 1<<20 || u.Size > 1<<20+64<<10 || u.Inodes != 3 {
		t.Errorf("1 MiB written: %+v, %v", u, err)
	}
}
