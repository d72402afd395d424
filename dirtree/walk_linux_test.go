package dirtree

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/laminafs/lamina/internal/oracle"
	"github.com/laminafs/lamina/tree"
)

// walked returns what Walk visits, contents read.
func walked(t *testing.T, dir string) []Visit {
	t.Helper()
	var all []Visit
	err := Walk(dir, Options{}, func(v Visit) error {
		if c := v.Node.Content; c != nil {
			b := make([]byte, v.Node.Size)
			if _, err := c.ReadAt(b, 0); err != nil {
				return err
			}
			v.Node.Content = tree.Bytes(b)
		}
		all = append(all, v)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestWalkVisitsWhatIsThereOnce(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, "b/c"), 0o755); err != nil {
		t.Fatal(err)
	}
	write("b/file", "text")
	write("a", "")
	if err := os.Link(filepath.Join(dir, "b/file"), filepath.Join(dir, "z")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("b", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	all := walked(t, dir)
	var paths []string
	for _, v := range all {
		paths = append(paths, v.Path)
	}
	if want := []string{"", "a", "b", "b/c", "b/file", "link", "z"}; !slices.Equal(paths, want) {
		t.Fatalf("visited %q, want %q", paths, want)
	}
	if v := all[4]; v.Node.Content != tree.Bytes("text") || v.Link != "" || v.Node.Mode != tree.TypeRegular|0o640 {
		t.Errorf("%+v", v)
	}
	if v := all[6]; v.Link != "b/file" || v.Node.Content != nil {
		t.Errorf("second name: %+v", v)
	}
	if all[5].Node.Target != "b" {
		t.Errorf("%+v", all[5].Node)
	}
}

func TestWalkVisitsWhiteoutsFirstAndNeverAsLinks(t *testing.T) {
	oracle.NeedRoot(t)
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "d"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mknod(filepath.Join(dir, "x"), unix.S_IFCHR, 0); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(filepath.Join(dir, "x"), filepath.Join(dir, "y")); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mknod(filepath.Join(dir, "c"), unix.S_IFCHR, int(unix.Mkdev(1, 3))); err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, v := range walked(t, dir) {
		paths = append(paths, v.Path)
		if v.Link != "" {
			t.Errorf("%q is a link to %q", v.Path, v.Link)
		}
	}
	if want := []string{"", "x", "y", "c", "d"}; !slices.Equal(paths, want) {
		t.Errorf("visited %q, want %q", paths, want)
	}
}

func TestWalkLeavesOutWhatVanishes(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a", "b", "c"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var paths, warned []string
	err := Walk(dir, Options{Warn: func(w Warning) { warned = append(warned, w.Path) }}, func(v Visit) error {
		paths = append(paths, v.Path)
		if v.Path == "a" {
			return os.Remove(filepath.Join(dir, "b"))
		}
		return nil
	})
	if want := []string{"", "a", "c"}; err != nil || !slices.Equal(paths, want) || !slices.Equal(warned, []string{"b"}) {
		t.Errorf("visited %q, warned of %q, %v", paths, warned, err)
	}
}

func TestWalkEndsWithTheFirstError(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	boom := errors.New("boom")
	calls := 0
	err := Walk(dir, Options{}, func(Visit) error { calls++; return boom })
	if !errors.Is(err, boom) || calls != 1 {
		t.Errorf("%d calls, %v", calls, err)
	}
}

func TestWalkTellsOfFilesThatShrink(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte("12345"), 0o644); err != nil {
		t.Fatal(err)
	}
	err := Walk(filepath.Dir(path), Options{}, func(v Visit) error {
		if v.Path == "" {
			return nil
		}
		if err := os.Truncate(path, 2); err != nil {
			return err
		}
		_, err := v.Node.Content.ReadAt(make([]byte, v.Node.Size), 0)
		return err
	})
	if !errors.Is(err, errShrank) {
		t.Error(err)
	}
}
