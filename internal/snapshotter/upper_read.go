package snapshotter

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/containerd/errdefs"

	"github.com/laminafs/lamina/internal/mount"
)

// upperToRead finds the upper directory of a snapshot that is to be committed. release gives it up.
func (s *Snapshotter) upperToRead(ctx context.Context, st *state) (dir string, release func(), err error) {
	nothing := func() {}
	image, err := exists(s.store.QuotaImage(st.id))
	if err != nil {
		return "", nothing, err
	}
	if image {
		mounted, err := mount.Mounted(s.store.QuotaMount(st.id))
		if st.managed && (err != nil || !mounted) {
			return s.readImage(ctx, st)
		}
	}
	up, err := s.upper(ctx, st)
	return up.fs, nothing, err
}

// readImage mounts a checked copy of the image that a virtual machine has written to, in passing and read-only.
func (s *Snapshotter) readImage(ctx context.Context, st *state) (dir string, release func(), err error) {
	nothing := func() {}
	if err := waitForLoop(ctx, s.store.QuotaImage(st.id)); err != nil {
		return "", nothing, err
	}
	target, err := os.MkdirTemp(s.store.Snapshot(st.id), "commit-")
	if err != nil {
		return "", nothing, err
	}
	if err := mount.MountGuest(ctx, s.store.QuotaImage(st.id), target); err != nil {
		_ = os.Remove(target)
		return "", nothing, err
	}
	release = func() {
		if mount.Umount(target, true) == nil {
			_ = os.Remove(target)
		}
	}
	dir, err = changesIn(target)
	if err != nil {
		release()
		return "", nothing, fmt.Errorf("%s: %w", s.store.QuotaImage(st.id), err)
	}
	return dir, release, nil
}

// changesIn finds the upper directory in an image that a virtual machine has written to, to the device and not only
// through an overlay: a link there would lead to files of this machine.
func changesIn(root string) (string, error) {
	// Without the first nobody has mounted it: the changes are none, as in the second, which mkfs makes.
	for _, name := range []string{"fs", "lost+found"} {
		dir := filepath.Join(root, name)
		info, err := os.Lstat(dir)
		switch {
		case err == nil && info.IsDir():
			return dir, nil
		case err == nil:
			return "", fmt.Errorf("%s in it is no directory: %w", name, errdefs.ErrFailedPrecondition)
		case !errors.Is(err, fs.ErrNotExist):
			return "", err
		}
	}
	return "", fmt.Errorf("no directory of changes in it: %w", errdefs.ErrFailedPrecondition)
}

// waitForLoop waits until no loop device has an image. Unmounting an overlay lets go of the file system of
// its upper directory some time after umount(2) has returned, and until then the image is behind.
func waitForLoop(ctx context.Context, image string) error {
	const patience, pause = 5 * time.Second, 2 * time.Millisecond
	want, err := os.Stat(image)
	if err != nil {
		return err
	}
	for end := time.Now().Add(patience); ; time.Sleep(pause) {
		device, err := loopOf(want)
		if err != nil || device == "" {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if time.Now().After(end) {
			return fmt.Errorf("%s: is mounted on this machine, by %s: %w", image, device, errdefs.ErrFailedPrecondition)
		}
	}
}

// loopOf names the loop device that a file is behind; "" if there is none.
func loopOf(file os.FileInfo) (string, error) {
	all, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	if err != nil {
		return "", err
	}
	for _, path := range all {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // gone meanwhile
		}
		if st, err := os.Stat(strings.TrimSuffix(string(b), "\n")); err == nil && os.SameFile(st, file) {
			return filepath.Join("/dev", filepath.Base(filepath.Dir(filepath.Dir(path)))), nil
		}
	}
	return "", nil
}
