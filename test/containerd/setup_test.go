//go:build linux

// Package containerd runs stock containerd with Lamina plugged in, on this machine, and looks at what a user of it sees.
package containerd

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/laminafs/lamina/internal/oracle"
	"github.com/laminafs/lamina/test/containerd/harness"
)

// versions of containerd to test, from LAMINA_CONTAINERD: the current one if that is empty.
func versions() []string {
	if v := os.Getenv("LAMINA_CONTAINERD"); v != "" {
		return strings.Split(v, ",")
	}
	return []string{current}
}

const current = "2.4.2"

// work is a directory for what all tests share: our binary and the layers of images. TestMain makes and removes it.
var work string

func TestMain(m *testing.M) {
	flag.Parse()
	var err error
	if work, err = os.MkdirTemp("", "lw"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if err := os.RemoveAll(work); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// buildLamina builds the program as it is now; LAMINA_RACE=1 builds it with the race detector. LAMINA is a program to take
// instead.
var buildLamina = sync.OnceValues(func() (string, error) {
	if program := os.Getenv("LAMINA"); program != "" {
		return filepath.Abs(program)
	}
	out := filepath.Join(work, "lamina")
	args := []string{"build", "-o", out}
	if os.Getenv("LAMINA_RACE") != "" {
		args = append(args, "-race")
	}
	b, err := exec.Command("go", append(args, "github.com/laminafs/lamina/cmd/lamina")...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, b)
	}
	return out, nil
})

// setup is everything that one test runs on.
type setup struct {
	testing.TB
	ctx        context.Context
	bench      *harness.Bench
	lamina     *harness.Lamina
	containerd *harness.Containerd
	registry   *harness.Registry
	name       string // of the snapshotter as containerd knows it
}

type options struct {
	lamina     harness.LaminaConfig
	containerd harness.ContainerdConfig
}

// peer is a snapshotter of containerd to run the tests on instead of ours, from LAMINA_PEER: erofs or overlayfs. What
// fails then is what ours is better at.
var peer = os.Getenv("LAMINA_PEER")

// start starts a registry, our daemon and containerd; after the test all is stopped, and what is left is a failure.
func start(t testing.TB, version string, change ...func(*options)) *setup {
	t.Helper()
	s := newSetup(t)
	var o options
	o.containerd = harness.ContainerdConfig{Version: version, Unpacks: 4}
	for _, fn := range change {
		fn(&o)
	}
	if _, err := os.Stat(filepath.Join(s.bench.Tools.Containerd(version), "containerd")); err != nil {
		oracle.Missing(t, "containerd "+version+" (make containerd)")
	}
	if o.containerd.Root == "" {
		o.containerd.Root = s.bench.Path("c-root")
	}
	if peer != "" {
		s.name = peer
		o.containerd.Erofs = peer == "erofs"
		o.containerd.Path = []string{filepath.Join(s.bench.Tools.Cache, "judges/bin")} // mkfs.erofs
		if o.containerd.Differ != "" {
			o.containerd.ErofsDiffer = o.containerd.Differ
		}
	} else {
		o.lamina.Containerd = o.containerd.Root
		s.lamina = must(s.bench.StartLamina(s.ctx, o.lamina))(t)
		o.containerd.Lamina, o.containerd.Exports = s.lamina.Socket, s.lamina.Config.Root
	}
	s.containerd = must(s.bench.StartContainerd(s.ctx, o.containerd))(t)
	return s
}

// startOurs is start for tests that look into our store or at our daemon.
func startOurs(t testing.TB, version string, change ...func(*options)) *setup {
	t.Helper()
	if peer != "" {
		t.Skip("a test of our daemon")
	}
	return start(t, version, change...)
}

// newSetup makes the directory and starts the registry.
func newSetup(t testing.TB) *setup {
	t.Helper()
	oracle.NeedRoot(t)
	oracle.Need(t, "runc")
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	t.Cleanup(cancel)
	tools := harness.FindTools(oracle.Root(t), must(buildLamina())(t))
	if _, err := os.Stat(tools.Registry); err != nil {
		oracle.Missing(t, "the registry (make containerd)")
	}
	b := must(harness.NewBench("", tools))(t)
	s := &setup{TB: t, ctx: ctx, bench: b, name: "lamina"}
	t.Cleanup(func() {
		if t.Failed() {
			s.logs()
		}
		if err := b.Close(); err != nil {
			t.Errorf("clean-up: %v", err)
		}
	})
	s.registry = must(b.StartRegistry(ctx, b.Path("registry")))(t)
	return s
}

func (s *setup) logs() {
	s.Helper()
	if s.containerd != nil {
		s.Logf("containerd:\n%s", s.containerd.Tail())
	}
	if s.lamina != nil {
		s.Logf("lamina serve:\n%s", s.lamina.Tail())
	}
}

// must ends the test on an error.
func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// ctr runs ctr; an error ends the test.
func (s *setup) ctr(args ...string) string {
	s.Helper()
	out, err := s.containerd.Ctr(s.ctx, args...)
	if err != nil {
		s.Fatalf("ctr: %v\n%s", err, out)
	}
	return out
}

func (s *setup) pull(ref string) {
	s.Helper()
	s.ctr("images", "pull", "--plain-http", "--snapshotter", s.name, ref)
}

// run runs a command in a new container that is removed when it ends, and returns its output.
func (s *setup) run(ref, id string, argv ...string) string {
	s.Helper()
	return s.ctr(append([]string{"run", "--rm", "--snapshotter", s.name, ref, id}, argv...)...)
}

// background starts a container and waits until it has written the file /ready.
func (s *setup) background(ref, id, script string) {
	s.Helper()
	s.ctr("run", "-d", "--snapshotter", s.name, ref, id, "sh", "-c", script+"; touch /ready; exec sleep 100000")
	s.eventually("container "+id+" is ready", func() error {
		_, err := s.containerd.Ctr(s.ctx, "tasks", "exec", "--exec-id", "ready", id, "busybox", "test", "-e", "/ready")
		return err
	})
}

// remove ends a container and removes it.
func (s *setup) remove(id string) {
	s.Helper()
	_, _ = s.containerd.Ctr(s.ctx, "tasks", "kill", "-s", "KILL", id) // it may have ended
	s.eventually("task "+id+" is gone", func() error {
		out, err := s.containerd.Ctr(s.ctx, "tasks", "rm", "-f", id)
		if err != nil && strings.Contains(err.Error()+out, "not found") {
			return nil
		}
		return err
	})
	s.ctr("containers", "rm", id)
}

// eventually repeats a check for 15 s.
func (s *setup) eventually(what string, fn func() error) {
	s.Helper()
	var err error
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if err = fn(); err == nil {
			return
		}
	}
	s.Fatalf("%s: %v", what, err)
}

// reconnected waits until containerd reaches the snapshotter again. If it asked while no daemon listened, and no socket of
// systemd held its request, its gRPC client refuses for up to three seconds more.
func (s *setup) reconnected() {
	s.Helper()
	s.eventually("containerd reaches "+s.name, func() error {
		_, err := s.containerd.Ctr(s.ctx, "snapshots", "--snapshotter", s.name, "ls")
		return err
	})
}

// pid is the first process of a container.
func (s *setup) pid(id string) string {
	s.Helper()
	for l := range strings.Lines(s.ctr("tasks", "ls")) {
		if f := strings.Fields(l); len(f) > 1 && f[0] == id {
			return f[1]
		}
	}
	s.Fatalf("no task %s", id)
	return ""
}

// mounted mounts an image with ctr, calls fn with the directory and unmounts.
func (s *setup) mounted(ref string, fn func(dir string)) {
	s.Helper()
	dir := s.bench.Path("image-mount")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		s.Fatal(err)
	}
	s.ctr("images", "mount", "--snapshotter", s.name, ref, dir)
	defer s.ctr("images", "unmount", "--rm", "--snapshotter", s.name, dir)
	fn(dir)
}

// removeAllImages removes the images, waits for containerd's garbage collection and wants nothing to be left of them.
func (s *setup) removeAllImages() {
	s.Helper()
	for _, id := range strings.Fields(s.ctr("leases", "ls", "-q")) { // of commits: they would expire
		s.ctr("leases", "rm", id)
	}
	for _, ref := range strings.Fields(s.ctr("images", "ls", "-q")) {
		s.ctr("images", "rm", "--sync", ref)
	}
	s.eventually("nothing is left", func() error {
		if left := s.ctr("snapshots", "--snapshotter", s.name, "ls"); strings.Count(left, "\n") > 1 {
			return errors.New(left)
		}
		if left := s.ctr("content", "ls", "-q"); left != "" {
			return errors.New("content " + left)
		}
		if s.lamina == nil {
			return nil
		}
		if left := harness.StoreLeftovers(s.lamina.Config.Root); len(left) > 0 {
			return errors.New(strings.Join(left, "\n"))
		}
		return nil
	})
}

var made struct {
	sync.Mutex
	images map[string]*harness.Image
}

// image returns an image that make makes below its own directory, once per process.
func image(t testing.TB, name string, make func(ctx context.Context, cache, dir string) (*harness.Image, error)) *harness.Image {
	t.Helper()
	made.Lock()
	defer made.Unlock()
	if i := made.images[name]; i != nil {
		return i
	}
	dir := filepath.Join(work, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	i := must(make(context.Background(), filepath.Join(oracle.Root(t), ".cache/debs"), dir))(t)
	if made.images == nil {
		made.images = map[string]*harness.Image{}
	}
	made.images[name] = i
	return i
}

func tenLayers(t testing.TB) *harness.Image { t.Helper(); return image(t, "ten", harness.TenLayers) }

func small(t testing.TB, n int) *harness.Image {
	t.Helper()
	return image(t, fmt.Sprint("small", n), func(ctx context.Context, cache, dir string) (*harness.Image, error) {
		return harness.SmallImage(ctx, cache, dir, n)
	})
}

// push puts an image into the registry.
func (s *setup) push(name string, i *harness.Image) string {
	s.Helper()
	return must(s.registry.Push(s.ctx, "test/"+name, "v1", i))(s)
}

// eachVersion runs a test against every version of containerd that is asked for.
func eachVersion(t *testing.T, fn func(t *testing.T, version string)) {
	for _, v := range versions() {
		t.Run(v, func(t *testing.T) { fn(t, v) })
	}
}
