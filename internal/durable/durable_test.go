package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func names(t *testing.T, dir string) []string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range list {
		out = append(out, e.Name())
	}
	return out
}

func content(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func create(t *testing.T, path, text string) *File {
	t.Helper()
	f, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte(text), 0); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestNothingIsVisibleBeforeCommit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out")
	f := create(t, path, "new")
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("stat before Commit: %v", err)
	}
	if err := f.Commit(); err != nil {
		t.Fatal(err)
	}
	if got := content(t, path); got != "new" {
		t.Fatalf("content %q", got)
	}
	if got := names(t, filepath.Dir(path)); len(got) != 1 {
		t.Fatalf("left in the directory: %q", got)
	}
}

func TestCloseLeavesTheOldFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := create(t, path, "new")
	for range 2 {
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Commit(); !errors.Is(err, os.ErrClosed) {
		t.Fatalf("Commit after Close: %v", err)
	}
	if got := content(t, path); got != "old" {
		t.Fatalf("content %q", got)
	}
	if got := names(t, filepath.Dir(path)); len(got) != 1 {
		t.Fatalf("left in the directory: %q", got)
	}
}

func TestReplacementKeepsTheMode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out")
	if err := os.WriteFile(path, []byte("old"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := create(t, path, "new").Commit(); err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if st.Mode().Perm() != 0o640 || content(t, path) != "new" {
		t.Fatalf("mode %v, content %q", st.Mode(), content(t, path))
	}
}

func TestNamedTemporaryFileIsRemoved(t *testing.T) {
	dir := t.TempDir()
	for _, commit := range []bool{false, true} {
		file, tmp, err := openNamed(dir)
		if err != nil {
			t.Fatal(err)
		}
		f := &File{File: file, tmp: tmp, path: filepath.Join(dir, "out")}
		want := 0
		if commit {
			want = 1
			if err := f.Commit(); err != nil {
				t.Fatal(err)
			}
		} else if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if got := names(t, dir); len(got) != want {
			t.Fatalf("commit %v: left in the directory: %q", commit, got)
		}
	}
}

func TestRefusedTargets(t *testing.T) {
	dir := t.TempDir()
	if _, err := Create(dir); err == nil {
		t.Fatal("a directory was accepted")
	}
	if _, err := Create(filepath.Join(dir, "missing", "out")); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("missing directory: %v", err)
	}
}
