package fsck

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/laminafs/lamina/internal/disk"
	"github.com/laminafs/lamina/mkfs"
	"github.com/laminafs/lamina/tree"
)

// memFile is an image in memory.
type memFile struct{ b []byte }

func (m *memFile) ReadAt(p []byte, off int64) (int, error) {
	return bytes.NewReader(m.b).ReadAt(p, off)
}

func (m *memFile) WriteAt(p []byte, off int64) (int, error) {
	if end := off + int64(len(p)); end > int64(len(m.b)) {
		m.b = append(m.b, make([]byte, end-int64(len(m.b)))...)
	}
	return copy(m.b[off:], p), nil
}

func (m *memFile) Truncate(n int64) error {
	if n <= int64(len(m.b)) {
		m.b = m.b[:n]
		return nil
	}
	m.b = append(m.b, make([]byte, n-int64(len(m.b)))...)
	return nil
}

// holey is a Content with a hole in it.
type holey struct {
	io.ReaderAt
	data []tree.Extent
}

func (h holey) Data() []tree.Extent { return h.data }

func file(content string, xattrs ...string) *tree.Node {
	n := &tree.Node{Mode: tree.TypeRegular | 0o644, Size: int64(len(content)), Content: tree.Bytes(content)}
	for i := 0; i < len(xattrs); i += 2 {
		n.SetXattr(xattrs[i], xattrs[i+1])
	}
	return n
}

// text returns n bytes without a NUL that differ from those of other seeds in every block.
func text(seed string, n int) string {
	return strings.Repeat(seed, n/len(seed)+1)[:n]
}

// sample is a small tree that has one of everything.
func sample() *tree.Tree {
	t := tree.New()
	d := tree.NewDir(0o755)
	t.Root.Add("dir", d)
	d.Add("small", file("hello"))
	d.Add("tail", file(text("tail ", 9000)))
	d.Add("blocks", file(text("blocks ", 8192)))
	d.Add("empty", file(""))
	sub := tree.NewDir(0o700)
	d.Add("sub", sub)
	sub.Add("leaf", file("leaf"))
	many := tree.NewDir(0o755)
	t.Root.Add("many", many)
	for i := range 300 {
		many.Add(fmt.Sprintf("a rather long name, so that few fit a block %04d", i), &tree.Node{Mode: tree.TypeFifo | 0o600})
	}
	hard := file("hard linked")
	t.Root.Add("hard1", hard)
	t.Root.Add("hard2", hard)
	t.Root.Add("link", &tree.Node{Mode: tree.TypeSymlink | 0o777, Target: "dir/small"})
	t.Root.Add("null", &tree.Node{Mode: tree.TypeChar | 0o666, Rdev: tree.Dev(1, 3)})
	t.Root.Add("old", &tree.Node{Mode: tree.TypeRegular | 0o600, Content: tree.Bytes(""), Mtime: -5, Nsec: 7})
	shared := text("a shared value ", 40)
	t.Root.Add("x1", file("x1", "user.shared", shared, "user.one", "1", "security.capability", "\x01\x00\x00\x02"+strings.Repeat("\x01", 16)))
	t.Root.Add("x2", file("x2", "user.shared", shared, "trusted.overlay.origin", "o"))
	sparse := file(strings.Repeat("\x00", 1<<16) + text("after the hole ", 8192))
	sparse.Content = holey{sparse.Content, []tree.Extent{{Off: 1 << 16, Len: 8192}}}
	t.Root.Add("sparse", sparse)
	return t
}

// build makes an image of a tree.
func build(t testing.TB, tr *tree.Tree, o mkfs.Options) []byte {
	t.Helper()
	f := &memFile{}
	w, err := mkfs.New(f, o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = w.Finish(tr); err != nil {
		t.Fatal(err)
	}
	return f.b
}

// checked runs Check, which must not fail.
func checked(t testing.TB, b []byte, o Options) *Report {
	t.Helper()
	rep, err := Check(bytes.NewReader(b), int64(len(b)), o)
	if err != nil {
		t.Fatal(err)
	}
	return rep
}

// edit changes an image. Places are found by the map of the unchanged image.
type edit struct {
	t      testing.TB
	b      []byte
	ranges []Range
	keep   bool // leave the checksum as it is
}

func newEdit(t testing.TB, b []byte) *edit {
	t.Helper()
	b = bytes.Clone(b)
	ranges, err := Map(bytes.NewReader(b), int64(len(b)), Options{})
	if err != nil {
		t.Fatal(err)
	}
	return &edit{t: t, b: b, ranges: ranges}
}

// find returns the first range of the kind that belongs to the path.
func (e *edit) find(path string, k Kind) Range {
	e.t.Helper()
	for _, r := range e.ranges {
		if r.Kind == k && (r.Path == path || path == "") {
			return r
		}
	}
	e.t.Fatalf("the image has no %v of %q", k, path)
	return Range{}
}

func (e *edit) inode(path string) int64 { e.t.Helper(); return e.find(path, KindInode).Off }
func (e *edit) nid(path string) uint64  { e.t.Helper(); return e.find(path, KindInode).NID }

// entry returns where the entry called name is in a directory.
func (e *edit) entry(dir, name string) int64 {
	e.t.Helper()
	for _, r := range e.ranges {
		if r.Kind != KindDirents || r.Path != dir {
			continue
		}
		b := e.b[r.Off:][:r.Len]
		for k := 0; k < int(e.u16(r.Off+8)); k += disk.DirentSize {
			if start := int(e.u16(r.Off + int64(k) + 8)); bytes.HasPrefix(b[start:], []byte(name)) {
				return r.Off + int64(k)
			}
		}
	}
	e.t.Fatalf("%s has no entry %q", dir, name)
	return 0
}

// name returns where the bytes of that name are.
func (e *edit) name(dir, name string) int64 {
	e.t.Helper()
	at := e.entry(dir, name)
	for _, r := range e.ranges {
		if r.Off <= at && at < r.Off+r.Len {
			return r.Off + int64(e.u16(at+8))
		}
	}
	return 0
}

// xattr returns where the bytes of the name of an inline xattr are, without its prefix.
func (e *edit) xattr(path, name string) int64 {
	e.t.Helper()
	r := e.find(path, KindXattrs)
	i := bytes.Index(e.b[r.Off:][:r.Len], []byte(name))
	if i < 0 {
		e.t.Fatalf("%s has no xattr %q", path, name)
	}
	return r.Off + int64(i)
}

func (e *edit) u16(off int64) uint16         { return binary.LittleEndian.Uint16(e.b[off:]) }
func (e *edit) u32(off int64) uint32         { return binary.LittleEndian.Uint32(e.b[off:]) }
func (e *edit) put8(off int64, v uint8)      { e.b[off] = v }
func (e *edit) put16(off int64, v uint16)    { binary.LittleEndian.PutUint16(e.b[off:], v) }
func (e *edit) put32(off int64, v uint32)    { binary.LittleEndian.PutUint32(e.b[off:], v) }
func (e *edit) put64(off int64, v uint64)    { binary.LittleEndian.PutUint64(e.b[off:], v) }
func (e *edit) write(off int64, text string) { copy(e.b[off:], text) }

// done returns the image, with a checksum that fits.
func (e *edit) done() []byte {
	fixSum(e.b, e.keep)
	return e.b
}

func fixSum(b []byte, keep bool) {
	if keep || len(b) < disk.SuperOffset+disk.SuperSize {
		return
	}
	bits := b[super(0x0C)]
	if bits < disk.MinBlockBits || bits > disk.MaxBlockBits {
		return
	}
	if off, n := disk.ChecksumRange(bits); off+n <= int64(len(b)) {
		binary.LittleEndian.PutUint32(b[super(0x04):], disk.Checksum(b[off:off+n]))
	}
}
