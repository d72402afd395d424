package dirtree

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/laminafs/lamina/internal/oracle"
	"github.com/laminafs/lamina/tartree"
	"github.com/laminafs/lamina/tree"
)

const capability = "\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" // cap_net_bind_service+ep

// acl is user::rw-, user:7:r--, group::r--, mask::r--, other::--- as the kernel stores it.
const acl = "\x02\x00\x00\x00" + "\x01\x00\x06\x00\xff\xff\xff\xff" + "\x02\x00\x04\x00\x07\x00\x00\x00" +
	"\x04\x00\x04\x00\xff\xff\xff\xff" + "\x10\x00\x04\x00\xff\xff\xff\xff" + "\x20\x00\x00\x00\xff\xff\xff\xff"

// everything is a tree of all that Linux has.
func everything() *tree.Tree {
	sparse := &tree.Node{Mode: tree.TypeRegular | 0o600, Size: 100 << 30}
	sparse.Content = held{tree.File{Size: sparse.Size, Data: []tree.Extent{{Off: 4096, Len: 4096}, {Off: 99 << 30, Len: 8192}}},
		[]byte(strings.Repeat("abcd", 3<<10))}
	hole := &tree.Node{Mode: tree.TypeRegular | 0o600, Size: 1 << 20}
	hole.Content = held{tree.File{Size: hole.Size, Data: []tree.Extent{}}, nil}
	suid, link, odd := text("#!"), &tree.Node{Mode: tree.TypeSymlink | 0o777, Target: "\xff\xfe/../" + strings.Repeat("x", 3000)}, text("odd")
	suid.Mode = tree.TypeRegular | 0o6755
	suid.SetXattr("security.capability", capability)
	suid.SetXattr("user.empty", "")
	suid.SetXattr("trusted.binary", "\x00\xff\n")
	link.SetXattr("trusted.on-a-link", "y")
	odd.SetXattr("system.posix_acl_access", acl)
	odd.Mode = tree.TypeRegular | 0o640
	fifo, tty := &tree.Node{Mode: tree.TypeFifo | 0o622}, &tree.Node{Mode: tree.TypeChar | 0o620, Rdev: tree.Dev(259, 300)}
	tty.SetXattr("trusted.on-a-device", "z")
	t := plant(map[string]*tree.Node{
		"bin/suid": suid, "z/suid": suid, "a": suid,
		"sparse": sparse, "hole": hole, "zeros": text(strings.Repeat("\x00", 100<<10)), "large": text(strings.Repeat("0123456789", 300<<10)),
		"link": link, "bin/link": link,
		"dev/fifo": fifo, "fifo": fifo, "dev/tty": tty, "tty": tty, "dev/sda": {Mode: tree.TypeBlock | 0o660, Rdev: tree.Dev(8, 1)},
		"odd/\xff\n\"name": odd, "odd/" + strings.Repeat("n", 255): text(""),
		"closed/deep/x": text("x"), "ro/x": text("y"), "sticky": tree.NewDir(0o1777),
		"layer/gone": {Mode: tree.TypeChar}, "layer/opaque/f": text("f"),
	})
	t.Root.SetXattr("user.root", "r")
	t.Lookup("layer/opaque").SetXattr(tree.OpaqueXattr, "y")
	t.Lookup("odd").SetXattr("system.posix_acl_default", acl)
	t.Lookup("closed").Mode, t.Lookup("ro").Mode = tree.TypeDir, tree.TypeDir|0o2555
	for i, n := range t.Inodes() {
		n.Mtime, n.Nsec = []int64{0, 1700000000, -1, -99999, 4102444800}[i%5], uint32(i*37)
		n.UID, n.GID = uint32(i*1000), uint32(i%3*100_000)
	}
	return t
}

func TestExtractThenReadGivesTheSameTree(t *testing.T) {
	oracle.NeedRoot(t)
	tr := everything()
	dir := extract(t, tr)
	got := read(t, dir)
	sameDump(t, dumpOfSmall(t, got), dumpOfSmall(t, tr))
	for _, name := range []string{"sparse", "hole", "large"} {
		if g, w := got.Lookup(name).Content.Data(), tr.Lookup(name).Content.Data(); !slices.Equal(g, w) || (g == nil) != (w == nil) {
			t.Errorf("%s: data %v, want %v", name, g, w)
		}
	}
}

// dumpOfSmall is dump without the bytes of the sparse file, which is compared where it has data.
func dumpOfSmall(t *testing.T, tr *tree.Tree) string {
	n := tr.Lookup("sparse")
	size, content := n.Size, n.Content
	defer func() { n.Size, n.Content = size, content }()
	b := make([]byte, 16<<10)
	_, err := content.ReadAt(b[:8<<10], 0)
	must(t, err)
	_, err = content.ReadAt(b[8<<10:], 99<<30-4096)
	must(t, err)
	n.Size, n.Content = int64(len(b)), tree.Bytes(b)
	return fmt.Sprint(size, dump(t, tr))
}

// The round trip would not notice what both directions do wrong.
func TestExtractSetsWhatTheKernelShows(t *testing.T) {
	oracle.NeedRoot(t)
	tr := everything()
	dir := extract(t, tr)
	lstat := func(path string) (st syscall.Stat_t) {
		must(t, syscall.Lstat(filepath.Join(dir, path), &st))
		return st
	}
	_ = tr.Walk(func(path string, n *tree.Node) error {
		st := lstat(path)
		if st.Mode != n.Mode || st.Uid != n.UID || st.Gid != n.GID || int64(st.Mtim.Sec) != n.Mtime || int64(st.Mtim.Nsec) != int64(n.Nsec) {
			t.Errorf("%q: %o %d:%d %v, want %o %d:%d %d.%09d", path, st.Mode, st.Uid, st.Gid, st.Mtim, n.Mode, n.UID, n.GID, n.Mtime, n.Nsec)
		}
		if !n.IsDir() && uint32(st.Nlink) != n.Links() {
			t.Errorf("%q: %d links, want %d", path, st.Nlink, n.Links())
		}
		return nil
	})
	if st := lstat("dev/tty"); st.Rdev != unix.Mkdev(259, 300) {
		t.Errorf("dev/tty: %#x", st.Rdev)
	}
	if st := lstat("sparse"); st.Size != 100<<30 || st.Blocks > 64 {
		t.Errorf("sparse: %d bytes in %d blocks", st.Size, st.Blocks)
	}
	for _, c := range []struct{ path, name, value string }{
		{"a", "security.capability", capability}, {"a", "user.empty", ""}, {"bin/suid", "trusted.binary", "\x00\xff\n"},
		{"odd", "system.posix_acl_default", acl}, {"layer/opaque", "trusted.overlay.opaque", "y"}, {"odd/\xff\n\"name", "system.posix_acl_access", acl},
	} {
		b := make([]byte, 1000)
		n, err := syscall.Getxattr(filepath.Join(dir, c.path), c.name, b)
		if err != nil || string(b[:n]) != c.value {
			t.Errorf("%s: %s = %q, %v", c.path, c.name, b[:max(n, 0)], err)
		}
	}
}

// GNU tar judges Read: the archive that it makes of a directory is the same tree.
func TestReadSeesWhatTarSees(t *testing.T) {
	oracle.NeedRoot(t)
	tr := everything()
	tr.Lookup("odd").RemoveXattr("system.posix_acl_default") // tar keeps those elsewhere
	tr.Lookup("odd/\xff\n\"name").RemoveXattr("system.posix_acl_access")
	tr.Root.Remove("fifo") // tar has hard links of files and symbolic links only
	tr.Root.Remove("tty")
	tr.Lookup("sparse").Size = 0
	tr.Lookup("sparse").Content = tree.Bytes("")
	dir := extract(t, tr)
	cmd := exec.Command(oracle.Need(t, "tar"), "--format=posix", "--xattrs", "--xattrs-include=*", "--sparse", "--sort=name", "-C", dir, "-cf", "-", ".")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, &stderr)
	}
	want, err := tartree.Read(bytes.NewReader(out), new(memory), tartree.Options{Whiteouts: tartree.Keep})
	must(t, err)
	sameDump(t, dump(t, read(t, dir)), dump(t, want))
}

func TestExtractOfRandomTreesComesBack(t *testing.T) {
	oracle.NeedRoot(t)
	rnd := rand.New(rand.NewPCG(5, 6))
	for range 20 {
		tr := tree.New()
		grow(rnd, tr.Root, 4, &[]*tree.Node{})
		sameDump(t, dump(t, read(t, extract(t, tr))), dump(t, tr))
	}
}

func grow(rnd *rand.Rand, d *tree.Node, depth int, files *[]*tree.Node) {
	for range rnd.IntN(8) {
		name := make([]byte, 1+rnd.IntN(3))
		for i := range name {
			name[i] = byte("ab-\xff.\n"[rnd.IntN(6)])
		}
		if s := string(name); s == "." || s == ".." {
			continue
		}
		var n *tree.Node
		switch k := rnd.IntN(8); {
		case k < 3 && depth > 0:
			n = tree.NewDir(rnd.Uint32())
			grow(rnd, n, depth-1, files)
		case k == 3 && len(*files) > 0:
			d.Add(string(name), (*files)[rnd.IntN(len(*files))])
			continue
		default:
			n = text(strings.Repeat("x", rnd.IntN(3)*rnd.IntN(5000)))
			n.Mode = tree.TypeRegular | rnd.Uint32()&tree.PermMask
			*files = append(*files, n)
		}
		n.UID, n.GID, n.Mtime, n.Nsec = rnd.Uint32N(1e6), rnd.Uint32N(1e6), rnd.Int64N(1e9)-1e8, rnd.Uint32N(1e9)
		for range rnd.IntN(3) {
			n.SetXattr(fmt.Sprintf("%s.%d", []string{"user", "trusted"}[rnd.IntN(2)], rnd.IntN(9)), strings.Repeat("v", rnd.IntN(200)))
		}
		d.Add(string(name), n)
	}
}

func TestReadLeavesOutSocketsAndTells(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir) // the address of a socket is short
	l, err := net.Listen("unix", "s")
	must(t, err)
	defer func() { must(t, l.Close()) }()
	write(t, "f", "x")
	var got []Warning
	tr, err := Read(dir, new(memory), Options{Warn: func(w Warning) { got = append(got, w) }})
	must(t, err)
	if len(got) != 1 || got[0].Path != "s" || !slices.Equal(paths(tr), []string{"f"}) {
		t.Errorf("%v, warned %v", paths(tr), got)
	}
}

func TestReadStaysInOneFileSystem(t *testing.T) {
	oracle.NeedRoot(t)
	dir := t.TempDir()
	m := filepath.Join(dir, "d", "m")
	must(t, os.MkdirAll(m, 0o700))
	must(t, syscall.Mount("none", m, "tmpfs", 0, "mode=751"))
	defer func() { must(t, syscall.Unmount(m, 0)) }()
	write(t, filepath.Join(m, "f"), "x")
	for _, one := range []bool{false, true} {
		tr, err := Read(dir, new(memory), Options{OneFileSystem: one})
		must(t, err)
		if n := tr.Lookup("d/m"); n == nil || n.Mode != tree.TypeDir|0o751 || (n.Len() == 0) != one {
			t.Errorf("%v: %+v", one, n)
		}
	}
}

func TestReadBoundsTheListOfExtents(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	f, err := os.Create(path)
	must(t, err)
	for i := range 10 {
		_, err := f.WriteAt([]byte("data"), int64(i)<<20+8192)
		must(t, err)
	}
	must(t, f.Truncate(20<<20))
	defer func() { must(t, f.Close()) }()
	for _, limit := range []int{1, 4, 10, 11, 100} {
		got, err := file(f.Fd()).data(20<<20, limit)
		must(t, err)
		if len(got) != min(limit, 10) {
			t.Errorf("limit %d: %d extents", limit, len(got))
		}
		last := got[len(got)-1]
		if all := last.Off+last.Len == 20<<20; all != (limit <= 10) {
			t.Errorf("limit %d: last extent %v", limit, last)
		}
		for i, e := range got {
			if e.Off != int64(i)<<20+8192 {
				t.Errorf("limit %d: extent %d is %v", limit, i, e)
			}
		}
	}
}

func TestExtentsEndWithTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	f, err := os.Create(path)
	must(t, err)
	defer func() { must(t, f.Close()) }()
	_, err = f.Write(make([]byte, 100<<10))
	must(t, err)
	_, err = f.WriteAt(make([]byte, 100<<10), 1<<20)
	must(t, err)
	for _, c := range []struct {
		size int64 // that the file had when it was asked
		want []tree.Extent
	}{
		{100 << 10, nil},
		{50 << 10, nil},
		{1 << 20, []tree.Extent{{Off: 0, Len: 100 << 10}}},
		{1<<20 + 10, []tree.Extent{{Off: 0, Len: 100 << 10}, {Off: 1 << 20, Len: 10}}},
	} {
		got, err := file(f.Fd()).data(c.size, maxExtents)
		if err != nil || !slices.Equal(got, c.want) || (got == nil) != (c.want == nil) {
			t.Errorf("%d bytes: %v, want %v; %v", c.size, got, c.want, err)
		}
	}
}

func TestReadWithoutXattrs(t *testing.T) {
	oracle.NeedRoot(t)
	tr, err := Read(extract(t, everything()), new(ignore), Options{NoXattrs: true})
	must(t, err)
	for _, n := range tr.Inodes() {
		if n.Xattrs != nil {
			t.Errorf("%v", n.Xattrs)
		}
	}
}

type ignore struct{}

func (ignore) Put(f tree.File, _ io.Reader) (tree.Content, error) {
	return tree.Bytes(""), nil
}
