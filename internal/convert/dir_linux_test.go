package convert

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/laminafs/lamina/erofs"
	"github.com/laminafs/lamina/internal/oracle"
	"github.com/laminafs/lamina/mkfs"
)

// dirImage makes the image of a directory and opens it.
func dirImage(t *testing.T, dir string, o DirOptions) (*erofs.Image, error) {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "image"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	if _, err := Dir(t.Context(), dir, f, o); err != nil {
		return nil, err
	}
	im, err := erofs.Open(f)
	if err != nil {
		t.Fatal(err)
	}
	return im, nil
}

func TestDirKeepsWhatIsOfALayerAndDropsTheBooksOfOverlayfs(t *testing.T) {
	oracle.NeedRoot(t)
	dir := t.TempDir()
	for _, d := range []string{"opaque", "hides"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mknod(filepath.Join(dir, "hides/gone"), unix.S_IFCHR, 0); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"opaque": "y", "origin": "xx", "impure": "y"} {
		if err := unix.Setxattr(filepath.Join(dir, "opaque"), "trusted.overlay."+name, []byte(value), 0); err != nil {
			t.Fatal(err)
		}
	}
	im, err := dirImage(t, dir, DirOptions{Mkfs: mkfs.Options{Owner: func(uint32, uint32) (uint32, uint32) { return 7, 8 }}})
	if err != nil {
		t.Fatal(err)
	}
	tr, err := im.Tree()
	if err != nil {
		t.Fatal(err)
	}
	if n := tr.Lookup("hides/gone"); n == nil || !n.IsWhiteout() || n.UID != 7 || n.GID != 8 {
		t.Errorf("whiteout is %+v", n)
	}
	if v, ok := tr.Lookup("hides").Xattr("trusted.overlay.origin"); !ok || v != "" {
		t.Errorf("directory with a whiteout has no mark: %q, %v", v, ok)
	}
	if n := tr.Lookup("opaque"); !n.IsOpaque() || len(n.Xattrs) != 1 {
		t.Errorf("opaque directory has %v", n.Xattrs)
	}
}

func TestDirRefusesWhatDependsOnLowerDirectories(t *testing.T) {
	oracle.NeedRoot(t)
	dir := t.TempDir()
	if err := unix.Setxattr(dir, "trusted.overlay.redirect", []byte("/x"), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := dirImage(t, dir, DirOptions{}); !errors.Is(err, errors.ErrUnsupported) {
		t.Error(err)
	}
}

func TestDirEndsWhenItIsCancelled(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "f"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	f, err := os.Create(filepath.Join(t.TempDir(), "image"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if _, err := Dir(ctx, dir, f, DirOptions{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
