package snapshotter

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"

	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/errdefs"

	"github.com/laminafs/lamina/erofs"
	"github.com/laminafs/lamina/internal/mount"
	"github.com/laminafs/lamina/internal/store"
)

// upper is what takes the changes of a snapshot.
type upper struct {
	fs, work string
	kind     quotaKind // what it is kept to its size by, if it is; "" if nothing does
}

// fileSystem is what is in an image that limits a snapshot.
func (q quotaKind) fileSystem() string {
	if q == quotaXFS {
		return "xfs"
	}
	return "ext4"
}

// sizeOf is the size that a snapshot is kept to, 0 for none. Layers are unpacked without a limit: it would
// be the one for containers, and the label may come from a manifest.
func (s *Snapshotter) sizeOf(st *state) (int64, error) {
	if st.kind != snapshots.KindActive || st.unpacks() {
		return 0, nil
	}
	size, ok, err := sizeOf(st.info.Labels)
	if err != nil || ok {
		return size, err
	}
	return s.conf.defaultSize, nil
}

// upper makes the upper directory of an active snapshot, or finds it. Which kind it is shows on disk, so
// it stays the same when the configuration changes.
func (s *Snapshotter) upper(ctx context.Context, st *state) (upper, error) {
	defer s.locks.lock(st.id)()
	plain := upper{fs: s.store.Upper(st.id), work: s.store.Work(st.id)}
	if is, err := exists(plain.fs); is || err != nil {
		return plain, err
	}
	if is, err := exists(s.store.QuotaImage(st.id)); err != nil {
		return upper{}, err
	} else if is {
		return s.image(ctx, st)
	}
	dir := s.store.Snapshot(st.id)
	if err := os.Mkdir(dir, 0o711); err != nil && !errors.Is(err, fs.ErrExist) {
		return upper{}, err
	}
	size, err := s.sizeOf(st)
	switch {
	case err != nil:
		return upper{}, err
	case size > 0 && s.conf.quota != quotaProject:
		if err := s.makeImage(ctx, st, size); err != nil {
			return upper{}, err
		}
		return s.image(ctx, st)
	case size > 0:
		if err := mount.SetProject(dir, projectOf(st.id), uint64(size)); err != nil {
			return upper{}, fmt.Errorf("project quota: %w", err)
		}
	}
	return plain, s.makeUpper(st, plain)
}

// projectBase is added to the number of a snapshot to get its project on the file system of the store.
// The numbers below are for others.
const projectBase = 1 << 30

func projectOf(id string) uint32 {
	n, _ := strconv.ParseUint(id, 10, 64)
	return projectBase + uint32(n%projectBase)
}

// image mounts the file system image of a snapshot. That of a managed one is for somebody else to mount.
func (s *Snapshotter) image(ctx context.Context, st *state) (upper, error) {
	up := upper{fs: s.store.QuotaUpper(st.id), work: s.store.QuotaWork(st.id), kind: quotaImage}
	if st.managed {
		return up, nil
	}
	dir := s.store.QuotaMount(st.id)
	if err := os.Mkdir(dir, 0o711); err != nil && !errors.Is(err, fs.ErrExist) {
		return up, err
	}
	is, err := mount.Mounted(dir)
	if err != nil {
		return up, err
	}
	if !is {
		if err := s.checkGuest(ctx, st.id); err != nil {
			return up, err
		}
		if err := mount.MountImage(s.store.QuotaImage(st.id), dir); err != nil {
			return up, err
		}
	}
	made := false
	for _, path := range []string{up.work, up.fs} { // a virtual machine may have written to it, and links lead to our files
		info, err := os.Lstat(path)
		switch {
		case err == nil && !info.IsDir():
			return up, fmt.Errorf("%s: no directory: %w", path, errdefs.ErrFailedPrecondition)
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return up, err
		}
		made = err == nil
	}
	if made {
		return up, nil
	}
	return up, s.makeUpper(st, up)
}

// guestMark is beside an image that was handed out, as an image, to whoever mounts it elsewhere.
func (s *Snapshotter) guestMark(id string) string { return s.store.QuotaImage(id) + ".guest" }

// markGuest notes that an image is going to a guest.
func (s *Snapshotter) markGuest(id string) error {
	f, err := os.OpenFile(s.guestMark(id), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// checkGuest checks an image that a guest may have written to before the kernel sees it, which trusts what is in it.
func (s *Snapshotter) checkGuest(ctx context.Context, id string) error {
	if is, err := exists(s.guestMark(id)); err != nil || !is {
		return err
	}
	if err := waitForLoop(ctx, s.store.QuotaImage(id)); err != nil {
		return err
	}
	return mount.CheckGuest(ctx, s.store.QuotaImage(id))
}

// makeImage makes an image under another name: who finds one finds it finished. Managed mounts know ext4 only.
func (s *Snapshotter) makeImage(ctx context.Context, st *state, size int64) error {
	path := s.store.QuotaImage(st.id)
	unfinished := path + ".new"
	if err := os.Remove(unfinished); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	do := mount.Ext4Image
	if s.conf.quota == quotaXFS && !st.managed {
		do = mount.XFSImage
	}
	if err := do(ctx, unfinished, size, mount.ImageOptions{}); err != nil {
		return err
	}
	return os.Rename(unfinished, path)
}

// makeUpper makes the directories of an overlay. The root of what is mounted is the upper directory, so it
// begins as the root of the highest layer: its owner and mode.
func (s *Snapshotter) makeUpper(st *state, up upper) error {
	if err := os.Mkdir(up.work, 0o711); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	root, err := s.rootOf(st)
	if err != nil {
		return err
	}
	unfinished := up.fs + ".new"
	if err := os.Mkdir(unfinished, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if s.mounts && (root.uid != 0 || root.gid != 0) {
		if err := os.Lchown(unfinished, root.uid, root.gid); err != nil {
			return err
		}
	}
	if err := os.Chmod(unfinished, root.mode); err != nil {
		return err
	}
	return os.Rename(unfinished, up.fs)
}

// rootDir is what a root directory begins with.
type rootDir struct {
	uid, gid int
	mode     fs.FileMode
}

func (s *Snapshotter) rootOf(st *state) (rootDir, error) {
	r := rootDir{mode: 0o755}
	if len(st.parents) > 0 {
		var err error
		if r, err = s.rootOfBlob(st); err != nil {
			return r, err
		}
	}
	ids, err := store.MappingOf(st.info.Labels)
	if err != nil || ids == nil {
		return r, err
	}
	uid, ok := mapID(ids.UIDs, r.uid)
	gid, ok2 := mapID(ids.GIDs, r.gid)
	if !ok || !ok2 {
		return r, fmt.Errorf("owner %d:%d of the root directory is not in the mapping: %w", r.uid, r.gid, errdefs.ErrInvalidArgument)
	}
	r.uid, r.gid = uid, gid
	return r, nil
}

// rootOfBlob looks at the root directory of the highest layer: in its mount, or, where it is not mounted
// (managed style, users that are not root), in the image.
func (s *Snapshotter) rootOfBlob(st *state) (rootDir, error) {
	b := st.parents[0]
	if s.mounts && !st.managed {
		info, err := os.Stat(s.store.MountPoint(b.N))
		if err != nil {
			return rootDir{}, err
		}
		uid, gid := ownerOf(info)
		return rootDir{uid, gid, info.Mode() & (fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky)}, nil
	}
	f, err := os.Open(s.store.Path(b))
	if err != nil {
		return rootDir{}, err
	}
	defer func() { _ = f.Close() }() // only read
	im, err := erofs.Open(f)
	if err != nil {
		return rootDir{}, fmt.Errorf("%s: %w", f.Name(), err)
	}
	root := im.Root()
	return rootDir{int(root.UID), int(root.GID), fileMode(root.Mode)}, nil
}

// fileMode has the permission bits of an inode.
func fileMode(mode uint32) fs.FileMode {
	m := fs.FileMode(mode & 0o777)
	for bit, is := range map[uint32]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if mode&bit != 0 {
			m |= is
		}
	}
	return m
}

// clear removes the directory of a snapshot with the mounts in it, detached from whoever uses them.
func (s *Snapshotter) clear(id string) error {
	for _, dir := range []string{s.store.Rootfs(id), s.store.QuotaMount(id)} {
		for {
			is, err := mount.Mounted(dir)
			if err != nil || !is {
				break
			}
			if err := mount.Umount(dir, true); err != nil {
				return err
			}
		}
	}
	dir := s.store.Snapshot(id)
	if s.conf.quota == quotaProject {
		if project, err := mount.ProjectOf(dir); err == nil && project >= projectBase {
			_ = mount.ClearProject(s.store.Root, project) // a limit that is left limits nothing
		}
	}
	return os.RemoveAll(dir)
}

func exists(path string) (bool, error) {
	_, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
