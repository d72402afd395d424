//go:build linux

package harness

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Tools says where programs are.
type Tools struct {
	Lamina   string // bin/lamina
	Cache    string // .cache of the repository
	Registry string
}

// FindTools fills Tools for a repository.
func FindTools(root, lamina string) Tools {
	cache := filepath.Join(root, ".cache")
	return Tools{Lamina: lamina, Cache: cache, Registry: filepath.Join(cache, "registry/registry")}
}

// Containerd is the directory of containerd's programs of a version.
func (t Tools) Containerd(version string) string {
	return filepath.Join(t.Cache, "containerd", version, "bin")
}

// A Bench is a private directory with the daemons that run on it.
type Bench struct {
	Dir    string
	Tools  Tools
	closed bool
	undo   []func() error // last first
}

// NewBench makes a bench in a new directory below parent (the temporary directory if that is empty). Socket paths are
// bounded to 107 bytes, so parent must be short.
func NewBench(parent string, tools Tools) (*Bench, error) {
	dir, err := os.MkdirTemp(parent, "lb")
	if err != nil {
		return nil, err
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return nil, err
	}
	if err := os.Chmod(dir, 0o711); err != nil { // containers of other user namespaces walk through it
		return nil, err
	}
	return &Bench{Dir: dir, Tools: tools}, nil
}

// Path joins names to the directory.
func (b *Bench) Path(names ...string) string {
	return filepath.Join(append([]string{b.Dir}, names...)...)
}

// Defer registers what Close does, before all that was registered earlier.
func (b *Bench) Defer(fn func() error) { b.undo = append(b.undo, fn) }

// Close ends what was started, reports what is left below the directory, removes that too, and the directory.
func (b *Bench) Close() (err error) {
	if b.closed {
		return nil
	}
	b.closed = true
	for i := len(b.undo) - 1; i >= 0; i-- {
		err = errors.Join(err, b.undo[i]())
	}
	var left []string
	for range 40 { // shims take a moment
		if left = leftovers(b.Dir); len(left) == 0 {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if len(left) > 0 {
		err = errors.Join(err, fmt.Errorf("left below %s:\n%s", b.Dir, strings.Join(left, "\n")))
		for pid := range processesOf(b.Dir) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		_ = unmountAll(b.Dir)
		for _, l := range loopsBelow(b.Dir) {
			_ = exec.Command("losetup", "--detach", l).Run() // reported above
		}
	}
	return errors.Join(err, os.RemoveAll(b.Dir))
}
