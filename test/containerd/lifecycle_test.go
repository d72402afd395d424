//go:build linux

package containerd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/laminafs/lamina/test/containerd/harness"
)

// changes is what the container of the lifecycle does to its root file system: every kind of change that a layer has.
const changes = `set -e
echo written >/srv/new; echo more >>/data/kept/09; rm /data/kept/10; rm -r /data/opaque; mkdir /data/opaque
echo again >/data/opaque/again; ln /srv/new /srv/linked; ln -s new /srv/symlink; mkfifo /srv/fifo; chmod 600 /data/kept/11
chown 12:13 /data/kept/12; mv /data/kept/13 /data/kept/moved; dd if=/dev/urandom of=/srv/random bs=64k count=3 2>/dev/null`

func TestLifecycle(t *testing.T) {
	eachVersion(t, func(t *testing.T, version string) {
		s := start(t, version)
		img := tenLayers(t)
		ref := s.push("ten", img)
		s.pull(ref)
		want := modelled(t, img.Tars()...)
		s.mounted(ref, func(dir string) { same(t, "the pulled image", walked(t, dir), want) })

		s.background(ref, "first", changes)
		committed := s.commit(ref, "first", strings.Replace(ref, ":v1", ":v2", 1))
		out := s.run(committed, "second", "sh", "-c", "cat /srv/new /data/opaque/again; test ! -e /data/kept/10; cat /data/kept/moved | wc -c")
		if want := "written\nagain\n9100\n"; out != want {
			t.Errorf("the committed image printed %q, not %q", out, want)
		}
		seen := walked(t, filepath.Join("/proc", s.pid("first"), "root/srv"))
		s.ctr("images", "push", "--plain-http", committed)
		s.remove("first")
		s.removeAllImages()

		s.pull(committed) // what was pushed, by anyone who pulls it
		s.mounted(committed, func(dir string) {
			same(t, "/srv of the pushed image", walked(t, filepath.Join(dir, "srv")).seconds(), seen.seconds())
			same(t, "/data/opaque", names(t, filepath.Join(dir, "data/opaque")), listing{"again": nil})
		})
		s.removeAllImages()
	})
}

// names lists a directory.
func names(t testing.TB, dir string) listing {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	l := listing{}
	for _, e := range entries {
		l[e.Name()] = nil
	}
	return l
}

// Containers keep their files open and mounted while the daemon and containerd restart.
func TestContainersSurviveARestartOfEveryDaemon(t *testing.T) {
	eachVersion(t, func(t *testing.T, version string) {
		s := startOurs(t, version)
		ref := s.push("small", small(t, 4))
		s.pull(ref)
		s.background(ref, "runs", "echo mine >/mine")
		for name, restart := range map[string]func() error{
			"SIGTERM of lamina": func() error {
				if err := s.lamina.Stop(); err != nil {
					return err
				}
				return s.lamina.Start(s.ctx)
			},
			"SIGKILL of lamina": func() error { s.lamina.Kill(); return s.lamina.Start(s.ctx) },
			"containerd":        func() error { return s.containerd.Restart(s.ctx, false) },
		} {
			if err := restart(); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			out := s.ctr("tasks", "exec", "--exec-id", "x", "runs", "sh", "-c", "cat /mine /n/last")
			if out != "mine\n3" {
				t.Errorf("after %s the container reads %q", name, out)
			}
			s.reconnected()
			if out := s.run(ref, "another", "busybox", "cat", "/n/last"); out != "3" {
				t.Errorf("after %s a new container reads %q", name, out)
			}
		}
		s.remove("runs")
		s.removeAllImages()
	})
}

// A second image on the same layers downloads nothing, converts nothing and mounts nothing new.
func TestLayersInTheStoreAreNotFetchedAgain(t *testing.T) {
	eachVersion(t, func(t *testing.T, version string) {
		s := startOurs(t, version)
		img := small(t, 4)
		s.pull(s.push("one", img))
		blobs := blobFiles(s)
		more := *img
		extra := filepath.Join(t.TempDir(), "extra.tar")
		if err := harness.WriteLayer(extra, harness.Entry{Name: "extra", Data: "x"}); err != nil {
			t.Fatal(err)
		}
		layer := must(harness.NewLayer(t.TempDir(), extra, "gzip"))(t)
		two := must(harness.NewImage(append(more.Layers[:len(more.Layers):len(more.Layers)], layer), harness.TestConfig()))(t)
		s.pull(s.push("two", two))
		if after := blobFiles(s); len(after) != len(blobs)+1 {
			t.Errorf("%d blobs, then %d: %v", len(blobs), len(after), after)
		}
		s.removeAllImages()
	})
}

// blobFiles lists the blobs of the store.
func blobFiles(s *setup) []string {
	return harness.Files(filepath.Join(s.lamina.Config.Root, "blobs"), nil)
}
