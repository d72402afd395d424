package cli

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/laminafs/lamina/internal/convert"
	"github.com/laminafs/lamina/internal/mount"
)

// state is the directory that run keeps converted layers and running containers in:
//
//	blobs/       converted layers, see convert.Blobs
//	run/<id>/    a container, see container. Removed when it ends
type state struct{ dir string }

// defaultState is /var/lib/lamina for root, else where the XDG base directory specification puts data.
func defaultState() string {
	if os.Geteuid() == 0 {
		return "/var/lib/lamina"
	}
	if dir := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "lamina")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return filepath.Join(os.TempDir(), "lamina")
	}
	return filepath.Join(home, ".local/share/lamina")
}

// openState makes the directory, for its owner only: images have setuid programs.
func openState(dir string) (*state, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	for _, sub := range []string{"blobs", "run"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, err
		}
	}
	return &state{dir}, nil
}

func (s *state) blobs() convert.Blobs { return convert.Blobs{Dir: filepath.Join(s.dir, "blobs")} }

// container is the directory of a running container:
//
//	lock         locked while lamina or the runtime runs; who gets the lock may remove everything
//	config.json  the runtime configuration
//	rootfs/      the root is mounted here, in a mount namespace of its own
//	upper/ work/ what the container writes
//	layers/      mount points in passing
//	runtime/     the runtime's own state
type container struct {
	id   string
	dir  string
	lock *os.File
	keep bool // leave what the container wrote
}

func (c *container) path(name string) string { return filepath.Join(c.dir, name) }

// maxTries bounds how often a directory is made again that a sweep of another process removed.
const maxTries = 100

// newContainer makes and locks the directory of a new container. Another process may take it for one that
// was left behind, until it is locked: then the next one is tried.
func (s *state) newContainer() (*container, error) {
	for range maxTries {
		var b [6]byte
		if _, err := rand.Read(b[:]); err != nil {
			return nil, err
		}
		c := &container{id: hex.EncodeToString(b[:])}
		c.dir = filepath.Join(s.dir, "run", c.id)
		if err := os.Mkdir(c.dir, 0o700); err != nil {
			return nil, err
		}
		ok, err := c.claim()
		if err == nil && !ok {
			continue // whoever swept it removes it
		}
		if err == nil {
			err = c.makeDirs()
		}
		if err != nil {
			return nil, errors.Join(err, os.RemoveAll(c.dir))
		}
		return c, nil
	}
	return nil, fmt.Errorf("%s: new directories disappear again and again", filepath.Join(s.dir, "run"))
}

// claim locks a directory that was just made. It returns false if somebody else has locked or removed it.
func (c *container) claim() (bool, error) {
	lock, err := lockFile(c.path("lock"), true)
	if errors.Is(err, errLocked) || errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	mine, err := lock.Stat()
	if err != nil {
		return false, errors.Join(err, lock.Close())
	}
	// The file may have lost its name between open and lock.
	if there, err := os.Lstat(c.path("lock")); err != nil || !os.SameFile(mine, there) {
		return false, lock.Close()
	}
	c.lock = lock
	return true, nil
}

// root is what is to be mounted for the container.
func (c *container) root(blobs []string) mount.Root {
	r := mount.Root{Target: c.path("rootfs"), Scratch: c.path("layers"), Upper: c.path("upper"), Work: c.path("work")}
	for _, b := range blobs {
		r.Layers = append(r.Layers, mount.Layer{Image: b})
	}
	return r
}

func (c *container) makeDirs() error {
	for _, d := range []string{"rootfs", "upper", "work", "layers"} {
		if err := os.Mkdir(c.path(d), 0o755); err != nil {
			return err
		}
	}
	return nil
}

// remove deletes the directory; the root must not be mounted any more.
func (c *container) remove() error {
	if c.keep {
		return errors.Join(c.lock.Close(), os.Rename(c.path("upper"), c.dir+".upper"), os.RemoveAll(c.dir))
	}
	return errors.Join(os.RemoveAll(c.dir), c.lock.Close())
}

// sweep removes containers whose lamina was killed: nobody holds their lock.
func (s *state) sweep(runtime string) error {
	list, err := os.ReadDir(filepath.Join(s.dir, "run"))
	if err != nil {
		return err
	}
	for _, d := range list {
		c := &container{id: d.Name(), dir: filepath.Join(s.dir, "run", d.Name())}
		if !d.IsDir() || filepath.Ext(c.id) != "" {
			continue
		}
		c.lock, err = lockFile(c.path("lock"), false)
		switch {
		case errors.Is(err, errLocked): // running
			continue
		case errors.Is(err, fs.ErrNotExist): // about to run, or killed then: the lock comes first
			_ = os.Remove(c.dir) // does nothing unless it is empty
			continue
		case err != nil:
			return fmt.Errorf("%s: %w", c.dir, err)
		}
		c.deleteFromRuntime(runtime)
		if err := c.remove(); err != nil {
			return err
		}
	}
	return nil
}

var errLocked = errors.New("is in use")
