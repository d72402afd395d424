package erofs

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/laminafs/lamina/tree"
)

// record is what a test compares of a file.
type record struct {
	mode, uid, gid, rdev uint32
	size                 int64
	mtime                int64
	nsec                 uint32
	names                int // of hard links
	sum                  [32]byte
	target               string
	xattrs               string
}

// listing is records by path; "" is the root.
type listing map[string]record

// source makes a directory with one of everything. It needs root for devices, owners and trusted xattrs.
func source(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "src")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	at := func(name string) string { return dir + "/" + name }
	must(os.Mkdir(dir, 0o751))
	for _, d := range []string{"empty", "many", "deep", "deep/a", "deep/a/b", "deep/a/b/c", "odd", "x"} {
		must(os.Mkdir(at(d), 0o755))
	}
	for _, size := range []int{0, 1, 100, 511, 512, 513, 4000, 4095, 4096, 4097, 8192, 10000, 70000, 300001} {
		must(os.WriteFile(at(fmt.Sprintf("file-%d", size)), pattern(size, byte(size)), 0o644))
	}
	must(os.WriteFile(at("same-70000"), pattern(70000, 70000%256), 0o600))
	sparse, err := os.Create(at("sparse"))
	must(err)
	for _, off := range []int64{64 << 10, 600 << 10} {
		_, err := sparse.WriteAt(pattern(5000, 7), off)
		must(err)
	}
	must(sparse.Truncate(1 << 20))
	must(sparse.Close())
	for k := range 400 {
		must(os.WriteFile(at(fmt.Sprintf("many/%s-%d", strings.Repeat("n", k%40+1), k)), []byte{byte(k)}, 0o640))
	}
	for _, name := range []string{"!", "-", "+", "..a", ".a", "...", "\xff\xfe", "ü", " ", strings.Repeat("l", 255)} {
		must(os.WriteFile(at("odd/"+name), []byte(name), 0o644))
	}
	for k, target := range []string{"file-1", "/file-1", "nowhere", strings.Repeat("t", 511), strings.Repeat("t", 4090)} {
		must(os.Symlink(target, at(fmt.Sprintf("link-%d", k))))
	}
	must(os.Link(at("file-100"), at("deep/a/hard-100")))
	must(os.Link(at("file-100"), at("x/hard-100")))
	must(unix.Mknod(at("x/char"), unix.S_IFCHR|0o600, int(unix.Mkdev(300, 0xabcde))))
	must(unix.Mknod(at("x/block"), unix.S_IFBLK|0o660, int(unix.Mkdev(8, 1))))
	must(unix.Mknod(at("x/whiteout"), unix.S_IFCHR, 0))
	must(unix.Mkfifo(at("x/fifo"), 0o644))
	must(unix.Mknod(at("x/socket"), unix.S_IFSOCK|0o700, 0))
	must(os.Lchown(at("file-513"), 1000, 100))
	must(os.Lchown(at("file-512"), 70000, 80000))
	must(os.Lchown(at("link-0"), 1, 2))
	must(unix.Chmod(at("file-1"), 0o6755))
	must(unix.Chmod(at("empty"), 0o1777))
	for k, name := range []string{"file-0", "file-1", "file-4096", "many", "link-0", "x/char"} {
		must(unix.Lsetxattr(at(name), "trusted.shared", []byte("the same value everywhere"), 0))
		must(unix.Lsetxattr(at(name), "security.long.infix.name", pattern(20+k, 9), 0))
		must(unix.Lsetxattr(at(name), "trusted.empty", nil, 0))
	}
	must(unix.Lsetxattr(at("file-1"), "user.large", pattern(2500, 3), 0))
	must(unix.Lsetxattr(at("file-1"), "security.capability", []byte("\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"), 0))
	ages(t, dir)
	return dir
}

// ages gives every file its own time, with nanoseconds.
func ages(t *testing.T, dir string) {
	t.Helper()
	k := int64(0)
	var all []string
	if err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		all = append(all, path)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	for _, path := range slices.Backward(all) {
		k++
		ts := unix.NsecToTimespec((1_500_000_000+k)*1e9 + 123456789 - k)
		if err := unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			t.Fatal(err)
		}
	}
}

// listDir reads a directory of the system.
func listDir(t *testing.T, dir string) listing {
	t.Helper()
	out := listing{}
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			return err
		}
		r := record{
			mode: st.Mode, uid: st.Uid, gid: st.Gid, mtime: int64(st.Mtim.Sec), nsec: uint32(st.Mtim.Nsec), names: int(st.Nlink),
		}
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFREG:
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			r.size, r.sum = st.Size, sha256.Sum256(b)
		case unix.S_IFLNK:
			r.target, _ = os.Readlink(path)
		case unix.S_IFCHR, unix.S_IFBLK:
			r.rdev = tree.Dev(unix.Major(st.Rdev), unix.Minor(st.Rdev))
		case unix.S_IFDIR:
			r.names = 1
		}
		r.xattrs = xattrsOf(t, path)
		out[strings.TrimPrefix(strings.TrimPrefix(path, dir), "/")] = r
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func xattrsOf(t *testing.T, path string) string {
	t.Helper()
	b := make([]byte, 64<<10)
	n, err := unix.Llistxattr(path, b)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for name := range strings.SplitSeq(strings.TrimSuffix(string(b[:n]), "\x00"), "\x00") {
		if name == "" {
			continue
		}
		v := make([]byte, 64<<10)
		n, err := unix.Lgetxattr(path, name, v)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, fmt.Sprintf("%s=%q", name, v[:n]))
	}
	sort.Strings(list)
	return strings.Join(list, " ")
}

func xattrText(list []tree.Xattr) string {
	var out []string
	for _, x := range list {
		out = append(out, fmt.Sprintf("%s=%q", x.Name, x.Value))
	}
	return strings.Join(out, " ")
}

// listTree turns a tree into a listing.
func listTree(t *testing.T, tr *tree.Tree) listing {
	t.Helper()
	out := listing{}
	tr.Inodes()
	err := tr.Walk(func(path string, n *tree.Node) error {
		r := record{
			mode: n.Mode, uid: n.UID, gid: n.GID, mtime: n.Mtime, nsec: n.Nsec, rdev: n.Rdev, names: int(n.Links()),
			target: n.Target, size: n.Size, xattrs: xattrText(n.Xattrs),
		}
		if n.IsDir() {
			r.names = 1
		}
		if n.IsRegular() {
			b, err := io.ReadAll(io.NewSectionReader(n.Content, 0, n.Size+1))
			if err != nil {
				return err
			}
			checkData(t, path, n.Content, b)
			r.sum = sha256.Sum256(b)
		}
		out[path] = r
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// checkData checks that what Data leaves out is zeros.
func checkData(t *testing.T, path string, c tree.Content, b []byte) {
	t.Helper()
	data := c.Data()
	if data == nil {
		return
	}
	at := int64(0)
	for _, e := range append(data, tree.Extent{Off: int64(len(b))}) {
		if e.Off < at || e.Off+e.Len > int64(len(b)) {
			t.Fatalf("%s: data %v of %d bytes", path, data, len(b))
		}
		if len(bytes.Trim(b[at:e.Off], "\x00")) > 0 {
			t.Errorf("%s: data %v leaves out more than zeros from %d", path, data, at)
		}
		at = e.Off + e.Len
	}
}

// listFS walks an image through the interfaces of io/fs.
func listFS(t *testing.T, im *Image) listing {
	t.Helper()
	out := listing{}
	err := fs.WalkDir(im, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		st, err := d.Info()
		if err != nil {
			return err
		}
		i := st.Sys().(*Inode)
		r := record{
			mode: i.Mode, uid: i.UID, gid: i.GID, rdev: i.Rdev, names: int(i.Nlink),
			mtime: st.ModTime().Unix(), nsec: uint32(st.ModTime().Nanosecond()),
		}
		x, err := i.Xattrs()
		if err != nil {
			return err
		}
		r.xattrs = xattrText(x)
		switch {
		case d.IsDir():
			r.names = 1
		case d.Type()&fs.ModeSymlink != 0:
			r.target, err = im.ReadLink(path)
		case d.Type().IsRegular():
			var b []byte
			b, err = im.ReadFile(path)
			r.size, r.sum = st.Size(), sha256.Sum256(b)
			checkExtents(t, path, i, b)
		}
		out[strings.TrimPrefix(path, ".")] = r
		if j, e := im.Lookup(strings.TrimPrefix(path, ".")); e != nil || *j != *i {
			t.Errorf("Lookup(%q) = %v, %v, not what Info has", path, j, e)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// checkExtents checks that extents cover the file and that those of the primary device hold its bytes.
func checkExtents(t *testing.T, path string, i *Inode, b []byte) {
	t.Helper()
	list, err := i.Extents()
	if err != nil {
		t.Fatal(err)
	}
	at := int64(0)
	for _, e := range list {
		if e.Logical != at || e.Length <= 0 || at+e.Length > int64(len(b)) {
			t.Fatalf("%s: extents %+v of %d bytes", path, list, len(b))
		}
		if at += e.Length; e.Encoded || e.Packed {
			continue
		}
		want := make([]byte, e.Length)
		if !e.Hole {
			if err := i.im.img.Window(e.Device).Fill(want, e.Physical, "test"); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(want, b[e.Logical:at]) {
			t.Errorf("%s: extent %+v is not what ReadFile returns", path, e)
		}
	}
	if at != int64(len(b)) {
		t.Errorf("%s: extents %+v end before %d", path, list, len(b))
	}
}

// differ reports what two listings do not agree on.
func differ(t *testing.T, what string, got, want listing) {
	t.Helper()
	n := 0
	for _, path := range slices.Sorted(maps.Keys(want)) {
		g, ok := got[path]
		if w := want[path]; !ok || g != w {
			if n++; n < 10 {
				t.Errorf("%s: %q:\n got %+v (%v)\nwant %+v", what, path, g, ok, w)
			}
		}
	}
	for path := range got {
		if _, ok := want[path]; !ok {
			t.Errorf("%s: %q should not be there", what, path)
		}
	}
}

// tarOf writes a directory as a PAX archive.
func tarOf(t *testing.T, dir, out string) {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	first := map[uint64]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil || st.Mode&unix.S_IFMT == unix.S_IFSOCK {
			return err
		}
		name := strings.TrimPrefix(path, dir)
		h := &tar.Header{
			Name: "." + name, Mode: int64(st.Mode & 0o7777), Uid: int(st.Uid), Gid: int(st.Gid),
			ModTime: time.Unix(st.Mtim.Unix()), Format: tar.FormatPAX, PAXRecords: map[string]string{},
			Devmajor: int64(unix.Major(st.Rdev)), Devminor: int64(unix.Minor(st.Rdev)),
		}
		header(t, h, path, &st, first)
		if err := w.WriteHeader(h); err != nil || h.Size == 0 {
			return err
		}
		data, err := os.ReadFile(path)
		if err == nil {
			_, err = w.Write(data)
		}
		return err
	})
	if err = errors.Join(err, w.Close()); err == nil {
		err = os.WriteFile(out, b.Bytes(), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// header fills in what depends on the type of the file.
func header(t *testing.T, h *tar.Header, path string, st *unix.Stat_t, first map[uint64]string) {
	t.Helper()
	names := make([]byte, 64<<10)
	n, err := unix.Llistxattr(path, names)
	if err != nil {
		t.Fatal(err)
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(names[:n]), "\x00"), "\x00") {
		if name != "" {
			v := make([]byte, 64<<10)
			n, err := unix.Lgetxattr(path, name, v)
			if err != nil {
				t.Fatal(err)
			}
			h.PAXRecords["SCHILY.xattr."+name] = string(v[:n])
		}
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		h.Typeflag, h.Name = tar.TypeDir, h.Name+"/"
	case unix.S_IFLNK:
		h.Typeflag = tar.TypeSymlink
		h.Linkname, _ = os.Readlink(path)
	case unix.S_IFCHR:
		h.Typeflag = tar.TypeChar
	case unix.S_IFBLK:
		h.Typeflag = tar.TypeBlock
	case unix.S_IFIFO:
		h.Typeflag = tar.TypeFifo
	default:
		h.Typeflag, h.Size = tar.TypeReg, st.Size
		if known := first[st.Ino]; known != "" {
			h.Typeflag, h.Linkname, h.Size = tar.TypeLink, known, 0
			h.PAXRecords = nil
		}
		first[st.Ino] = h.Name
	}
}
