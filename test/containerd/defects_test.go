//go:build linux

package containerd

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/laminafs/lamina/test/containerd/harness"
)

// What stock containerd's erofs snapshotter gets wrong (2.4.2): run these with LAMINA_PEER=erofs to see it.

// A file that a layer deletes stays deleted when layers are unpacked at the same time by containerd's own differ, which
// walks the mounted snapshot.
func TestWhiteoutsSurviveParallelUnpackByTheWalkingDiffer(t *testing.T) {
	eachVersion(t, func(t *testing.T, version string) {
		s := start(t, version, func(o *options) { o.containerd.Differ = "walking" })
		img := tenLayers(t)
		ref := s.push("ten", img)
		s.pull(ref)
		s.mounted(ref, func(dir string) { same(t, "the image", walked(t, dir), modelled(t, img.Tars()...)) })
		s.removeAllImages()
	})
}

// What one container has read is in memory for the next one: they share the mount, and so the pages.
func TestContainersShareThePageCache(t *testing.T) {
	s := start(t, current)
	ref := s.push("small", small(t, 3))
	s.pull(ref)
	s.background(ref, "first", "cat /srv/big >/dev/null")
	s.background(ref, "second", "true")
	for _, id := range []string{"first", "second"} {
		in, all := cached(t, filepath.Join("/proc", s.pid(id), "root", harness.BigFile))
		t.Logf("%s: %d of %d pages in memory", id, in, all)
		if in != all || all != harness.BigSize/os.Getpagesize() {
			t.Errorf("container %s: %d of %d pages in memory after the first one has read the file", id, in, all)
		}
	}
	s.remove("first")
	s.remove("second")
	s.removeAllImages()
}

// cached counts the pages of a file that are in memory.
func cached(t testing.TB, path string) (in, all int) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m, err := unix.Mmap(int(f.Fd()), 0, harness.BigSize, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Munmap(m) }() // the test ends
	vec := make([]byte, harness.BigSize/os.Getpagesize())
	_, _, errno := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(&m[0])), uintptr(len(m)), uintptr(unsafe.Pointer(&vec[0])))
	if errno != 0 {
		t.Fatal(errno)
	}
	for _, v := range vec {
		in += int(v & 1)
	}
	return in, len(vec)
}

// However many layers the image has, another container costs one mount.
func TestAContainerCostsOneMount(t *testing.T) {
	s := start(t, current)
	ref := s.push("small", small(t, 20))
	s.pull(ref)
	s.background(ref, "first", "true")
	before := harness.Mounts(s.bench.Dir)
	s.background(ref, "second", "true")
	after := harness.Mounts(s.bench.Dir)
	if len(after) != len(before)+1 {
		t.Errorf("%d mounts, then %d:\n%s", len(before), len(after), strings.Join(after, "\n"))
	}
	s.remove("first")
	s.remove("second")
	s.removeAllImages()
}

// 128 layers, which is more than the options of one mount(2) hold, run and are committed.
func TestImageOfManyLayers(t *testing.T) {
	eachVersion(t, func(t *testing.T, version string) {
		s := start(t, version)
		const n = 128
		ref := s.push("many", small(t, n))
		s.pull(ref)
		script := fmt.Sprintf("cat /n/last; ls /n | wc -l; echo more >/n/last; cat /n/last; test -e /n/%03d", n-1)
		if out, want := s.run(ref, "runs", "sh", "-c", script), fmt.Sprintf("%d%d\nmore\n", n-1, n); out != want {
			t.Errorf("it printed %q, not %q", out, want)
		}
		s.background(ref, "first", "echo changed >/n/last; rm /n/005")
		committed := s.commit(ref, "first", strings.Replace(ref, ":v1", ":v2", 1))
		if out := s.run(committed, "second", "sh", "-c", "cat /n/last; test ! -e /n/005 && echo gone"); out != "changed\ngone\n" {
			t.Errorf("the committed image printed %q", out)
		}
		s.mounted(committed, func(dir string) {
			if _, err := os.Stat(filepath.Join(dir, "n/006")); err != nil {
				t.Error(err)
			}
		})
		s.remove("first")
		s.removeAllImages()
	})
}

// A limit of a container's changes holds for it alone, and Usage tells what it has written.
func TestQuotaEndsInTheContainerAndUsageIsRight(t *testing.T) {
	for _, c := range []struct{ name, options, label string }{
		{name: "default_size", options: `default_size = "64M"`},
		{name: "max-size", label: fmt.Sprintf("containerd.io/snapshot/max-size=%d", 64<<20)},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := start(t, current, func(o *options) {
				o.lamina.Options = c.options
				if peer == "erofs" && c.options != "" {
					o.containerd.Config = "[plugins.\"io.containerd.snapshotter.v1.erofs\"]\n  " + c.options + "\n"
				}
			})
			ref := s.push("small", small(t, 3))
			s.pull(ref)
			s.quota(ref, c.label)
			s.removeAllImages()
		})
	}
}

func (s *setup) quota(ref, label string) {
	s.Helper()
	args := []string{"run", "-d", "--snapshotter", s.name}
	if label != "" {
		args = append(args, "--snapshotter-label", label)
	}
	const script = `dd if=/dev/zero of=/srv/ten bs=1M count=10 && touch /ready
	while [ ! -e /go ]; do sleep 0.05; done; dd if=/dev/zero of=/srv/more bs=1M count=100 2>/srv/error; touch /done; sleep 100000`
	for _, id := range []string{"full", "other"} {
		s.ctr(append(args, ref, id, "sh", "-c", script)...)
		s.eventually("ten MiB are written", func() error { return s.exec(id, "test -e /ready") })
	}
	used := s.usage("full")
	if used < 10<<20 || used > 12<<20 {
		s.Errorf("usage is %d bytes after 10 MiB", used)
	}
	if err := s.exec("full", "touch /go"); err != nil {
		s.Fatal(err)
	}
	s.eventually("the disk of the container is full", func() error {
		return s.exec("full", "grep 'No space left' /srv/error || { cat /srv/error >&2; exit 1; }")
	})
	if used := s.usage("full"); used < 40<<20 || used > 66<<20 {
		s.Errorf("usage is %d bytes when 64 MiB are full", used)
	}
	if err := s.exec("other", "dd if=/dev/zero of=/srv/twenty bs=1M count=20"); err != nil {
		s.Errorf("another container: %v", err)
	}
	s.remove("full")
	s.remove("other")
}

// exec runs a shell script in a running container.
func (s *setup) exec(id, script string) error {
	s.Helper()
	name := fmt.Sprint("x", unique())
	out, err := s.containerd.Ctr(s.ctx, "tasks", "exec", "--exec-id", name, id, "sh", "-c", script)
	if err != nil {
		return errors.Join(err, errors.New(out))
	}
	return nil
}

var counter atomic.Int64

// unique numbers what needs a name.
func unique() int64 { return counter.Add(1) }

// usage is the size that the snapshotter tells for a container's snapshot.
func (s *setup) usage(id string) int64 {
	s.Helper()
	c, ctx := s.client()
	return must(c.SnapshotService(s.name).Usage(ctx, id))(s).Size
}

// Users of another user namespace own their files.
func TestUserNamespaceOfAContainer(t *testing.T) {
	s := start(t, current)
	ref := s.push("small", small(t, 3))
	s.pull(ref)
	out := s.ctr("run", "--rm", "--snapshotter", s.name, "--uidmap", "0:100000:65536", "--gidmap", "0:100000:65536", "--remap-labels",
		ref, "mapped", "sh", "-c", "stat -c %u:%g /n/last /srv/big; echo x >/n/new; stat -c %u /n/new; cat /proc/self/uid_map | tr -s ' '")
	if want := "0:0\n0:0\n0\n 0 100000 65536\n"; out != want {
		t.Errorf("it printed %q, not %q", out, want)
	}
	s.removeAllImages()
}
