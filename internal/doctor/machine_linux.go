package doctor

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/laminafs/lamina/internal/mount"
)

var errRefused = errors.New("refused")

// nearest is dir or the directory above it that exists.
func nearest(dir string) string {
	for {
		if st, err := os.Stat(dir); err == nil && st.IsDir() || dir == "/" {
			return dir
		}
		dir = filepath.Dir(dir)
	}
}

func (r *Report) kernel(o Options) {
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		r.add("kernel", "release", OK, unix.ByteSliceToString(u.Release[:]))
	}
	k, err := mount.Probe(nearest(o.Root))
	r.try("kernel", "erofs", err, Failed, "images can be mounted", "images cannot be mounted: modprobe erofs, CONFIG_EROFS_FS")
	if err != nil {
		return
	}
	r.try("kernel", "file-backed mounts", refused(k.FileBacked), Missing, "images are mounted without loop devices", "loop devices are used: Linux before 6.12, or built without CONFIG_EROFS_FS_BACKED_BY_FILE")
	if !k.FileBacked {
		_, err := os.Stat("/dev/loop-control")
		r.try("kernel", "loop devices", err, Failed, "there", "no way to mount images: modprobe loop")
	}
	r.try("kernel", "long overlays", refused(k.LowerdirPlus), Missing, "up to 500 layers", "what fits a page: about 100 layers; Linux before 6.7")
	m := mount.IDMap{UIDs: []mount.IDRange{{Inside: 0, Outside: 100000, Count: 1}}, GIDs: []mount.IDRange{{Inside: 0, Outside: 100000, Count: 1}}}
	ns, err := m.Namespace()
	if err == nil {
		_ = ns.Close() // nothing used it
	}
	r.try("kernel", "user namespaces", err, Missing, "containers may have their own users", "no remap-ids: user.max_user_namespaces, CONFIG_USER_NS")
}

func refused(ok bool) error {
	if ok {
		return nil
	}
	return errRefused
}

func (r *Report) files(o Options) {
	dir := nearest(o.Root)
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		r.add("store", "file system", Failed, err.Error())
		return
	}
	r.add("store", "file system", OK, fmt.Sprintf("%s: %s, %d GiB free", dir, fsName(int64(st.Type)), st.Bavail*uint64(st.Bsize)>>30))
	tmp, err := os.MkdirTemp(dir, ".lamina-doctor-")
	if err != nil {
		r.add("store", "writable", Failed, err.Error())
		return
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	r.try("store", "overlay", overlayOn(tmp), Failed, "takes what containers write", "cannot take what containers write: overlayfs refuses it, is it an overlay itself?")
	r.try("store", "reflink", reflink(tmp), Missing, "native layers are taken over without a copy, from other directories of the same file system too", "native layers are hard links where that is possible, else copies")
	r.try("store", "immutable flag", immutable(tmp), Missing, "set_immutable works", "set_immutable does not work")
	r.try("store", "project quota", project(tmp), Missing, `quota = "project" works`, `use quota = "image": project quota needs xfs or ext4 mounted with prjquota`)
	_, err = exec.LookPath("mkfs.ext4")
	r.try("store", "mkfs.ext4", err, Missing, `quota = "image" works`, `quota = "image" needs e2fsprogs`)
}

// fsNames are the magic numbers of statfs(2) that people have under containers.
var fsNames = map[int64]string{
	unix.EXT4_SUPER_MAGIC: "ext4", unix.XFS_SUPER_MAGIC: "xfs", unix.BTRFS_SUPER_MAGIC: "btrfs",
	unix.TMPFS_MAGIC: "tmpfs: gone after a reboot", unix.OVERLAYFS_SUPER_MAGIC: "overlay", unix.NFS_SUPER_MAGIC: "nfs", 0x2fc12fc1: "zfs",
}

func fsName(magic int64) string {
	if n := fsNames[magic]; n != "" {
		return n
	}
	return fmt.Sprintf("type %#x", magic)
}

func overlayOn(tmp string) error {
	dirs := map[string]string{}
	for _, d := range []string{"lower", "upper", "work", "target"} {
		dirs[d] = filepath.Join(tmp, d)
		if err := os.Mkdir(dirs[d], 0o700); err != nil {
			return err
		}
	}
	err := mount.Overlay(dirs["target"], mount.OverlayOptions{Lowers: []string{dirs["lower"]}, Upper: dirs["upper"], Work: dirs["work"]})
	if err != nil {
		return err
	}
	return mount.Umount(dirs["target"], true)
}

// file makes a small file.
func file(path string) (*os.File, error) {
	f, err := os.Create(path)
	if err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	return f, err
}

func reflink(tmp string) error {
	from, err := file(filepath.Join(tmp, "from"))
	if err != nil {
		return err
	}
	defer func() { _ = from.Close() }()
	to, err := os.Create(filepath.Join(tmp, "to"))
	if err != nil {
		return err
	}
	defer func() { _ = to.Close() }()
	return unix.IoctlFileClone(int(to.Fd()), int(from.Fd()))
}

func immutable(tmp string) error {
	f, err := file(filepath.Join(tmp, "immutable"))
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	if err := mount.SetImmutable(f.Name(), true); err != nil {
		return err
	}
	return mount.SetImmutable(f.Name(), false)
}

// probeProject is a project id that nobody else takes for the moment of a trial.
const probeProject = 0x7fee1d0c

func project(tmp string) error {
	dir := filepath.Join(tmp, "project")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	if err := mount.SetProject(dir, probeProject, 1<<20); err != nil {
		return err
	}
	return errors.Join(os.Remove(dir), mount.ClearProject(tmp, probeProject))
}

// sameMounts tells whether the process behind a socket sees the mounts that this process sees.
func sameMounts(pid int32) (bool, error) {
	theirs, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/mnt", pid))
	if err != nil {
		return false, err
	}
	ours, err := os.Readlink("/proc/self/ns/mnt")
	return strings.TrimSpace(theirs) == ours, err
}
