//go:build linux

package harness

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
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
	d := &Disk{Image: b.Path(name + ".img"), Dir: b.Path(name)}
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
	mkfs := []string{"mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0"}
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
	options := "loop"
	if kind, _ := Run(ctx, nil, "blkid", "-o", "value", "-s", "TYPE", d.Image); strings.TrimSpace(kind) == "xfs" {
		options += ",nouuid" // a copy has the name of its original
	}
	_, err := Run(ctx, nil, "mount", "-o", options, d.Image, d.Dir)
	return err
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

// Cut copies the backing file as it is now to a new disk below the bench: what a machine without power would find. The
// copy keeps holes. What the kernel has in memory only is not in it.
func (b *Bench) Cut(ctx context.Context, d *Disk, name string) (*Disk, error) {
	c := &Disk{Image: b.Path(name + ".img"), Dir: b.Path(name)}
	if err := sparseCopy(d.Image, c.Image); err != nil {
		return nil, err
	}
	b.Defer(c.Unmount)
	return c, nil
}

// Drop unmounts a copy and removes it.
func (d *Disk) Drop() error {
	if err := d.Unmount(); err != nil {
		return err
	}
	if err := os.Remove(d.Dir); err != nil && !os.IsNotExist(err) {
		return err
	}
	return os.Remove(d.Image)
}

// sparseCopy copies the data of a file; holes stay holes.
func sparseCopy(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	out, err := os.Create(filepath.Clean(to))
	if err != nil {
		return err
	}
	defer out.Close()
	if err := out.Truncate(info.Size()); err != nil {
		return err
	}
	for at := int64(0); ; {
		data, err := unix.Seek(int(in.Fd()), at, unix.SEEK_DATA)
		if err == unix.ENXIO {
			return out.Close()
		}
		if err != nil {
			return err
		}
		hole, err := unix.Seek(int(in.Fd()), data, unix.SEEK_HOLE)
		if err != nil {
			return err
		}
		for off := data; off < hole; {
			r, w := off, off
			n, err := unix.CopyFileRange(int(in.Fd()), &r, int(out.Fd()), &w, int(hole-off), 0)
			if err != nil {
				return err
			}
			if n == 0 {
				break
			}
			off += int64(n)
		}
		at = hole
	}
}
