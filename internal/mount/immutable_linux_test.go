package mount

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/laminafs/lamina/internal/oracle"
)

func TestImmutableFileStays(t *testing.T) {
	oracle.NeedRoot(t)
	path := filepath.Join(t.TempDir(), "blob")
	must(t, os.WriteFile(path, []byte("x"), 0o644))
	err := SetImmutable(path, true)
	if errors.Is(err, errors.ErrUnsupported) {
		oracle.Missing(t, "immutable flag in "+filepath.Dir(path))
	}
	must(t, err)
	t.Cleanup(func() { _ = SetImmutable(path, false) })
	must(t, SetImmutable(path, true))
	if err := os.Remove(path); !errors.Is(err, unix.EPERM) {
		t.Errorf("remove: %v", err)
	}
	if err := os.WriteFile(path, []byte("y"), 0); !errors.Is(err, unix.EPERM) {
		t.Errorf("write: %v", err)
	}
	must(t, SetImmutable(path, false))
	must(t, os.Remove(path))
	if err := SetImmutable(path, true); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	if err := SetImmutable("/proc/self/status", true); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("proc: %v", err)
	}
}
