package durable

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestPipeGetsACopy(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	got := make(chan string)
	go func() {
		r, err := os.Open(path)
		if err != nil {
			got <- err.Error()
			return
		}
		b, _ := io.ReadAll(r)
		got <- string(b)
	}()
	if err := create(t, path, "through").Commit(); err != nil {
		t.Fatal(err)
	}
	if s := <-got; s != "through" {
		t.Fatalf("read %q", s)
	}
}

func TestOpenFileIsWrittenNotReplaced(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	if err := create(t, fmt.Sprintf("/proc/self/fd/%d", file.Fd()), "same inode").Commit(); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(file); err != nil || string(b) != "same inode" {
		t.Fatalf("read %q, %v", b, err)
	}
}

func TestKilledWriterLeavesNoName(t *testing.T) {
	dir := t.TempDir()
	f := create(t, filepath.Join(dir, "out"), "x")
	if got := names(t, dir); len(got) != 0 && f.tmp == "" { // f.tmp: no O_TMPFILE in this file system
		t.Fatalf("named before Commit: %q", got)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestSymbolicLinkStays(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct{ link, target string }{{"link", "target"}, {"dangling", "later"}} {
		link, target := filepath.Join(dir, c.link), filepath.Join(dir, c.target)
		if err := os.Symlink(c.target, link); err != nil {
			t.Fatal(err)
		}
		if c.link == "link" {
			if err := os.WriteFile(target, []byte("old"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := create(t, link, "new").Commit(); err != nil {
			t.Fatal(err)
		}
		if st, err := os.Lstat(link); err != nil || st.Mode()&fs.ModeSymlink == 0 {
			t.Fatalf("%s: %v %v", c.link, st, err)
		}
		if got := content(t, target); got != "new" {
			t.Fatalf("%s: content %q", c.link, got)
		}
	}
}
