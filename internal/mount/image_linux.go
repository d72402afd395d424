package mount

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Ext4Image makes a sparse file of size bytes, from MinExt4, with an empty ext4, by mkfs.ext4 of the system; without that
// the error matches exec.ErrNotFound. path must not exist; it is gone after an error. Metadata and journal are part of
// size. The file is on disk when Ext4Image returns, its name need not be.
func Ext4Image(ctx context.Context, path string, size int64, o ImageOptions) error {
	if err := checkSize(path, size, MinExt4); err != nil {
		return err
	}
	return makeImage(ctx, path, size, "mkfs.ext4", ext4Args(path, size, o))
}

// XFSImage is Ext4Image for xfs, mkfs.xfs and MinXFS.
func XFSImage(ctx context.Context, path string, size int64, o ImageOptions) error {
	if err := checkSize(path, size, MinXFS); err != nil {
		return err
	}
	return makeImage(ctx, path, size, "mkfs.xfs", xfsArgs(path, o))
}

func makeImage(ctx context.Context, path string, size int64, program string, args []string) (err error) {
	program, err = find(program)
	if err != nil {
		return fmt.Errorf("mount: image %s: %w", path, err)
	}
	args[len(args)-1], err = filepath.Abs(path)
	if err != nil {
		return fmt.Errorf("mount: image: %w", err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("mount: image: %w", err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(path)
		}
	}()
	if err := errors.Join(f.Truncate(size/imageBlock*imageBlock), f.Close()); err != nil {
		return fmt.Errorf("mount: image: %w", err)
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = []string{"LC_ALL=C"}
	out, err := cmd.CombinedOutput()
	if err != nil {
		const said = 512 // bytes of what mkfs wrote, the end of it
		out = bytes.TrimSpace(out[max(0, len(out)-said):])
		return fmt.Errorf("mount: image %s: %s: %w: %s", path, filepath.Base(program), errors.Join(err, ctx.Err()), out)
	}
	return nil
}

// find looks a program up where administrators' programs are, too: not every PATH has them.
func find(program string) (string, error) {
	path, err := exec.LookPath(program)
	for _, dir := range []string{"/usr/sbin", "/sbin"} {
		if err == nil {
			break
		}
		path, err = exec.LookPath(filepath.Join(dir, program))
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", program, exec.ErrNotFound)
	}
	return path, nil
}

// emptyAttr is on the root directory of an image: what the file system took when nothing was in it. It needs no fsync:
// the journal keeps it ahead of all that is written later.
const emptyAttr = "trusted.lamina.empty"

// MountImage mounts an image of Ext4Image or XFSImage at dir, writable, by a loop device that goes with the mount. It
// does direct I/O where the file system below can, so that data is cached once; blocks of deleted files are given back
// to it. If the disk below is full, writers in the image get EIO, not ENOSPC: the file is sparse.
func MountImage(path, dir string) (err error) {
	fstype, err := imageType(path)
	if err != nil {
		return err
	}
	loop, err := attach(path, loopMode{writable: true, block: imageBlock})
	if err != nil {
		return err
	}
	defer func() { _ = loop.Close() }() // the mount keeps it; autoclear frees it with the mount
	params := []param{{key: "source", value: loop.Name()}, {key: "discard"}}
	if fstype == "ext4" {
		params = append(params, param{key: "errors", value: "remount-ro"})
	} else {
		params = append(params, param{key: "nouuid"}) // a copy of an image may be mounted beside it
	}
	if err := mountFS(fstype, dir, params, 0); err != nil {
		return err
	}
	if err := rememberEmpty(dir); err != nil {
		return errors.Join(err, Umount(dir, false))
	}
	return nil
}

// imageType names the file system in a file by its magic number: ext4 has it in the superblock at 1024, xfs at 0.
func imageType(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("mount: image: %w", err)
	}
	defer func() { _ = f.Close() }()
	var b [1024 + 58]byte
	if _, err := f.ReadAt(b[:], 0); err != nil {
		return "", fmt.Errorf("mount: image %s: %w", path, err)
	}
	switch {
	case string(b[:4]) == "XFSB":
		return "xfs", nil
	case b[1024+56] == 0x53 && b[1024+57] == 0xef:
		return "ext4", nil
	}
	return "", fmt.Errorf("mount: image %s: neither ext4 nor xfs: %w", path, errors.ErrUnsupported)
}

func rememberEmpty(dir string) error {
	var b [64]byte
	_, err := unix.Getxattr(dir, emptyAttr, b[:])
	if err == nil || !errors.Is(err, unix.ENODATA) {
		return err
	}
	u, err := taken(dir)
	if err != nil {
		return err
	}
	if err := unix.Setxattr(dir, emptyAttr, []byte(u.emptied()), 0); err != nil {
		return fmt.Errorf("mount: image at %s: %w", dir, err)
	}
	return nil
}

func taken(dir string) (Usage, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return Usage{}, fmt.Errorf("mount: image at %s: %w", dir, err)
	}
	return Usage{Bytes: int64(st.Blocks-st.Bfree) * int64(st.Bsize), Inodes: int64(st.Files - st.Ffree)}, nil
}

// ImageUsage returns what the files in the image that MountImage has mounted at dir take, by one statfs(2): the
// directories that hold them, and data that is not yet on disk, are counted.
func ImageUsage(dir string) (Usage, error) {
	var b [64]byte
	n, err := unix.Getxattr(dir, emptyAttr, b[:])
	if err != nil {
		return Usage{}, fmt.Errorf("mount: image at %s: %s: %w", dir, emptyAttr, err)
	}
	empty, err := parseEmptied(strings.TrimSpace(string(b[:n])))
	if err != nil {
		return Usage{}, fmt.Errorf("mount: image at %s: %s: %w", dir, emptyAttr, err)
	}
	u, err := taken(dir)
	if err != nil {
		return Usage{}, err
	}
	return Usage{Bytes: max(0, u.Bytes-empty.Bytes), Inodes: max(0, u.Inodes-empty.Inodes)}, nil
}
