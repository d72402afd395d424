package tartree

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path"
	"sort"
	"strings"
	"testing"

	"github.com/laminafs/lamina/tree"
)

// model is what containerd's archive.Apply does with an archive, told with archive/tar, a map from clean
// absolute paths to inodes and nothing of this package. Whiteouts are those of its overlay form, but
// replace what is there, where containerd fails.
type model struct {
	files map[string]*inode
}

type inode struct {
	mode     int64 // with the type bits of tree.Node
	uid, gid int
	sec      int64
	nsec     int
	target   string
	rdev     uint32
	xattrs   map[string]string
	data     string
}

// errModel is what the model answers where containerd's os calls would fail.
var errModel = errors.New("refused by the model")

func apply(archive string) (*model, error) {
	m := &model{files: map[string]*inode{"/": {mode: tree.TypeDir | 0o755, xattrs: map[string]string{}}}}
	r := tar.NewReader(strings.NewReader(archive))
	for {
		h, err := r.Next()
		if err == io.EOF {
			return m, nil
		}
		if err != nil {
			return nil, err
		}
		data, err := io.ReadAll(r)
		if err != nil {
			return nil, err
		}
		if err := m.entry(h, string(data)); err != nil {
			return nil, fmt.Errorf("%s: %w", h.Name, err)
		}
	}
}

func (m *model) entry(h *tar.Header, data string) error {
	name := path.Clean(h.Name)
	dir, base := path.Split(name)
	dir, err := m.resolve(dir, true)
	if err != nil {
		return err
	}
	full := path.Join(dir, path.Join("/", base))
	n := &inode{mode: h.Mode & 0o7777, uid: h.Uid, gid: h.Gid, sec: h.ModTime.Unix(), nsec: h.ModTime.Nanosecond(), xattrs: map[string]string{}}
	for k, v := range h.PAXRecords {
		if x, ok := strings.CutPrefix(k, "SCHILY.xattr."); ok {
			n.xattrs[x] = v
		}
	}
	if full == dir { // the root, or what ".." leads to
		if h.Typeflag == tar.TypeDir && full == "/" {
			m.merge("/", n)
		}
		return nil
	}
	if rest, ok := strings.CutPrefix(base, ".wh."); ok {
		return m.whiteout(dir, rest, n)
	}
	if h.Typeflag == tar.TypeLink {
		return m.link(h.Linkname, full)
	}
	switch h.Typeflag {
	case tar.TypeReg:
		n.mode |= tree.TypeRegular
		n.data = data
	case tar.TypeDir:
		if old := m.files[full]; old != nil && old.mode&tree.TypeMask == tree.TypeDir {
			m.merge(full, n)
			return nil
		} else if old != nil && old.mode&tree.TypeMask == tree.TypeChar && old.rdev == 0 {
			n.xattrs[xattrOpaque] = "y"
		}
		n.mode |= tree.TypeDir
	case tar.TypeSymlink:
		n.mode, n.target = tree.TypeSymlink|0o777, h.Linkname
		if h.Linkname == "" {
			return errModel
		}
	case tar.TypeChar:
		n.mode |= tree.TypeChar
		n.rdev = tree.Dev(uint32(h.Devmajor), uint32(h.Devminor))
	case tar.TypeFifo:
		n.mode |= tree.TypeFifo
	default:
		return errModel
	}
	m.remove(full)
	m.files[full] = n
	return nil
}

func (m *model) whiteout(dir, rest string, n *inode) error {
	switch rest {
	case ".wh..opq":
		m.files[dir].xattrs[xattrOpaque] = "y"
		return nil
	case "", ".", "..":
		return errModel
	}
	full := path.Join(dir, rest)
	m.remove(full)
	n.mode |= tree.TypeChar
	m.files[full] = n
	return nil
}

func (m *model) link(target, full string) error {
	dir, base := path.Split(path.Clean("/" + target))
	dir, err := m.resolve(dir, false)
	if err != nil {
		return err
	}
	old := m.files[path.Join(dir, base)]
	if old == nil || old.mode&tree.TypeMask == tree.TypeDir {
		return errModel
	}
	m.remove(full)
	m.files[full] = old
	return nil
}

func (m *model) merge(full string, n *inode) {
	old := m.files[full]
	if old.xattrs == nil {
		old.xattrs = map[string]string{}
	}
	for k, v := range n.xattrs {
		old.xattrs[k] = v
	}
	old.mode, old.uid, old.gid, old.sec, old.nsec = tree.TypeDir|n.mode, n.uid, n.gid, n.sec, n.nsec
}

// remove is os.RemoveAll.
func (m *model) remove(full string) {
	for p := range m.files {
		if p == full || strings.HasPrefix(p, full+"/") {
			delete(m.files, p)
		}
	}
}

// resolve is fs.RootPath of containerd's continuity followed by mkparent: every symbolic link of dir is
// followed below the root, and what does not exist is made.
func (m *model) resolve(dir string, create bool) (string, error) {
	at, todo := "/", strings.Split(path.Clean("/"+dir), "/")
	for hops := 0; len(todo) > 0; {
		c := todo[0]
		todo = todo[1:]
		next := path.Join(at, c) // also for "", "." and ".."
		n := m.files[next]
		switch {
		case n == nil && !create:
			return "", errModel
		case n == nil || n.mode&tree.TypeMask == tree.TypeChar && n.rdev == 0 && create:
			was := n
			n = &inode{mode: tree.TypeDir | 0o755, xattrs: map[string]string{}}
			if was != nil {
				n.xattrs[xattrOpaque] = "y"
			}
			m.files[next] = n
		case n.mode&tree.TypeMask == tree.TypeSymlink:
			if hops++; hops > 255 {
				return "", errModel
			}
			if path.IsAbs(n.target) {
				next = "/"
			} else {
				next = at
			}
			todo = append(strings.Split(n.target, "/"), todo...)
		case n.mode&tree.TypeMask != tree.TypeDir:
			return "", errModel
		}
		at = next
	}
	return at, nil
}

// dump shows the model in a form of its own, as treeDump shows a tree.
func (m *model) dump() string {
	var paths []string
	for p := range m.files {
		paths = append(paths, p)
	}
	sort.Strings(paths)
	first := map[*inode]string{}
	var b strings.Builder
	for _, p := range paths {
		n := m.files[p]
		if f, ok := first[n]; ok {
			fmt.Fprintf(&b, "%q = %q\n", p, f)
			continue
		}
		first[n] = p
		fmt.Fprintf(&b, "%q %o %d:%d %d.%d %d %q %q", p, n.mode, n.uid, n.gid, n.sec, n.nsec, n.rdev, n.target, n.data)
		var names []string
		for k := range n.xattrs {
			names = append(names, k)
		}
		sort.Strings(names)
		for _, k := range names {
			fmt.Fprintf(&b, " %q=%q", k, n.xattrs[k])
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func treeDump(t testing.TB, tr *tree.Tree) string {
	t.Helper()
	paths := map[string]*tree.Node{}
	var names []string
	if err := tr.Walk(func(p string, n *tree.Node) error {
		names = append(names, "/"+p)
		paths["/"+p] = n
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	sort.Strings(names)
	first := map[*tree.Node]string{}
	var b strings.Builder
	for _, p := range names {
		n := paths[p]
		if f, ok := first[n]; ok {
			fmt.Fprintf(&b, "%q = %q\n", p, f)
			continue
		}
		first[n] = p
		data := make([]byte, n.Size)
		if n.IsRegular() && n.Size > 0 {
			if _, err := n.Content.ReadAt(data, 0); err != nil {
				t.Fatal(err)
			}
		}
		fmt.Fprintf(&b, "%q %o %d:%d %d.%d %d %q %q", p, n.Mode, n.UID, n.GID, n.Mtime, n.Nsec, n.Rdev, n.Target, data)
		for _, x := range n.Xattrs {
			if x.Name != xattrOrigin {
				fmt.Fprintf(&b, " %q=%q", x.Name, x.Value)
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// randomEntries returns an archive of entries that often meet: few names, links everywhere.
func randomEntries(r *rand.Rand) string {
	name := func() string {
		parts := []string{"a", "b", "c", "a", "b", "l", ".", "..", "", "xx"}
		n := 1 + r.IntN(4)
		var p []string
		for range n {
			p = append(p, parts[r.IntN(len(parts))])
		}
		return strings.Join(p, "/")
	}
	var b strings.Builder
	for i := range 1 + r.IntN(20) {
		m, o := mode(int64(r.IntN(0o10000))), owner(int64(r.IntN(5)), int64(i))
		switch r.IntN(12) {
		case 0, 1, 2, 3:
			b.WriteString(file(name(), fmt.Sprint(i), m, o))
		case 4, 5, 6:
			if r.IntN(4) == 0 {
				b.WriteString(pax(fmt.Sprintf("SCHILY.xattr.user.%d", r.IntN(3)), fmt.Sprint(i), "mtime", fmt.Sprintf("-%d.25", r.IntN(3))))
			}
			b.WriteString(dir(name()+"/", m, o))
		case 7, 8:
			b.WriteString(sym(name(), []string{name(), "/" + name(), "../" + name()}[r.IntN(3)], m, o))
		case 9:
			b.WriteString(link(name(), name(), m, o))
		case 10:
			dir, base := path.Split(path.Clean("/" + name()))
			b.WriteString(file(dir[1:]+".wh."+base, "", m, o))
		case 11:
			b.WriteString(file(name()+"/.wh..wh..opq", ""))
		}
	}
	return b.String() + end
}

// Read and containerd agree about which archives are good, and what they mean. Whole prefixes are compared,
// so that an archive refused at its end is compared too.
func TestAgreesWithContainerd(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	good, archives := 0, 200
	if testing.Short() {
		archives = 50
	}
	for range archives {
		archive := randomEntries(r)
		for n := blockSize; n <= len(archive); n += blockSize {
			agree(t, archive[:n], &good)
		}
	}
	if good < 2*archives {
		t.Errorf("only %d archives were good", good)
	}
}

func agree(t testing.TB, archive string, good *int) {
	t.Helper()
	m, want := apply(archive)
	tr, err := Read(strings.NewReader(archive), spool{}, Options{})
	if (want == nil) != (err == nil) {
		t.Fatalf("model: %v, Read: %v\n%s", want, err, listing(archive))
	}
	if err != nil {
		return
	}
	*good++
	if got := treeDump(t, tr); got != m.dump() {
		t.Fatalf("got\n%swant\n%s\n%s", got, m.dump(), listing(archive))
	}
}

func listing(archive string) string {
	var b strings.Builder
	r := tar.NewReader(strings.NewReader(archive))
	for {
		h, err := r.Next()
		if err != nil {
			return b.String()
		}
		fmt.Fprintf(&b, "%c %q -> %q\n", h.Typeflag, h.Name, h.Linkname)
	}
}
