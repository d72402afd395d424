package snapshotter

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"

	"github.com/laminafs/lamina/internal/mount"
	"github.com/laminafs/lamina/internal/oracle"
	"github.com/laminafs/lamina/internal/store"
)

func TestOneMountOnWhatEveryContainerHas(t *testing.T) {
	s := open(t, Config{})
	image := chain(t, s, 3)
	for range 2 {
		m, err := s.Prepare(t.Context(), newKey("container"), image)
		must(t, err)
		if len(m) != 1 || m[0].Type != "overlay" {
			t.Errorf("mounts %v", m)
		}
		dir := mountAt(t, m)
		if read(t, dir, "all") != "2" || read(t, dir, "file0") != "0" {
			t.Error("not the content of the layers")
		}
		write(t, dir, "all", "changed")
	}
	table, err := mount.Table(s.store.Root)
	if err != nil || len(table) != 3 {
		t.Errorf("%d mounts for two containers on three layers, %v", len(table), err)
	}
	must(t, removeAll(t.Context(), s))
}

// TestContainersSharePageCache: what one has read the other has in memory. containerd 2.4.2 with its own
// erofs snapshotter: 1024 pages and none.
func TestContainersSharePageCache(t *testing.T) {
	s := open(t, Config{})
	const size = 4 << 20
	image := commitFiles(t, s, commitFiles(t, s, "", map[string]string{"big": strings.Repeat("page", size/4)}), map[string]string{"x": "x"})
	var dirs []string
	for range 2 {
		m, err := s.Prepare(t.Context(), newKey("container"), image)
		must(t, err)
		dirs = append(dirs, mountAt(t, m))
	}
	must(t, os.WriteFile("/proc/sys/vm/drop_caches", []byte("1"), 0))
	if n := resident(t, filepath.Join(dirs[1], "big")); n > 100 {
		t.Skipf("%d pages stay in memory", n)
	}
	read(t, dirs[0], "big")
	if n := resident(t, filepath.Join(dirs[1], "big")); n != size/os.Getpagesize() {
		t.Errorf("the second container finds %d of %d pages in memory", n, size/os.Getpagesize())
	}
}

// resident counts the pages of a file that are in memory.
func resident(t *testing.T, path string) int {
	t.Helper()
	f, err := os.Open(path)
	must(t, err)
	defer func() { _ = f.Close() }()
	st, err := f.Stat()
	must(t, err)
	b, err := unix.Mmap(int(f.Fd()), 0, int(st.Size()), unix.PROT_READ, unix.MAP_SHARED)
	must(t, err)
	defer func() { must(t, unix.Munmap(b)) }()
	vec := make([]byte, (len(b)+os.Getpagesize()-1)/os.Getpagesize())
	must(t, mincore(b, vec))
	n := 0
	for _, v := range vec {
		n += int(v & 1)
	}
	return n
}

func TestManyLayers(t *testing.T) {
	s := open(t, Config{})
	image := ""
	for i := range mount.MaxLayers + 1 {
		b := publish(t, s, map[string]string{fmt.Sprint("file", i): "x"})
		key, name := newKey("extract-1"), newKey("committed")
		_, err := s.Prepare(t.Context(), key, "", snapshots.WithLabels(map[string]string{snapshots.LabelSnapshotRef: "other"}))
		must(t, err)
		link(t, s, key, b)
		must(t, s.Commit(t.Context(), name, key, snapshots.WithParent(image)))
		if n := i + 1; n == 100 || n == 128 || n == mount.MaxLayers {
			checkLayers(t, s, name, n)
		}
		image = name
	}
	if _, err := s.Prepare(t.Context(), newKey("container"), image); !errdefs.IsInvalidArgument(err) {
		t.Errorf("more layers than overlayfs takes: %v", err)
	}
	must(t, removeAll(t.Context(), s))
	checkEmpty(t, s)
}

func checkLayers(t *testing.T, s *Snapshotter, image string, n int) {
	t.Helper()
	key := newKey("container")
	m, err := s.Prepare(t.Context(), key, image)
	must(t, err)
	if len(m) != 1 {
		t.Errorf("%d layers: %d mounts", n, len(m))
	}
	if again, err := s.Mounts(t.Context(), key); err != nil || fmt.Sprint(again) != fmt.Sprint(m) {
		t.Errorf("%d layers: mounts are %v, %v", n, again, err)
	}
	for _, dir := range []string{mountAt(t, m), view(t, s, image)} {
		entries, err := os.ReadDir(dir)
		if err != nil || len(entries) != n {
			t.Errorf("%d layers: %d files, %v", n, len(entries), err)
		}
	}
}

func TestTheSameLayerTwiceInAnImage(t *testing.T) {
	s := open(t, Config{})
	b := publish(t, s, map[string]string{"f": "twice"})
	image := commitBlob(t, s, commitBlob(t, s, commitBlob(t, s, "", b, nil), publish(t, s, map[string]string{"f": "between"}), nil), b, nil)
	m, err := s.Prepare(t.Context(), newKey("container"), image)
	must(t, err)
	if got := read(t, mountAt(t, m), "f"); got != "twice" {
		t.Errorf("read %q", got)
	}
	only := commitBlob(t, s, commitBlob(t, s, "", b, nil), b, nil)
	if got := read(t, view(t, s, only), "f"); got != "twice" {
		t.Errorf("read %q", got)
	}
}

func TestOwnersAreMapped(t *testing.T) {
	s := open(t, Config{})
	image := commitFiles(t, s, commitFiles(t, s, "", map[string]string{"low": "x"}), map[string]string{"d/f": "x"})
	labels := map[string]string{snapshots.LabelSnapshotUIDMapping: "0:100000:65536", snapshots.LabelSnapshotGIDMapping: "0:200000:65536"}
	key := newKey("container")
	m, err := s.Prepare(t.Context(), key, image, snapshots.WithLabels(labels))
	must(t, err)
	dir := mountAt(t, m)
	for _, name := range []string{".", "low", "d", "d/f"} {
		checkOwner(t, filepath.Join(dir, name), 100000, 200000)
	}
	// As the container sees it, and as it writes.
	cmd := exec.Command("sh", "-c", "stat -c %u:%g d/f low && echo new > d/new && echo more >> low && stat -c %u:%g d/new low")
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER,
		Credential:  &syscall.Credential{},
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: 100000, Size: 65536}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: 200000, Size: 65536}},
	}
	// The directory of the test is root's alone.
	openUp(t, dir)
	out, err := cmd.CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != strings.TrimSpace(strings.Repeat("0:0\n", 4)) {
		t.Errorf("in the user namespace: %s, %v", out, err)
	}
	m, err = s.View(t.Context(), newKey("view"), image, snapshots.WithLabels(labels))
	must(t, err)
	checkOwner(t, filepath.Join(mountAt(t, m), "d/f"), 100000, 200000)

	// A commit has the owners that the container saw.
	unmount(t, dir)
	name := newKey("committed")
	must(t, s.Commit(t.Context(), name, key))
	dir = view(t, s, name)
	for _, name := range []string{".", "low", "d", "d/f", "d/new"} {
		checkOwner(t, filepath.Join(dir, name), 0, 0)
	}
}

func TestOwnersOfASingleLayerAreMapped(t *testing.T) {
	s := open(t, Config{})
	labels := map[string]string{snapshots.LabelSnapshotUIDMapping: "0:100000:65536", snapshots.LabelSnapshotGIDMapping: "0:200000:65536"}
	image := commitFiles(t, s, "", map[string]string{"f": "x"})
	m, err := s.View(t.Context(), newKey("view"), image, snapshots.WithLabels(labels))
	must(t, err)
	checkOwner(t, filepath.Join(mountAt(t, m), "f"), 100000, 200000)
	m, err = s.Prepare(t.Context(), newKey("empty"), "", snapshots.WithLabels(labels))
	must(t, err)
	checkOwner(t, mountAt(t, m), 100000, 200000)
	must(t, removeAll(t.Context(), s))
	checkEmptyAfterUnmount(t, s)
}

// openUp lets everybody search the directories above dir.
func openUp(t *testing.T, dir string) {
	t.Helper()
	for d := filepath.Dir(dir); d != "/" && d != os.TempDir(); d = filepath.Dir(d) {
		must(t, os.Chmod(d, 0o755))
	}
}

func checkOwner(t *testing.T, path string, uid, gid uint32) {
	t.Helper()
	info, err := os.Lstat(path)
	must(t, err)
	if st := info.Sys().(*syscall.Stat_t); st.Uid != uid || st.Gid != gid {
		t.Errorf("%s belongs to %d:%d, want %d:%d", filepath.Base(path), st.Uid, st.Gid, uid, gid)
	}
}

func TestRemoveWhileMounted(t *testing.T) {
	s := open(t, Config{})
	image := commitFiles(t, s, commitFiles(t, s, "", map[string]string{"low": "x"}), map[string]string{"f": "x"})
	key := newKey("container")
	m, err := s.Prepare(t.Context(), key, image)
	must(t, err)
	dir := mountAt(t, m)
	write(t, dir, "g", "x")
	if err := s.Remove(t.Context(), image); !errdefs.IsFailedPrecondition(err) {
		t.Errorf("removed a parent: %v", err)
	}
	must(t, s.Remove(t.Context(), key))
	must(t, s.Cleanup(t.Context()))
	if read(t, dir, "low") != "x" {
		t.Error("who had it mounted cannot read any more")
	}
	if _, err := s.Stat(t.Context(), key); !errdefs.IsNotFound(err) {
		t.Error(err)
	}
	unmount(t, dir)
	must(t, removeAll(t.Context(), s))
	checkEmpty(t, s)
}

func TestCommitOfAContainerOnManyLayers(t *testing.T) {
	s := open(t, Config{})
	image := chain(t, s, 5)
	key := newKey("container")
	m, err := s.Prepare(t.Context(), key, image)
	must(t, err)
	dir := mountAt(t, m)
	must(t, os.Remove(filepath.Join(dir, "file1")))
	write(t, dir, "all", "committed")
	write(t, dir, "d/new", "x")
	must(t, os.Link(filepath.Join(dir, "d/new"), filepath.Join(dir, "link")))
	must(t, unix.Setxattr(filepath.Join(dir, "d"), "user.test", []byte("v"), 0))
	must(t, os.Chmod(dir, 0o777|os.ModeSticky))
	unmount(t, dir)
	name := newKey("committed")
	must(t, s.Commit(t.Context(), name, key))
	dir = view(t, s, name)
	if _, err := os.Stat(filepath.Join(dir, "file1")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("deleted file: %v", err)
	}
	if read(t, dir, "all") != "committed" || read(t, dir, "link") != "x" || read(t, dir, "file0") != "0" {
		t.Error("not what was committed")
	}
	buf := make([]byte, 8)
	if n, err := unix.Getxattr(filepath.Join(dir, "d"), "user.test", buf); err != nil || string(buf[:n]) != "v" {
		t.Errorf("xattr %q, %v", buf[:max(n, 0)], err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o777 || info.Mode()&os.ModeSticky == 0 {
		t.Errorf("mode of the root %v, %v", info.Mode(), err)
	}
	m, err = s.Prepare(t.Context(), newKey("container"), name)
	must(t, err)
	if info, err := os.Stat(mountAt(t, m)); err != nil || info.Mode()&os.ModeSticky == 0 {
		t.Errorf("mode of the root of a container %v, %v", info.Mode(), err)
	}
}

func TestADamagedBlobIsNotFoundUntilItIsPublishedAgain(t *testing.T) {
	s := open(t, Config{})
	b := publish(t, s, map[string]string{"f": "x"})
	image := commitBlob(t, s, "", b, nil)
	whole, err := os.ReadFile(s.store.Path(b))
	must(t, err)
	must(t, s.store.Close())
	must(t, os.Truncate(s.store.Path(b), b.Size-1))
	unmountBelow(t, s.store.Root)
	st := openStore(t, s.store.Root)
	s, err = New(t.Context(), st, Config{})
	must(t, err)
	if _, err := s.Stat(t.Context(), image); !errdefs.IsNotFound(err) {
		t.Errorf("stat of a damaged layer: %v", err)
	}
	if _, err := s.Prepare(t.Context(), newKey("container"), image); !errdefs.IsNotFound(err) {
		t.Errorf("container on a damaged layer: %v", err)
	}
	staged, err := st.Stage(t.Context())
	must(t, err)
	_, err = staged.File().Write(whole)
	must(t, err)
	_, err = staged.Publish(t.Context(), b.Key, "")
	must(t, err)
	if _, err := s.Stat(t.Context(), image); err != nil {
		t.Error(err)
	}
	if got := read(t, view(t, s, image), "f"); got != "x" {
		t.Errorf("read %q", got)
	}
}

func TestManagedMountsAreThoseOfContainerd(t *testing.T) {
	oracle.Need(t, "mkfs.ext4")
	s := open(t, Config{MountMode: "managed"})
	low, high := publish(t, s, map[string]string{"f": "low"}), publish(t, s, map[string]string{"f": "high"})
	one := commitBlob(t, s, "", low, nil)
	two := commitBlob(t, s, one, high, nil)
	erofs := func(b store.Blob) string { return fmt.Sprintf("{erofs %s  [ro loop]}", s.store.Path(b)) }
	for name, c := range map[string]struct {
		view   bool
		parent string
		labels map[string]string
		want   string
	}{
		"empty":          {want: "[{bind ID/fs  [rw rbind]}]"},
		"view of one":    {view: true, parent: one, want: "[" + erofs(low) + "]"},
		"view of two":    {view: true, parent: two, want: "[" + erofs(high) + " " + erofs(low) + " {format/mkdir/overlay overlay  [lowerdir={{ overlay 0 1 }}]}]"},
		"one layer":      {parent: one, want: "[" + erofs(low) + " {format/mkdir/overlay overlay  [workdir=ID/work upperdir=ID/fs lowerdir={{ mount 0 }}]}]"},
		"quota":          {parent: one, labels: map[string]string{snapshots.LabelSnapshotMaxSize: "33554432"}, want: "[{ext4 ID/rw.img  [rw loop]} " + erofs(low) + " {format/mkdir/overlay overlay  [X-containerd.mkdir.path={{ mount 0 }}/fs:0755 X-containerd.mkdir.path={{ mount 0 }}/work:0755 workdir={{ mount 0 }}/work upperdir={{ mount 0 }}/fs lowerdir={{ mount 1 }}]}]"},
		"host, by label": {view: true, parent: one, labels: map[string]string{LabelMode: "host"}, want: "[{bind ROOT/m/1  [ro rbind]}]"},
	} {
		do := s.Prepare
		if c.view {
			do = s.View
		}
		key := newKey("container")
		m, err := do(t.Context(), key, c.parent, snapshots.WithLabels(c.labels))
		must(t, err)
		id, _ := store.SnapshotID(s.store.Root, m)
		want := strings.NewReplacer("ID/", s.store.Snapshot(id)+"/", "ROOT/", s.store.Root+"/", "/m/1 ", fmt.Sprintf("/m/%d ", low.N)).Replace(c.want)
		if got := fmt.Sprint(m); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, want)
		}
	}
}

// TestCommitOfAManagedImageHasAllOfIt: the file system of the image ends some time after the umount of the
// overlay on it.
func TestCommitOfAManagedImageHasAllOfIt(t *testing.T) {
	oracle.Need(t, "mkfs.ext4")
	s := open(t, Config{MountMode: "managed", DefaultSize: "16MiB"})
	image := commitBlob(t, s, "", publish(t, s, map[string]string{"f": "x"}), nil)
	for i := range 10 {
		key, name := newKey("container"), newKey("committed")
		m, err := s.Prepare(t.Context(), key, image)
		must(t, err)
		rw, lower, dir := mountAt(t, m[:1]), mountAt(t, m[1:2]), t.TempDir()
		for _, d := range []string{"fs", "work"} {
			must(t, os.MkdirAll(filepath.Join(rw, d), 0o755))
		}
		must(t, mount.Overlay(dir, mount.OverlayOptions{Lowers: []string{lower}, Upper: filepath.Join(rw, "fs"), Work: filepath.Join(rw, "work")}))
		write(t, dir, "g", fmt.Sprint(i))
		for _, d := range []string{dir, rw, lower} {
			unmount(t, d)
		}
		must(t, s.Commit(t.Context(), name, key))
		m, err = s.View(t.Context(), newKey("view"), name, snapshots.WithLabels(map[string]string{LabelMode: "host"}))
		must(t, err)
		if got := read(t, mountAt(t, m), "g"); got != fmt.Sprint(i) {
			t.Errorf("committed %q, not %d", got, i)
		}
	}
}
