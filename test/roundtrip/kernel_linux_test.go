package roundtrip

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/laminafs/lamina/tree"
)

// kernelShows compares everything that system calls show of a mounted image with a tree: names, owners, modes, times,
// links, devices, targets, extended attributes and bytes.
func kernelShows(t *testing.T, dir string, want *tree.Tree) {
	t.Helper()
	_ = want.Inodes() // counts links
	first := map[*tree.Node]uint64{}
	err := want.Walk(func(path string, n *tree.Node) error {
		at := filepath.Join(dir, path)
		var st unix.Stat_t
		if err := unix.Lstat(at, &st); err != nil {
			t.Errorf("%q: %v", path, err)
			return nil
		}
		if st.Mode != n.Mode || st.Uid != n.UID || st.Gid != n.GID || int64(st.Mtim.Sec) != n.Mtime || uint32(st.Mtim.Nsec) != n.Nsec {
			t.Errorf("%q: mode %o owner %d:%d time %d.%d, want %o %d:%d %d.%d", path, st.Mode, st.Uid, st.Gid, st.Mtim.Sec, st.Mtim.Nsec,
				n.Mode, n.UID, n.GID, n.Mtime, n.Nsec)
		}
		if uint64(st.Nlink) != uint64(max(n.Links(), 1)) {
			t.Errorf("%q: %d links, want %d", path, st.Nlink, n.Links())
		}
		if ino, seen := first[n]; seen && ino != st.Ino {
			t.Errorf("%q: inode %d, another name of it has %d", path, st.Ino, ino)
		}
		first[n] = st.Ino
		kernelShowsBody(t, at, path, &st, n)
		kernelShowsXattrs(t, at, path, n)
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func kernelShowsBody(t *testing.T, at, path string, st *unix.Stat_t, n *tree.Node) {
	t.Helper()
	switch n.Type() {
	case tree.TypeDir:
		list, err := os.ReadDir(at)
		var got, names []string
		for _, e := range list {
			got = append(got, e.Name())
		}
		for _, e := range n.Entries() {
			names = append(names, e.Name)
		}
		if slices.Sort(got); err != nil || !slices.Equal(got, names) {
			t.Errorf("%q: %d entries, want %d, or others: %v", path, len(got), len(names), err)
		}
	case tree.TypeSymlink:
		if got, err := os.Readlink(at); err != nil || got != n.Target {
			t.Errorf("%q: leads to %.40q, want %.40q: %v", path, got, n.Target, err)
		}
	case tree.TypeChar, tree.TypeBlock:
		if major, minor := unix.Major(uint64(st.Rdev)), unix.Minor(uint64(st.Rdev)); tree.Dev(major, minor) != n.Rdev {
			t.Errorf("%q: device %d:%d, want %#x", path, major, minor, n.Rdev)
		}
	case tree.TypeRegular:
		want := make([]byte, n.Size)
		if n.Size > 0 {
			if _, err := n.Content.ReadAt(want, 0); err != nil && err != io.EOF {
				t.Error(err)
			}
		}
		if got, err := os.ReadFile(at); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%q: %d bytes, want %d, or others: %v", path, len(got), len(want), err)
		}
	}
}

// kernelShowsXattrs compares extended attributes, but for access control lists, of which the kernel makes its own.
func kernelShowsXattrs(t *testing.T, at, path string, n *tree.Node) {
	t.Helper()
	b := make([]byte, 1<<16)
	size, err := unix.Llistxattr(at, b)
	if err != nil {
		t.Errorf("%q: xattrs: %v", path, err)
		return
	}
	want := map[string]string{}
	for _, a := range n.Xattrs {
		if !strings.HasPrefix(a.Name, "system.") {
			want[a.Name] = a.Value
		}
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(b[:size]), "\x00"), "\x00") {
		if name == "" || strings.HasPrefix(name, "system.") {
			continue
		}
		value, has := want[name]
		if delete(want, name); !has {
			t.Errorf("%q: xattr %q is not in the source", path, name)
			continue
		}
		if strings.HasPrefix(name, "user.") && !n.IsRegular() && !n.IsDir() {
			continue // Linux lists them, and forbids to read them
		}
		v := make([]byte, 1<<16)
		l, err := unix.Lgetxattr(at, name, v)
		if err != nil || string(v[:l]) != value {
			t.Errorf("%q: xattr %q: %q, want %q: %v", path, name, v[:max(l, 0)], value, err)
		}
	}
	for name := range want {
		if n.IsRegular() || n.IsDir() || !strings.HasPrefix(name, "user.") {
			t.Errorf("%q: xattr %q is missing", path, name)
		}
	}
}
