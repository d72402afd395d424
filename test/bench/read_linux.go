package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// read is one line of the table of reading back: seconds.
type read struct {
	Corpus    string  `json:"corpus"`
	Name      string  `json:"name"`
	Mount     float64 `json:"mount"`
	FindCold  float64 `json:"findCold"`
	FindWarm  float64 `json:"findWarm"`
	FilesCold float64 `json:"filesCold"`
	FilesWarm float64 `json:"filesWarm"`
}

const readRounds = 3

// readBack builds the images of a corpus once and reads them through the kernel, beside the same tree
// unpacked by tar into a directory of the file system that holds the images.
func (c *config) readBack(name, work string) ([]read, error) {
	tar := filepath.Join(c.corpus, name+".tar")
	ours, theirs, dir := filepath.Join(work, "ours"), filepath.Join(work, "theirs"), filepath.Join(work, "dir")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	defer func() { _ = errors.Join(os.RemoveAll(dir), os.RemoveAll(ours), os.RemoveAll(theirs)) }() // bench removes their directory too
	for _, args := range [][]string{
		{c.lamina, "build", "--quiet", "-o", ours, tar},
		{c.peer, "-mkfs", c.mkfs, "-o", theirs, tar},
		{"tar", "-C", dir, "-xf", tar},
	} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("%v: %w: %s", args, err, out)
		}
	}
	var table []read
	for _, side := range []struct{ name, path string }{{"lamina", ours}, {"mkfs.erofs", theirs}, {"directory", dir}} {
		var rounds []read
		for range readRounds {
			r, err := readOnce(side.path, work)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", side.name, err)
			}
			rounds = append(rounds, r)
		}
		table = append(table, medianRead(name, side.name, rounds))
	}
	return table, nil
}

func readOnce(path, work string) (r read, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return r, err
	}
	dir := path
	if !info.IsDir() {
		dir = filepath.Join(work, "mnt")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return r, err
		}
	}
	steps := []struct {
		cold  bool
		into  *float64
		visit fs.WalkDirFunc
	}{{true, &r.FindCold, stat}, {false, &r.FindWarm, stat}, {true, &r.FilesCold, slurp}, {false, &r.FilesWarm, slurp}}
	for _, s := range steps {
		if s.cold && !info.IsDir() {
			_ = unix.Unmount(dir, 0) // not mounted the first time
		}
		if s.cold {
			if err := dropCaches(); err != nil {
				return r, err
			}
		}
		if s.cold && !info.IsDir() {
			start := time.Now()
			if err := unix.Mount(path, dir, "erofs", unix.MS_RDONLY, ""); err != nil {
				return r, err
			}
			r.Mount = time.Since(start).Seconds()
		}
		start := time.Now()
		if err := filepath.WalkDir(dir, s.visit); err != nil {
			return r, err
		}
		*s.into = time.Since(start).Seconds()
	}
	if !info.IsDir() {
		return r, unix.Unmount(dir, 0)
	}
	return r, nil
}

// stat is what find -ls asks of every entry.
func stat(_ string, d fs.DirEntry, err error) error {
	if err != nil {
		return err
	}
	_, err = d.Info()
	return err
}

var slurpBuf = make([]byte, 1<<20)

// slurp reads every regular file.
func slurp(path string, d fs.DirEntry, err error) error {
	if err != nil || !d.Type().IsRegular() {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.CopyBuffer(io.Discard, struct{ io.Reader }{f}, slurpBuf)
	return err
}

func dropCaches() error {
	syscall.Sync()
	return os.WriteFile("/proc/sys/vm/drop_caches", []byte("3"), 0)
}
