package durable

import (
	"errors"
	"io/fs"
	"os"
	"runtime"
	"testing"
)

func TestTempHasNoName(t *testing.T) {
	dir := t.TempDir()
	f, err := Temp(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if _, err := f.WriteAt([]byte("text"), 1<<20); err != nil {
		t.Fatal(err)
	}
	if list, _ := os.ReadDir(dir); len(list) != 0 && runtime.GOOS != "windows" {
		t.Errorf("a process killed now would leave %v", list)
	}
	if err := f.Commit(); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("Commit: %v", err)
	}
	if list, _ := os.ReadDir(dir); len(list) != 0 {
		t.Errorf("left: %v", list)
	}
}

// The directory of the target, not that of the system, takes what is as large as the target.
func TestDirIsThatOfTheTarget(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	dir := t.TempDir()
	f, err := Create(dir + "/target")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if f.Dir() != dir {
		t.Errorf("the file lies in %s, not %s", f.Dir(), dir)
	}
	if SpoolDir() != os.Getenv("TMPDIR") {
		t.Errorf("TMPDIR is not honoured: %s", SpoolDir())
	}
}
