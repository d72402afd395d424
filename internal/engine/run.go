package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/laminafs/lamina/internal/bundle"
)

// Root is what a container is made from: layers that are in the store, and the config of their image.
type Root struct {
	Image    string        // as messages show it
	Manifest digest.Digest // "" if the image has no name here
	Config   v1.Image
	layers   []layer
}

// RunOptions are what a user asks for beside the image. Options.ID, Rootfs and, unless it is set, Hostname
// are filled in.
type RunOptions struct {
	bundle.Options
	Name    string // beside the id; unique
	Runtime string // program
	Remove  bool   // all that is left, when the command ends
	Detach  bool   // stdout and stderr go to a file of the container
	Size    string // limit of what the container writes, in bytes; "": that of the configuration
}

// Task is a container that was made and is run by this process.
type Task struct {
	c      Container
	dir    string
	lock   *os.File
	config Config
	o      RunOptions
	mounts []mount.Mount
}

// ID is the id of the container.
func (t *Task) ID() string { return t.c.ID }

// Output is the file that a detached container writes to.
func (t *Task) Output() string { return filepath.Join(t.dir, "output") }

// Create makes a container: its directory, its record, its snapshot with the blobs mounted. The caller ends
// with Task.Run or Task.Discard; the engine may be closed before.
func (l *Local) Create(ctx context.Context, r *Root, o RunOptions) (_ *Task, err error) {
	release, err := l.takeName(ctx, o.Name)
	if err != nil {
		return nil, err
	}
	defer release() // the record of the container has the name now, or there is none
	if err := l.Sweep(ctx); err != nil {
		return nil, err
	}
	top, err := l.chain(ctx, r.layers)
	if err != nil {
		return nil, fmt.Errorf("engine: %s: %w", r.Image, err)
	}
	id, lock, err := l.makeDir()
	if err != nil {
		return nil, err
	}
	t := &Task{dir: l.containerDir(id), lock: lock, config: l.Config, o: o}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.removeLocked(context.WithoutCancel(ctx), id, o.Runtime, lock))
		}
	}()
	t.c = Container{
		ID: id, Name: o.Name, Image: r.Image, Manifest: r.Manifest, Command: o.Args, Created: time.Now(),
		Runtime: o.Runtime, Remove: o.Remove, Config: r.Config,
	}
	if len(t.c.Command) == 0 {
		t.c.Command = append(append([]string{}, r.Config.Config.Entrypoint...), r.Config.Config.Cmd...)
	}
	for _, la := range r.layers {
		t.c.Layers = append(t.c.Layers, LayerRecord{la.desc, la.diffID})
	}
	if err := os.Mkdir(filepath.Join(t.dir, "rootfs"), 0o755); err != nil {
		return nil, err
	}
	t.mounts, err = l.Snapshotter.Prepare(ctx, snapshotKey(id), top, snapshots.WithLabels(snapshotLabels(o)))
	if err != nil {
		return nil, fmt.Errorf("engine: %s: %w", r.Image, err)
	}
	return t, writeRecord(filepath.Join(t.dir, "container.json"), &t.c)
}

// snapshotLabels ask the snapshotter for a size and for other owners.
func snapshotLabels(o RunOptions) map[string]string {
	labels := map[string]string{}
	if o.Size != "" {
		labels["containerd.io/snapshot/max-size"] = o.Size
	}
	if m := o.UserNS; m != nil {
		text := fmt.Sprintf("0:%d:%d", m.HostID, m.Size)
		labels[snapshots.LabelSnapshotUIDMapping], labels[snapshots.LabelSnapshotGIDMapping] = text, text
	}
	return labels
}

// takeName keeps others from making a container of that name until release is called: the name is in the record of the
// container, and who looks at the records before that one is written would take the name too.
func (l *Local) takeName(ctx context.Context, name string) (release func(), err error) {
	if name == "" {
		return func() {}, nil
	}
	if !IsContainerName(name) {
		return nil, fmt.Errorf("engine: name %q: not letters, digits, '_', '.', '-', at most 63: %w", name, errdefs.ErrInvalidArgument)
	}
	release, err = claim(l.path("content", "busy", "name-"+name), func() error { return context.Cause(ctx) })
	if err != nil {
		return nil, fmt.Errorf("engine: name %q: %w", name, err)
	}
	if err := l.checkName(ctx, name); err != nil {
		release()
		return nil, err
	}
	return release, nil
}

// IsContainerName tells whether a container can have a name.
func IsContainerName(name string) bool { return idForm().MatchString(name) }

// checkName refuses a name that another container has.
func (l *Local) checkName(ctx context.Context, name string) error {
	list, err := l.Containers(ctx)
	if err != nil {
		return err
	}
	for _, c := range list {
		if c.Name == name || c.ID == name {
			return fmt.Errorf("engine: name %q: container %s has it: %w", name, c.ID, errdefs.ErrAlreadyExists)
		}
	}
	return nil
}

// Discard removes a container that was not run, or ran and is to be removed. It opens the engine anew.
func (t *Task) Discard(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	l, err := OpenLocal(ctx, t.config)
	if err != nil {
		return errors.Join(err, t.lock.Close())
	}
	err = l.removeLocked(ctx, t.c.ID, t.c.Runtime, t.lock)
	err = errors.Join(err, l.UnmountIdle(ctx))
	return errors.Join(err, l.Close())
}

// UnmountIdle unmounts blobs that no container needs any more.
func (l *Local) UnmountIdle(ctx context.Context) error {
	_, err := l.Store.UnmountIdle(ctx)
	return err
}

// finish records how a container ended, and removes it if that was wanted.
func (t *Task) finish(ctx context.Context, code int) error {
	if t.c.Remove {
		return t.Discard(ctx)
	}
	err := writeRecord(filepath.Join(t.dir, "exit.json"), exitRecord{code, time.Now()})
	return errors.Join(err, t.lock.Close())
}
