package snapshotter

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/containerd/errdefs"
)

// What a virtual machine has written to its disk does not lead a commit to files of the host.
func TestChangesInAnImageAreNoLink(t *testing.T) {
	outside := t.TempDir()
	for name, c := range map[string]struct {
		make func(root string) error
		want string // "": refused
	}{
		"directory":             {func(root string) error { return os.Mkdir(filepath.Join(root, "fs"), 0o755) }, "fs"},
		"unused":                {func(root string) error { return os.Mkdir(filepath.Join(root, "lost+found"), 0o755) }, "lost+found"},
		"link":                  {func(root string) error { return os.Symlink(outside, filepath.Join(root, "fs")) }, ""},
		"link of the empty one": {func(root string) error { return os.Symlink(outside, filepath.Join(root, "lost+found")) }, ""},
		"file":                  {func(root string) error { return os.WriteFile(filepath.Join(root, "fs"), nil, 0o600) }, ""},
		"nothing":               {func(string) error { return nil }, ""},
	} {
		root := t.TempDir()
		if err := c.make(root); err != nil {
			t.Fatal(err)
		}
		got, err := changesIn(root)
		if c.want == "" {
			if !errdefs.IsFailedPrecondition(err) {
				t.Errorf("%s: %q, %v", name, got, err)
			}
			continue
		}
		if err != nil || got != filepath.Join(root, c.want) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}
