package store

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/containerd/errdefs"

	"github.com/laminafs/lamina/internal/mount"
)

// A root in which somebody else could replace files is refused before anything is done in it.
func TestRootOfOthersIsRefused(t *testing.T) {
	for name, spoil := range map[string]func(dir string) error{
		"chmod go-w": func(dir string) error { return os.Chmod(dir, 0o770) },
		"chown":      func(dir string) error { return os.Chown(dir, 12345, -1) },
	} {
		if name == "chown" && os.Geteuid() != 0 {
			continue
		}
		dir := t.TempDir()
		check(t, spoil(dir))
		_, err := Open(t.Context(), Config{Root: dir})
		if !errors.Is(err, errdefs.ErrFailedPrecondition) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
		if list, err := os.ReadDir(dir); err != nil || len(list) > 0 {
			t.Errorf("%s: %v was made, %v", name, list, err)
		}
	}
}

// Without the table of mounts nothing that may be mounted is removed, and nobody is told that all is well.
func TestUnreadableMountTableIsAnError(t *testing.T) {
	s := newStore(t)
	broken := errors.New("no /proc")
	s.table = func(string) ([]mount.Entry, error) { return nil, broken }
	dir := s.Snapshot("7")
	check(t, os.Mkdir(dir, 0o700))
	if _, err := s.Collect(t.Context()); !errors.Is(err, broken) {
		t.Errorf("Collect: %v", err)
	}
	if _, err := os.Stat(dir); err != nil {
		t.Errorf("Collect removed a directory without knowing what is mounted in it: %v", err)
	}
	if _, err := s.UnmountIdle(t.Context()); !errors.Is(err, broken) {
		t.Errorf("UnmountIdle: %v", err)
	}
	if err := s.recover(t.Context()); !errors.Is(err, broken) {
		t.Errorf("recovery: %v", err)
	}
	s.table = func(string) ([]mount.Entry, error) { return nil, errors.ErrUnsupported }
	_, err := s.Collect(t.Context())
	check(t, err)
	if _, err := os.Stat(dir); err == nil {
		t.Error("a directory without record is left")
	}
}
