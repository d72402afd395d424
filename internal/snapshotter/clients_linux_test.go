package snapshotter

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	cmount "github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/errdefs"

	"github.com/laminafs/lamina/internal/mount"
	"github.com/laminafs/lamina/internal/oracle"
	"github.com/laminafs/lamina/internal/store"
)

// client does what a busy client does: unpacks, commits, runs and removes, on names of its own and on a
// layer that all clients share.
func client(ctx context.Context, s *Snapshotter, name string, shared store.Blob, rounds int) error {
	for i := range rounds {
		key := fmt.Sprintf("%s/%d/", name, i)
		if _, err := s.Prepare(ctx, key+"unpack", "", snapshots.WithLabels(unpackLabels("", shared.Digest))); !errdefs.IsAlreadyExists(err) {
			return fmt.Errorf("layer that is there: %w", err)
		}
		m, err := s.Prepare(ctx, key+"base", "")
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(m[0].Source, "f"), []byte(key), 0o644); err != nil {
			return err
		}
		if err := s.Commit(ctx, key+"image", key+"base"); err != nil {
			return err
		}
		if m, err = s.Prepare(ctx, key+"container", key+"image"); err != nil {
			return err
		}
		for _, o := range m[0].Options {
			if dir, ok := strings.CutPrefix(o, "lowerdir="); ok {
				if b, err := os.ReadFile(filepath.Join(dir, "f")); err != nil || string(b) != key {
					return fmt.Errorf("read %q, %w", b, err)
				}
			}
		}
		if _, err := s.Usage(ctx, key+"container"); err != nil {
			return err
		}
		for _, k := range []string{"container", "image"} {
			if err := s.Remove(ctx, key+k); err != nil {
				return err
			}
		}
		if i%4 == 3 {
			if err := s.Cleanup(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// keep makes a committed snapshot of a layer, so that it stays.
func keep(t testing.TB, s *Snapshotter) store.Blob {
	t.Helper()
	b := publish(t, s, map[string]string{"f": "shared"})
	commitBlob(t, s, "", b, nil)
	return b
}

func TestManyClients(t *testing.T) {
	s := open(t, Config{})
	shared := keep(t, s)
	const clients = 200
	errs := make(chan error, clients)
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			if err := client(t.Context(), s, fmt.Sprint("client", i), shared, 1); err != nil {
				errs <- err
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		t.Error(err)
	}
	must(t, removeAll(t.Context(), s))
	checkEmpty(t, s)
}

// The environment of a test binary that is a process of a test.
const (
	processEnv = "LAMINA_TEST_PROCESS" // what it does
	rootEnv    = "LAMINA_TEST_ROOT"    // of the store
)

// TestMain lets the test binary be a second process on a store.
func TestMain(m *testing.M) {
	do := map[string]func(*Snapshotter) error{"client": processClient, "hold": processHold}[os.Getenv(processEnv)]
	if do == nil {
		os.Exit(m.Run())
	}
	if err := process(do); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func process(do func(*Snapshotter) error) error {
	ctx := context.Background()
	st, err := store.Open(ctx, store.Config{Root: os.Getenv(rootEnv)})
	if err != nil {
		return err
	}
	s, err := New(ctx, st, Config{})
	if err != nil {
		return err
	}
	return errors.Join(do(s), st.Close())
}

func startProcess(t *testing.T, what, root string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	must(t, err)
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), processEnv+"="+what, rootEnv+"="+root)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

func processClient(s *Snapshotter) error {
	var shared store.Blob
	err := s.store.View(context.Background(), func(_ context.Context, tx *store.Tx) error {
		for b, err := range tx.Blobs() {
			shared = b
			return err
		}
		return nil
	})
	if err != nil {
		return err
	}
	return client(context.Background(), s, fmt.Sprint("process", os.Getpid()), shared, 8)
}

func TestTwoProcessesOnOneStore(t *testing.T) {
	s := open(t, Config{})
	shared := keep(t, s)
	var all []*exec.Cmd
	for range 2 {
		cmd := startProcess(t, "client", s.store.Root)
		must(t, cmd.Start())
		all = append(all, cmd)
	}
	if err := client(t.Context(), s, "here", shared, 8); err != nil {
		t.Error(err)
	}
	for _, cmd := range all {
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
	must(t, removeAll(t.Context(), s))
	checkEmpty(t, s)
}

// processHold makes a container, tells where it is mounted, and waits.
func processHold(s *Snapshotter) error {
	ctx := context.Background()
	m, err := s.Prepare(ctx, "held", "image")
	if err != nil {
		return err
	}
	target := filepath.Join(filepath.Dir(s.store.Root), "target")
	if err := cmount.All(m, target); err != nil {
		return err
	}
	fmt.Println("mounted")
	select {}
}

func TestContainersRunOnWhenTheProcessIsKilled(t *testing.T) {
	s := open(t, Config{})
	low := commitFiles(t, s, "", map[string]string{"low": "x"})
	key := newKey("active")
	m, err := s.Prepare(t.Context(), key, low)
	must(t, err)
	dir := mountAt(t, m)
	write(t, dir, "f", "x")
	unmount(t, dir)
	must(t, s.Commit(t.Context(), "image", key))
	must(t, s.store.Close())

	target := filepath.Join(filepath.Dir(s.store.Root), "target")
	must(t, os.Mkdir(target, 0o755))
	cmd := startProcess(t, "hold", s.store.Root)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "mounted\n" {
		t.Fatalf("%q, %v", line, err)
	}
	defer func() { _ = mount.Umount(target, true) }()
	must(t, cmd.Process.Kill())
	_ = cmd.Wait()

	write(t, target, "after", "x")
	s, err = New(t.Context(), openStore(t, s.store.Root), Config{})
	must(t, err)
	must(t, s.Cleanup(t.Context()))
	if read(t, target, "low") != "x" || read(t, target, "after") != "x" {
		t.Error("the container has noticed")
	}
	m, err = s.Mounts(t.Context(), "held")
	must(t, err)
	if dir := mountAt(t, m); read(t, dir, "after") != "x" || read(t, dir, "f") != "x" {
		t.Error("not the same container")
	}
}

func TestACommitThatFailsChangesNothing(t *testing.T) {
	s := open(t, Config{})
	key := newKey("active")
	m, err := s.Prepare(t.Context(), key, "")
	must(t, err)
	write(t, m[0].Source, "f", "first")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Commit(ctx, newKey("committed"), key); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	taken := commitFiles(t, s, "", map[string]string{"f": "other"})
	if err := s.Commit(t.Context(), taken, key); !errdefs.IsAlreadyExists(err) {
		t.Errorf("name that is taken: %v", err)
	}
	if err := s.Commit(t.Context(), newKey("committed"), key, snapshots.WithParent("nobody")); !errdefs.IsNotFound(err) {
		t.Errorf("parent that is missing: %v", err)
	}
	// The blob of the last one was linked already; what is written now counts.
	write(t, m[0].Source, "f", "second")
	name := newKey("committed")
	must(t, s.Commit(t.Context(), name, key))
	if got := read(t, view(t, s, name), "f"); got != "second" {
		t.Errorf("committed %q", got)
	}
}

func TestProjectQuotaIsRefusedWhereThereIsNone(t *testing.T) {
	oracle.NeedRoot(t)
	st := openStore(t, filepath.Join(t.TempDir(), "s"))
	_, err := New(t.Context(), st, Config{Quota: "project"})
	if err != nil && (!errdefs.IsFailedPrecondition(err) || !strings.Contains(err.Error(), "prjquota")) {
		t.Error(err)
	}
}
