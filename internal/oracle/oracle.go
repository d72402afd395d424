// Package oracle finds the judges that tests need: programs and kernels that other people wrote.
//
// A judge that is missing skips the test on a laptop and fails it where LAMINA_CI or CI is set, so a
// judge never disappears unnoticed. Nothing outside of tests imports this package.
package oracle

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Need returns the path of the tool. mkfs.erofs, fsck.erofs and dump.erofs are taken from the
// directory that LAMINA_JUDGES names, else from .cache/judges/bin of the repository, else from PATH
// when the one there is 1.9 or newer; every other tool from PATH.
func Need(t testing.TB, tool string) string {
	t.Helper()
	if isErofs(tool) {
		for _, dir := range []string{os.Getenv("LAMINA_JUDGES"), filepath.Join(Root(t), ".cache/judges/bin")} {
			path := filepath.Join(dir, tool)
			if info, err := os.Stat(path); dir != "" && err == nil && info.Mode()&0o111 != 0 {
				return path
			}
		}
	}
	path, err := exec.LookPath(tool)
	if err != nil {
		Missing(t, tool)
	}
	if isErofs(tool) && !isRecent(path) {
		Missing(t, tool+" 1.9 or newer")
	}
	return path
}

// NeedRoot requires that the test runs as root.
func NeedRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		Missing(t, "root")
	}
}

// Missing ends the test because it lacks the judge called what.
func Missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("CI") != "" || os.Getenv("LAMINA_CI") != "" {
		t.Fatalf("oracle: %s: missing", what)
	}
	t.Skipf("oracle: %s: missing", what)
}

// NotInKernel ends the test because the running kernel was built without what, or refuses it to everybody
// here, as user namespaces in a chroot: no set-up of a machine can add it, so the test is skipped where a missing judge would be a failure, too.
func NotInKernel(t testing.TB, what string) {
	t.Helper()
	t.Skipf("oracle: %s: not in this kernel", what)
}

// Root returns the root of the repository: the directory above the test that holds go.mod of the
// main module.
func Root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	for err == nil && dir != "/" {
		b, e := os.ReadFile(filepath.Join(dir, "go.mod"))
		if e == nil && bytes.HasPrefix(b, []byte("module github.com/laminafs/lamina\n")) {
			return dir
		}
		if up := filepath.Dir(dir); up != dir {
			dir = up
			continue
		}
		break
	}
	t.Fatalf("oracle: no go.mod of the module above %s", dir)
	return ""
}

// Scratch returns an empty directory that is removed after the test, below LAMINA_SCRATCH if that is
// set: for tests whose files are too large for the temporary directory.
func Scratch(t testing.TB) string {
	t.Helper()
	base := os.Getenv("LAMINA_SCRATCH")
	if base == "" {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp(base, "lamina-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// Run runs a judge and returns what it printed to stdout. Anything but exit code 0 fails the test.
func Run(t testing.TB, tool string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(tool, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", filepath.Base(tool), strings.Join(args, " "), err, tail(out), tail(stderr.Bytes()))
	}
	return out
}

func isErofs(tool string) bool { return strings.HasSuffix(tool, ".erofs") }

// isRecent asks an erofs-utils program for its version: 1.9 and later are judges, what came before
// corrupts tar input silently. Our own front end of that name is no judge of ours.
func isRecent(path string) bool {
	out, _ := exec.Command(path, "-V").CombinedOutput()
	_, version, ok := strings.Cut(string(out), "(erofs-utils) ")
	var major, minor int
	if _, err := fmt.Sscanf(version, "%d.%d", &major, &minor); !ok || err != nil || strings.Contains(string(out), "lamina") {
		return false
	}
	return major > 1 || major == 1 && minor >= 9
}

func tail(b []byte) []byte {
	const most = 4000
	return b[max(0, len(b)-most):]
}
