package e2e

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// refused wants `lamina build` to fail on the layer in every mode: one line that names the layer's place
// and why, nothing left behind, an exit code other than 0.
func refused(t testing.TB, layer string) {
	t.Helper()
	for _, mode := range [][]string{nil, {"--tar-index"}} {
		dir := t.TempDir()
		args := append(append([]string{"build"}, mode...), "-o", filepath.Join(dir, "out.erofs"), layer)
		failed(t, dir, args...)
	}
}

// failed runs lamina, which must fail and leave dir empty.
func failed(t testing.TB, dir string, args ...string) {
	t.Helper()
	cmd := exec.Command(program(t), args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() < 1 {
		t.Errorf("lamina %s: %v, want a failure", strings.Join(args, " "), err)
	}
	line := stderr.String()
	if strings.Count(line, "\n") != 1 || len(line) > 1000 || strings.Contains(line, "panic") || strings.Contains(line, "failed to") {
		t.Errorf("lamina %s: stderr is no single line: %q", strings.Join(args, " "), line)
	}
	if stdout.Len() > 0 {
		t.Errorf("lamina %s: stdout %q", strings.Join(args, " "), stdout.Bytes())
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("lamina %s: left %v behind (%v)", strings.Join(args, " "), left, err)
	}
}

func TestFailingBuildLeavesNothingAndSaysWhyInOneLine(t *testing.T) {
	tar, err := os.ReadFile(filepath.Join(corpus(t), "cases", "sizes.tar"))
	if err != nil {
		t.Fatal(err)
	}
	gz, err := os.ReadFile(filepath.Join(corpus(t), "small-base.tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	zst, err := os.ReadFile(filepath.Join(corpus(t), "small-base.tar.zst"))
	if err != nil {
		t.Fatal(err)
	}
	flip := func(b []byte, at int) []byte {
		c := bytes.Clone(b)
		c[at] ^= 0x10
		return c
	}
	for name, layer := range map[string][]byte{
		"tar cut in a file":     tar[:len(tar)-3000],
		"tar cut in a header":   tar[:700],
		"gzip cut":              gz[:len(gz)/2],
		"gzip without its sum":  gz[:len(gz)-4],
		"gzip with a bad sum":   flip(gz, len(gz)-6),
		"gzip broken":           flip(gz, len(gz)/3),
		"zstd cut":              zst[:len(zst)/2],
		"zstd broken":           flip(zst, len(zst)/3),
		"no tar at all":         bytes.Repeat([]byte("not a tar"), 1000),
		"zstd magic, then junk": append([]byte{0x28, 0xb5, 0x2f, 0xfd}, bytes.Repeat([]byte{0xff}, 4000)...),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "layer")
			if err := os.WriteFile(path, layer, 0o644); err != nil {
				t.Fatal(err)
			}
			refused(t, path)
		})
	}
	dir := t.TempDir()
	failed(t, dir, "build", "-o", filepath.Join(dir, "x"), "/nonexistent/layer.tar")
	failed(t, dir, "build", "-o", filepath.Join(dir, "no/such/dir/x"), filepath.Join(corpus(t), "torture.tar"))
}

// An existing image survives a build over it that fails.
func TestFailingBuildKeepsWhatWasThere(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "out.erofs")
	if err := os.WriteFile(out, []byte("precious"), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program(t), "build", "-o", out, filepath.Join(corpus(t), "cases", "x-truncated-data.tar"))
	if err := cmd.Run(); err == nil {
		t.Error("no failure")
	}
	got, err := os.ReadFile(out)
	if err != nil || string(got) != "precious" {
		t.Errorf("%q, %v", got, err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("left %v (%v)", left, err)
	}
}
