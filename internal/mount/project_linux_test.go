package mount

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/laminafs/lamina/internal/oracle"
)

// bound runs f without CAP_SYS_RESOURCE, as containers are by default: ext4 lets those who have it write on.
func bound(t *testing.T, f func()) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var caps [2]unix.CapUserData
		err := unix.Capget(&head, &caps[0])
		if err == nil {
			caps[0].Effective &^= 1 << unix.CAP_SYS_RESOURCE
			err = unix.Capset(&head, &caps[0])
		}
		if err == nil {
			f()
		}
		done <- err
	}()
	must(t, <-done)
}

// projectFS mounts a file system with project quota.
func projectFS(t *testing.T, fstype string) string {
	t.Helper()
	oracle.NeedRoot(t)
	mkfs := oracle.Need(t, "mkfs."+fstype)
	base := t.TempDir()
	mkdirs(t, base, "fs")
	path, dir := filepath.Join(base, "img"), filepath.Join(base, "fs")
	must(t, os.WriteFile(path, nil, 0o600))
	must(t, os.Truncate(path, 320<<20))
	args := []string{"-q", path}
	if fstype == "ext4" {
		args = []string{"-q", "-O", "quota,project", "-E", "quotatype=prjquota", path}
	}
	oracle.Run(t, mkfs, args...)
	loop, err := attach(path, loopMode{writable: true})
	must(t, err)
	defer func() { _ = loop.Close() }()
	if err := mountFS(fstype, dir, []param{{key: "source", value: loop.Name()}, {key: "prjquota"}}, 0); err != nil {
		oracle.NotInKernel(t, "project quota of "+fstype+": "+err.Error())
	}
	unmountLater(t, dir)
	return dir
}

func TestProjectIsAQuota(t *testing.T) {
	for fstype, full := range map[string]error{"ext4": unix.EDQUOT, "xfs": unix.ENOSPC} {
		t.Run(fstype, func(t *testing.T) {
			base := projectFS(t, fstype)
			mkdirs(t, base, "a", "b")
			a, b := filepath.Join(base, "a"), filepath.Join(base, "b")
			const limit = 8 << 20
			must(t, SetProject(a, 7, limit))
			if id, err := ProjectOf(a); id != 7 || err != nil {
				t.Errorf("project %d, %v", id, err)
			}
			mkdirs(t, a, "sub")
			var n int64
			var err error
			bound(t, func() { n, err = fill(t, filepath.Join(a, "sub", "big")) })
			if !errors.Is(err, full) || n < limit/2 || n > limit {
				t.Errorf("%d bytes, then %v", n, err)
			}
			must(t, os.WriteFile(filepath.Join(b, "f"), make([]byte, 2*limit), 0o644))
			u, err := ProjectUsage(a)
			if err != nil || u.Bytes < n || u.Bytes > n+n/20 || u.Inodes < 2 || u.Inodes > 3 {
				t.Errorf("usage %+v, %v, want %d bytes", u, err, n)
			}
			if _, err := ProjectUsage(b); err == nil {
				t.Error("usage of a directory without a project")
			}
			must(t, SetProject(b, 8, 0))
			if u, err := ProjectUsage(b); err != nil || u.Bytes > 1<<16 {
				t.Errorf("files that were there before are not in the project: %+v, %v", u, err)
			}
			must(t, os.RemoveAll(a))
			must(t, ClearProject(base, 7))
			must(t, ClearProject(base, 4711))
			mkdirs(t, base, "again")
			must(t, SetProject(filepath.Join(base, "again"), 7, 0))
			must(t, os.WriteFile(filepath.Join(base, "again", "f"), make([]byte, 2*limit), 0o644))
		})
	}
}

func TestFileSystemsWithoutProjectQuotaSaySoAndStayAsTheyAre(t *testing.T) {
	oracle.NeedRoot(t)
	_, ext4 := newImage(t, imageKinds[0])
	for _, dir := range []string{ext4, t.TempDir()} {
		if err := SetProject(dir, 7, 1<<20); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%s: %v", dir, err)
		}
		if id, err := ProjectOf(dir); id != 0 || err != nil {
			t.Errorf("%s: project %d, %v", dir, id, err)
		}
	}
	if err := SetProject(ext4, 0, 0); err == nil {
		t.Error("project 0 was taken")
	}
}
