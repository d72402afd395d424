package tree

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/laminafs/lamina/internal/oracle"
)

// The judge of Merge is overlayfs: the same layers as directories, mounted, walked with os and syscall.
func TestMergeIsWhatOverlayfsShows(t *testing.T) {
	oracle.NeedRoot(t)
	rnd := rand.New(rand.NewPCG(1, 2))
	cases, names := 60, 0
	if testing.Short() {
		cases = 10
	}
	for i := range cases {
		src := make([]byte, 100+rnd.IntN(500))
		for j := range src {
			src[j] = byte(rnd.Uint32())
		}
		r := random{src}
		layers := make([]*Tree, 2+rnd.IntN(4))
		for j := range layers {
			layers[j] = r.tree(true)
			explicit(layers[j])
		}
		want := show(t, overlay(t, layers), true)
		names += len(want)
		got := dump(t, merged(t, clones(layers)...))
		if w := strings.Join(want, "\n") + "\n"; got != w {
			t.Fatalf("case %d: merged\n%soverlayfs shows\n%s", i, got, w)
		}
		squashed, err := Squash(clones(layers)...)
		must(t, err)
		alone := show(t, overlay(t, []*Tree{New(), squashed}), false)
		if a, w := strings.Join(alone, "\n"), strings.Join(want, "\n"); a != w {
			t.Fatalf("case %d: squashed\n%s\nwant\n%s", i, a, w)
		}
	}
	if names < 5*cases {
		t.Fatalf("only %d names in %d cases", names, cases)
	}
}

// explicit gives implied directories, of which overlayfs knows nothing, an entry of their own.
func explicit(t *Tree) {
	for _, n := range t.Inodes() {
		if n.IsDir() {
			n.SetImplied(false)
		}
	}
}

// overlay writes the layers to directories and mounts them over each other; it returns the mount point.
func overlay(t *testing.T, layers []*Tree) string {
	t.Helper()
	base := t.TempDir()
	t.Chdir(base) // for short paths: mount options have one page
	var lower []string
	for i, l := range layers {
		dir := fmt.Sprint("l", i)
		write(t, l, dir)
		lower = append(lower, dir)
	}
	slices.Reverse(lower)
	must(t, os.Mkdir("m", 0o755))
	must(t, syscall.Mount("overlay", "m", "overlay", syscall.MS_RDONLY, "lowerdir="+strings.Join(lower, ":")))
	m := filepath.Join(base, "m")
	t.Cleanup(func() { must(t, syscall.Unmount(m, 0)) })
	return m
}

// write makes a directory of a layer with plain system calls.
func write(t *testing.T, l *Tree, base string) {
	t.Helper()
	first := map[*Node]string{}
	var dirs []func()
	_ = l.Walk(func(path string, n *Node) error {
		path = filepath.Join(base, path)
		if old, ok := first[n]; ok {
			must(t, os.Link(old, path))
			return nil
		}
		if first[n] = path; n.IsDir() {
			must(t, os.Mkdir(path, 0o700))
			dirs = append(dirs, func() { meta(t, path, n) })
			return nil
		}
		switch n.Type() {
		case TypeRegular:
			b := make([]byte, n.Size)
			if n.Size > 0 {
				_, err := n.Content.ReadAt(b, 0)
				must(t, err)
			}
			must(t, os.WriteFile(path, b, 0o600))
		case TypeSymlink:
			must(t, os.Symlink(n.Target, path))
		default:
			must(t, syscall.Mknod(path, n.Mode, int(n.Rdev))) // small numbers: rdev is dev_t
		}
		meta(t, path, n)
		return nil
	})
	slices.Reverse(dirs)
	for _, done := range dirs {
		done()
	}
}

func meta(t *testing.T, path string, n *Node) {
	t.Helper()
	must(t, os.Lchown(path, int(n.UID), int(n.GID)))
	if n.Type() != TypeSymlink {
		must(t, syscall.Chmod(path, n.Mode&PermMask))
		for _, x := range n.Xattrs {
			must(t, syscall.Setxattr(path, x.Name, []byte(x.Value), 0))
		}
	}
	mtime, err := unix.TimeToTimespec(time.Unix(n.Mtime, int64(n.Nsec)))
	must(t, err)
	must(t, unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{{Nsec: unix.UTIME_OMIT}, mtime}, unix.AT_SYMLINK_NOFOLLOW))
}

// show walks a directory and writes the lines of Dump. Names that are listed but not there are whiteouts
// in a directory of one layer without trusted.overlay.origin; they are left out with ghosts, else they fail.
func show(t *testing.T, base string, ghosts bool) (lines []string) {
	t.Helper()
	type inode struct{ dev, ino uint64 }
	first, count := map[inode]string{}, map[inode]int{}
	scan := func(fn func(path string, st *syscall.Stat_t)) {
		must(t, filepath.WalkDir(base, func(path string, e os.DirEntry, err error) error {
			if os.IsNotExist(err) && ghosts {
				return nil
			}
			must(t, err)
			var st syscall.Stat_t
			if err := syscall.Lstat(path, &st); err == syscall.ENOENT && ghosts {
				return nil
			} else if err != nil {
				return err
			}
			rel, err := filepath.Rel(base, path)
			if rel == "." {
				rel = ""
			}
			fn(rel, &st)
			return err
		}))
	}
	scan(func(path string, st *syscall.Stat_t) { count[inode{st.Dev, st.Ino}]++ })
	scan(func(path string, st *syscall.Stat_t) {
		id := inode{st.Dev, st.Ino}
		if f, ok := first[id]; ok && st.Mode&syscall.S_IFMT != syscall.S_IFDIR {
			lines = append(lines, fmt.Sprintf("%q = %q", path, f))
			return
		}
		if count[id] > 1 {
			first[id] = path
		}
		lines = append(lines, line(t, filepath.Join(base, path), path, st))
	})
	return lines
}

func line(t *testing.T, file, path string, st *syscall.Stat_t) string {
	t.Helper()
	s := fmt.Sprintf("%q %c %04o %d:%d %d.%09d", path, typeLetter(st.Mode), st.Mode&0o7777, st.Uid, st.Gid, st.Mtim.Sec, st.Mtim.Nsec)
	switch st.Mode & syscall.S_IFMT {
	case syscall.S_IFREG:
		b, err := os.ReadFile(file)
		must(t, err)
		sum, _ := digest(&Node{Size: int64(len(b)), Content: Bytes(b)})
		s += fmt.Sprintf(" %d %s", len(b), sum)
	case syscall.S_IFLNK:
		target, err := os.Readlink(file)
		must(t, err)
		return s + fmt.Sprintf(" -> %q", target)
	case syscall.S_IFCHR:
		s += fmt.Sprintf(" %d:%d", st.Rdev>>8, st.Rdev&0xff)
	}
	list := make([]byte, 4096)
	n, err := syscall.Listxattr(file, list)
	must(t, err)
	var found []string
	for name := range strings.SplitSeq(string(list[:n]), "\x00") {
		if name == "" {
			continue
		}
		value := make([]byte, 4096)
		n, err := syscall.Getxattr(file, name, value)
		must(t, err)
		found = append(found, fmt.Sprintf(" %q=%q", name, value[:n]))
	}
	slices.Sort(found)
	return s + strings.Join(found, "")
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
