package engine

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/core/snapshots/storage"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/laminafs/lamina/internal/durable"
	"github.com/laminafs/lamina/internal/store"
)

// State is what a container does.
type State string

// The states of a container. Running is told by its lock, so also after a crash.
const (
	Created State = "created" // it is being started
	Running State = "running"
	Exited  State = "exited"
	Dead    State = "dead" // its lamina was killed: nobody knows how it ended
)

// Container is the record of a container, kept in its directory:
//
//	container.json  the record; nothing in it changes
//	lock            locked while lamina or the runtime runs; who gets the lock may remove everything
//	exit.json       how it ended
//	config.json     the runtime configuration
//	rootfs/         the root is mounted here, in a mount namespace of its own
//	output          what a detached container wrote to stdout and stderr
//	pid             process id of the command
//	runtime/        the runtime's own state
//
// What the container writes lies in its snapshot.
type Container struct {
	ID       string        `json:"id"`
	Name     string        `json:"name,omitempty"`
	Image    string        `json:"image"`              // as it was asked for, or its whole name
	Manifest digest.Digest `json:"manifest,omitempty"` // in the content store; "": the image is in a file
	Command  []string      `json:"command"`
	Created  time.Time     `json:"created"`
	Runtime  string        `json:"runtime"`
	Remove   bool          `json:"remove,omitempty"` // it goes when the command ends
	Layers   []LayerRecord `json:"layers"`
	Config   v1.Image      `json:"config"` // of the image

	State    State     `json:"state,omitempty"` // not in the file, as all below
	Pid      int       `json:"pid,omitempty"`
	ExitCode *int      `json:"exitCode,omitempty"`
	Ended    time.Time `json:"ended,omitzero"`
}

// LayerRecord is a layer of the image that a container was made from.
type LayerRecord struct {
	Descriptor v1.Descriptor `json:"descriptor"`
	DiffID     digest.Digest `json:"diffID"`
}

func (c *Container) layers() []layer {
	list := make([]layer, len(c.Layers))
	for i, r := range c.Layers {
		list[i] = layer{r.Descriptor, r.DiffID}
	}
	return list
}

// exitRecord is exit.json.
type exitRecord struct {
	Code  int       `json:"code"`
	Ended time.Time `json:"ended"`
}

// maxRecord bounds the records that are read: a config of an image may have 8 MiB.
const maxRecord = 2 * maxDocument

func (l *Local) containerDir(id string) string { return l.path("containers", id) }

// snapshotKey is the name of a container's snapshot.
func snapshotKey(id string) string { return containerPrefix + id }

// idForm is what ids and names may look like: they become names of directories and cgroups.
var idForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$`) })

// Containers lists the containers, the newest first.
func (l *Local) Containers(ctx context.Context) ([]Container, error) {
	list, err := os.ReadDir(l.path("containers"))
	if err != nil {
		return nil, fmt.Errorf("engine: %w", err)
	}
	var out []Container
	for _, d := range list {
		c, err := l.readContainer(d.Name())
		if errors.Is(err, fs.ErrNotExist) {
			continue // about to be there, or not any more
		}
		if err != nil {
			return nil, err
		}
		out = append(out, *c)
	}
	slices.SortFunc(out, func(a, b Container) int { return -cmp.Compare(a.Created.UnixNano(), b.Created.UnixNano()) })
	return out, ctx.Err()
}

func (l *Local) readContainer(id string) (*Container, error) {
	dir := l.containerDir(id)
	c := new(Container)
	if err := readRecord(filepath.Join(dir, "container.json"), c); err != nil {
		return nil, err
	}
	c.ID = id
	lock, err := lockFile(filepath.Join(dir, "lock"), false, false, false)
	switch {
	case errors.Is(err, errLocked):
		c.State = Created
		if c.Pid = readPid(filepath.Join(dir, "pid")); c.Pid > 0 {
			c.State = Running
		}
		return c, nil
	case err != nil:
		return nil, fmt.Errorf("engine: container %s: %w", id, err)
	}
	defer func() { _ = lock.Close() }()
	var exit exitRecord
	switch err := readRecord(filepath.Join(dir, "exit.json"), &exit); {
	case err == nil:
		c.State, c.ExitCode, c.Ended = Exited, &exit.Code, exit.Ended
	case errors.Is(err, fs.ErrNotExist):
		c.State = Dead
	default:
		return nil, err
	}
	return c, nil
}

func readRecord(path string, v any) error {
	st, err := os.Stat(path)
	if err == nil && st.Size() > maxRecord {
		err = fmt.Errorf("%s: %d bytes, more than %d", path, st.Size(), maxRecord)
	}
	var b []byte
	if err == nil {
		b, err = os.ReadFile(path)
	}
	if err == nil {
		err = json.Unmarshal(b, v)
	}
	if err != nil {
		return fmt.Errorf("engine: container: %w", err)
	}
	return nil
}

func writeRecord(path string, v any) (err error) {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	f, err := durable.Create(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	if _, err := f.Write(b); err != nil {
		return err
	}
	return f.Commit()
}

func readPid(path string) int {
	b, err := os.ReadFile(path)
	if err != nil || len(b) > 20 {
		return 0
	}
	var pid int
	if _, err := fmt.Sscan(string(b), &pid); err != nil {
		return 0
	}
	return pid
}

// Container finds a container by its id, its name, or the beginning of its id. It is an ErrNotFound if there
// is none.
func (l *Local) Container(ctx context.Context, ref string) (*Container, error) {
	list, err := l.Containers(ctx)
	if err != nil {
		return nil, err
	}
	var found []*Container
	for i := range list {
		switch c := &list[i]; {
		case c.ID == ref || c.Name != "" && c.Name == ref:
			return c, nil
		case len(ref) >= minDigest && strings.HasPrefix(c.ID, ref):
			found = append(found, c)
		}
	}
	switch len(found) {
	case 0:
		return nil, fmt.Errorf("engine: %s: there is no such container: %w", ref, errdefs.ErrNotFound)
	case 1:
		return found[0], nil
	}
	return nil, fmt.Errorf("engine: %s: several containers have such an id: %w", ref, errdefs.ErrInvalidArgument)
}

// maxTries bounds how often a directory is made again that a sweep of another process removed.
const maxTries = 100

// makeDir makes and locks the directory of a new container. Another process may take it for one that was
// left behind, until it is locked: then the next one is tried.
func (l *Local) makeDir() (id string, lock *os.File, err error) {
	for range maxTries {
		var b [6]byte
		if _, err := rand.Read(b[:]); err != nil {
			return "", nil, err
		}
		id := hex.EncodeToString(b[:])
		dir := l.containerDir(id)
		if err := os.Mkdir(dir, 0o700); err != nil {
			return "", nil, err
		}
		lock, err := lockFile(filepath.Join(dir, "lock"), true, true, false)
		if errors.Is(err, errLocked) || errors.Is(err, fs.ErrNotExist) {
			continue // whoever swept it removes it
		}
		if err != nil {
			return "", nil, errors.Join(err, os.RemoveAll(dir))
		}
		mine, err := lock.Stat()
		if err != nil {
			return "", nil, errors.Join(err, lock.Close())
		}
		// The file may have lost its name between open and lock.
		if there, err := os.Lstat(filepath.Join(dir, "lock")); err == nil && os.SameFile(mine, there) {
			return id, lock, nil
		}
		_ = lock.Close()
	}
	return "", nil, fmt.Errorf("engine: %s: new directories disappear again and again", l.path("containers"))
}

// RemoveContainer removes a container with all that it wrote. One that runs is an ErrFailedPrecondition, or is
// killed with force.
func (l *Local) RemoveContainer(ctx context.Context, ref string, force bool) error {
	c, err := l.Container(ctx, ref)
	if err != nil {
		return err
	}
	lock, err := lockEnded(ctx, filepath.Join(l.containerDir(c.ID), "lock"))
	if errors.Is(err, errLocked) && force {
		lock, err = l.kill(ctx, c)
	}
	switch {
	case errors.Is(err, errLocked):
		return fmt.Errorf("engine: container %s: it runs: %w", ref, errdefs.ErrFailedPrecondition)
	case errors.Is(err, fs.ErrNotExist): // it was removed by its own lamina
		return nil
	case err != nil:
		return fmt.Errorf("engine: container %s: %w", c.ID, err)
	}
	return l.removeLocked(ctx, c.ID, c.Runtime, lock)
}

// killWait is how long a killed container may take to end.
const killWait = 10 * time.Second

// kill ends a container and waits for its lock.
func (l *Local) kill(ctx context.Context, c *Container) (*os.File, error) {
	path := filepath.Join(l.containerDir(c.ID), "lock")
	for end := time.Now().Add(killWait); ; time.Sleep(pollLock) {
		runtimeKill(ctx, l.containerDir(c.ID), c.ID, c.Runtime)
		lock, err := lockFile(path, false, true, false)
		if !errors.Is(err, errLocked) || time.Now().After(end) || ctx.Err() != nil {
			return lock, err
		}
	}
}

// removeLocked removes a container whose lock the caller has, and closes the lock.
func (l *Local) removeLocked(ctx context.Context, id, runtime string, lock *os.File) error {
	dir := l.containerDir(id)
	runtimeDelete(ctx, dir, id, runtime)
	if err := l.removeSnapshot(ctx, snapshotKey(id)); err != nil {
		return errors.Join(fmt.Errorf("engine: container %s: %w", id, err), lock.Close())
	}
	return errors.Join(os.RemoveAll(dir), lock.Close())
}

// Sweep removes what is left of containers whose start never came to its end, and of those that were to be
// removed when they ended but whose lamina was killed.
func (l *Local) Sweep(ctx context.Context) error {
	list, err := os.ReadDir(l.path("containers"))
	if err != nil {
		return fmt.Errorf("engine: %w", err)
	}
	for _, d := range list {
		if !d.IsDir() || !idForm().MatchString(d.Name()) {
			continue
		}
		if err := l.sweep(ctx, d.Name()); err != nil {
			return fmt.Errorf("engine: container %s: %w", d.Name(), err)
		}
	}
	return nil
}

func (l *Local) sweep(ctx context.Context, id string) error {
	dir := l.containerDir(id)
	c := new(Container)
	err := readRecord(filepath.Join(dir, "container.json"), c)
	if err == nil && !c.Remove {
		return nil
	}
	lock, err := lockFile(filepath.Join(dir, "lock"), false, true, false)
	switch {
	case errors.Is(err, errLocked): // it runs
		return nil
	case errors.Is(err, fs.ErrNotExist): // about to run, or killed then: the lock comes first
		_ = os.Remove(dir) // does nothing unless it is empty
		return nil
	case err != nil:
		return err
	}
	// What was read before the lock may have been about to be written.
	if err := readRecord(filepath.Join(dir, "container.json"), c); err == nil && !c.Remove {
		return lock.Close()
	}
	return l.removeLocked(ctx, id, c.Runtime, lock)
}

// sweepSnapshots removes snapshots of containers that have no directory.
func (l *Local) sweepSnapshots(ctx context.Context) error {
	var gone []string
	err := l.Snapshotter.Walk(ctx, func(_ context.Context, info snapshots.Info) error {
		id, ours := strings.CutPrefix(info.Name, containerPrefix)
		if !ours || !idForm().MatchString(id) {
			return nil
		}
		if _, err := os.Lstat(l.containerDir(id)); errors.Is(err, fs.ErrNotExist) {
			gone = append(gone, info.Name)
		}
		return nil
	})
	for _, key := range gone {
		err = errors.Join(err, l.removeSnapshot(ctx, key))
	}
	return err
}

// removeSnapshot removes a snapshot and, unlike the snapshotter, at once what it wrote: a crash in between
// leaves that to Prune. It is no error if there is none.
func (l *Local) removeSnapshot(ctx context.Context, key string) error {
	var id string
	err := l.Store.View(ctx, func(ctx context.Context, _ *store.Tx) (err error) {
		id, _, _, err = storage.GetInfo(ctx, key)
		return err
	})
	if err == nil {
		err = l.Snapshotter.Remove(ctx, key)
	}
	if err == nil {
		err = l.Store.DropSnapshot(ctx, id)
	}
	if errdefs.IsNotFound(err) {
		return nil
	}
	return err
}
