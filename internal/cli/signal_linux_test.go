package cli

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/laminafs/lamina/internal/oracle"
)

// lamina starts the program in a directory of its own.
func lamina(t *testing.T, dir string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("lamina", args...)
	cmd.Dir = dir
	return cmd
}

// exitOf waits for a program and returns its exit code.
func exitOf(t *testing.T, cmd *exec.Cmd) int {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = cmd.Wait() // the exit code says it
	}()
	select {
	case <-done:
	case <-time.After(time.Minute):
		_ = cmd.Process.Kill()
		t.Fatal("the program does not end")
	}
	return cmd.ProcessState.ExitCode()
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 600 {
		if ok() {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("waited in vain for %s", what)
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func TestInterruptedCommandsLeaveNothing(t *testing.T) {
	for _, args := range [][]string{
		{"build", "-o", "out.erofs", "-"},
		{"build", "-o", "out.erofs", "--tar-index", "--single-file", "-"},
		{"build", "-o", "out.erofs", "--tar-index", "--tar-out", "out.tar", "-"},
		{"merge", "-o", "out.erofs", "-"},
	} {
		for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGKILL} {
			interrupted(t, sig, args)
		}
	}
}

// interrupted gives a command half a layer, then a signal. Its temporary files lie beside its output.
func interrupted(t *testing.T, sig syscall.Signal, args []string) {
	t.Helper()
	dir := t.TempDir()
	cmd := lamina(t, dir, args...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: "file", Size: 10 << 20, Mode: 0o644}); err != nil {
		t.Fatal(err)
	}
	if _, err := in.Write(append(b.Bytes(), make([]byte, 4<<20)...)); err != nil { // returns once it has been read
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
	code := exitOf(t, cmd)
	if sig != syscall.SIGKILL && code != exitSignal+int(sig) {
		t.Errorf("%v: %v: exit code %d: %s", args, sig, code, &stderr)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("%v: %v: left: %v", args, sig, left)
	}
}

// boxImage writes an image layout whose one layer is the program of testdata/box.
func boxImage(t *testing.T) string {
	t.Helper()
	program, err := os.ReadFile(staticProgram(t))
	if err != nil {
		t.Fatal(err)
	}
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	if err := w.WriteHeader(&tar.Header{Name: "bin/box", Size: int64(len(program)), Mode: 0o755}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(program); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "blobs/sha256"), 0o755); err != nil {
		t.Fatal(err)
	}
	add := func(v any) map[string]any {
		b, isBytes := v.([]byte)
		if !isBytes {
			b, _ = json.Marshal(v)
		}
		hex := fmt.Sprintf("%x", sha256.Sum256(b))
		if err := os.WriteFile(filepath.Join(dir, "blobs/sha256", hex), b, 0o644); err != nil {
			t.Fatal(err)
		}
		return map[string]any{"digest": "sha256:" + hex, "size": len(b)}
	}
	blob := add(layer.Bytes())
	blob["mediaType"] = "application/vnd.oci.image.layer.v1.tar"
	config := add(map[string]any{"os": "linux", "architecture": runtime.GOARCH, "config": map[string]any{"Env": []string{"PATH=/bin"}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []any{blob["digest"]}}})
	manifest := add(map[string]any{"schemaVersion": 2, "config": config, "layers": []any{blob}})
	index, _ := json.Marshal(map[string]any{"schemaVersion": 2, "manifests": []any{manifest}})
	if err := os.WriteFile(filepath.Join(dir, "oci-layout"), []byte(`{"imageLayoutVersion":"1.0.0"}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "index.json"), index, 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

// startContainer runs "box caught", which waits for a signal, and returns when it does.
func startContainer(t *testing.T, image, dir string, out *bytes.Buffer) *exec.Cmd {
	t.Helper()
	cmd := lamina(t, dir, "run", "--state", "state", "-v", dir+":/host", "oci:"+image, "box", "caught", "/host/started")
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the container", func() bool { return exists(filepath.Join(dir, "started")) })
	return cmd
}

func nothingIsLeft(t *testing.T, dir string) {
	t.Helper()
	if list, _ := os.ReadDir(filepath.Join(dir, "state/containers")); len(list) != 0 {
		t.Errorf("left: %v", list)
	}
	if table, _ := os.ReadFile("/proc/mounts"); strings.Contains(string(table), dir) {
		t.Errorf("mounts are left:\n%s", table)
	}
	for _, pattern := range []string{"/sys/fs/cgroup/lamina-*", "/sys/fs/cgroup/*/lamina-*"} {
		if left, _ := filepath.Glob(pattern); len(left) > 0 {
			t.Errorf("cgroups are left: %v", left)
		}
	}
}

func TestSignalsReachTheCommand(t *testing.T) {
	oracle.NeedRoot(t)
	oracle.Need(t, "runc")
	image := boxImage(t)
	for sig, said := range map[syscall.Signal]string{syscall.SIGTERM: "caught terminated\n", syscall.SIGINT: "caught interrupt\n"} {
		dir := t.TempDir()
		var out bytes.Buffer
		cmd := startContainer(t, image, dir, &out)
		if err := cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		if code := exitOf(t, cmd); code != 42 || out.String() != said {
			t.Errorf("%v: exit code %d, output %q", sig, code, out.String())
		}
		nothingIsLeft(t, dir)
	}
}

func TestNextRunCleansUpAfterAKilledOne(t *testing.T) {
	oracle.NeedRoot(t)
	oracle.Need(t, "runc")
	image, dir := boxImage(t), t.TempDir()
	var out bytes.Buffer
	cmd := startContainer(t, image, dir, &out)
	lists := func() []os.DirEntry {
		list, err := os.ReadDir(filepath.Join(dir, "state/containers"))
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	id := lists()[0].Name()
	runc := func(args ...string) error {
		return exec.Command("runc", append([]string{"--root", filepath.Join(dir, "state/containers", id, "runtime")}, args...)...).Run()
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_, _ = cmd.Process.Wait()
	again := func() {
		t.Helper()
		if b, err := lamina(t, dir, "run", "--state", "state", "oci:"+image, "box").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, b)
		}
	}
	again() // while the orphan runs it is left alone
	if n := len(lists()); n != 1 {
		t.Fatalf("%d containers while one runs", n)
	}
	if err := runc("kill", id, "KILL"); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the runtime", func() bool { return runc("state", id) != nil })
	waitFor(t, "the lock", func() bool {
		f, err := os.Open(filepath.Join(dir, "state/containers", id, "lock"))
		if err != nil {
			return false
		}
		defer func() { _ = f.Close() }()
		return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil
	})
	again()
	nothingIsLeft(t, dir)
}
