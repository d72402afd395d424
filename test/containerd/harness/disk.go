//go:build linux

package harness

import (
	"context"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// A Disk is a file system of its own in a file, mounted through a loop device.
type Disk struct {
	Image string // the backing file
	Dir   string // where it is mounted
}

// NewDisk makes a file system of kind ext4 or xfs in a sparse file of size bytes and mounts it. Close takes it away.
func (b *Bench) NewDisk(ctx context.Context, name, kind string, size int64) (*Disk, error) {
	return b.NewDiskAt(ctx, b.Path(name+".img"), name, kind, size)
}

// NewDiskAt is NewDisk with a backing file elsewhere; the caller removes that.
func (b *Bench) NewDiskAt(ctx context.Context, image, name, kind string, size int64) (*Disk, error) {
	d := &Disk{Image: image, Dir: b.Path(name)}
	f, err := os.Create(d.Image)
	if err != nil {
		return nil, err
	}
	if err := f.Truncate(size); err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	mkfs := []string{"mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard"}
	if kind == "xfs" {
		mkfs = []string{"mkfs.xfs", "-q"}
	}
	if _, err := Run(ctx, nil, append(mkfs, d.Image)...); err != nil {
		return nil, err
	}
	if err := d.Mount(ctx); err != nil {
		return nil, err
	}
	b.Defer(d.Unmount)
	return d, nil
}

// Mount mounts the disk; mount(8) makes a loop device that goes away with the mount.
func (d *Disk) Mount(ctx context.Context) error {
	if err := os.MkdirAll(d.Dir, 0o755); err != nil {
		return err
	}
	options := "loop,noinit_itable" // nothing writes behind our back
	if kind, _ := Run(ctx, nil, "blkid", "-o", "value", "-s", "TYPE", d.Image); strings.TrimSpace(kind) == "xfs" {
		options = "loop,nouuid" // a copy has the name of its original
	}
	_, err := Run(ctx, nil, "mount", "-o", options, d.Image, d.Dir)
	return err
}

// Sync writes all that the kernel has for the disk.
func (d *Disk) Sync() error {
	f, err := os.Open(d.Dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.Syncfs(int(f.Fd()))
}

// Unmount takes the disk away with all that is mounted below; mounts that were below are an error. It is idempotent.
func (d *Disk) Unmount() error {
	points, err := mountsBelow(d.Dir)
	if err != nil || len(points) == 0 {
		return err
	}
	if len(points) > 1 {
		err = fmt.Errorf("still mounted on the disk: %s", strings.Join(points[1:], " "))
	}
	if e := unmountAll(d.Dir); e != nil {
		return e
	}
	return err
}
