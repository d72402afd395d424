package tartree

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/laminafs/lamina/tree"
)

func write(t testing.TB, tr *tree.Tree, o WriteOptions) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, tr, o); err != nil {
		t.Fatal(err)
	}
	if b.Len()%blockSize != 0 {
		t.Errorf("archive of %d bytes", b.Len())
	}
	return b.String()
}

// extents lists where the data of every file is, and which directories are implied: what Dump leaves out.
func extents(t testing.TB, tr *tree.Tree) map[string][]tree.Extent {
	t.Helper()
	m := make(map[string][]tree.Extent)
	err := tr.Walk(func(path string, n *tree.Node) error {
		if n.IsRegular() && n.Content.Data() != nil {
			m[path] = n.Content.Data()
		}
		if n.Implied() {
			m[path+"/"] = nil
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// fixedPoint writes a tree, reads that and writes it again: the trees and the archives must be equal.
func fixedPoint(t testing.TB, tr *tree.Tree, w Whiteouts) string {
	t.Helper()
	archive := write(t, tr, WriteOptions{Whiteouts: w})
	again := read(t, archive, Options{Whiteouts: w})
	if got, want := dump(t, again), dump(t, tr); got != want {
		t.Fatalf("read back\n%swritten\n%s", got, want)
	}
	a, b := extents(t, tr), extents(t, again)
	for path, x := range a {
		y, ok := b[path]
		if !ok || len(x) != len(y) {
			t.Errorf("%s: extents or implied %v, want %v", path, y, x)
		}
	}
	if len(a) != len(b) {
		t.Errorf("extents or implied %v, want %v", b, a)
	}
	if write(t, again, WriteOptions{Whiteouts: w}) != archive {
		t.Error("second archive differs")
	}
	return archive
}

func TestReadWriteRead(t *testing.T) {
	n255 := strings.Repeat("n", 255)
	archives := map[string]string{
		"everything": everything(),
		"root":       dir("./", mode(0o700), owner(1, 2), mtime(3)) + file("a", "x"),
		"times":      times("-1.25", "-1", "-0.000000001", "0.5", "99999999999", "8589934591", "8589934592", "1.100000000", "-9223372036854775807.5"),
		"owners":     file("a", "", owner(2097151, 2097151)) + file("b", "", big(108, 8, 2097152), big(116, 8, 4294967295)),
		"names": file(strings.Repeat("n", 100), "") + pax("path", n255) + file("?", "") + pax("path", n255[:154]+"/"+n255[:100]) + file("?", "") +
			pax("path", n255[:155]+"/"+n255[:100]) + file("?", "") + pax("path", n255[:155]+"/"+n255[:101]) + file("?", "") + pax("path", n255[:99]+"/d") + dir("?") + file("d\xff\xfe", "") +
			pax("path", "\xff"+n255[1:]) + file("?", "") + file("gr\xc3\xbc\xc3\x9fe", "") + file(" -\n\t\\*", "") + pax("path", strings.Repeat("d/", 2000)+"\xff") + file("?", ""),
		"targets":       sym("a", strings.Repeat("t", 100)) + pax("linkpath", strings.Repeat("t", 4095)) + sym("b", "?") + sym("c", "\xff") + sym("d", "/\xc3\xbc") + sym("e", "a//b/../"),
		"hard links":    file("d/z", "x") + link("d/a", "d/z") + link("c", "d/z") + sym("s", "t") + link("r", "s") + hdr("n", '3', device(1, 3)) + link("m", "n") + pax("path", "d/"+n255) + link("?", "c"),
		"xattrs":        pax("SCHILY.xattr.user.a", "", "SCHILY.xattr.user.b", "x\x00\n=", "LIBARCHIVE.xattr.user.c%3D%25", "dg") + file("a", "") + pax("SCHILY.xattr.user.d", strings.Repeat("v", 65536)) + dir("d") + pax("SCHILY.xattr.trusted.l", "1") + sym("l", "t"),
		"whiteouts":     file("d/.wh..wh..opq", "") + file("d/.wh.x", "", mode(0), owner(5, 6), mtime(7)) + file(".wh.y", "") + file("d/z", "") + file("e/.wh.f", "") + file("e/f", "") + file(".wh.g", "") + dir("g") + pax("SCHILY.xattr.user.w", "1") + file("d/.wh.xattr", "") + file("o/.wh..wh..opq", "") + pax("SCHILY.xattr.trusted.overlay.origin", "handle") + dir("h") + file("h/.wh.x", ""),
		"long whiteout": pax("path", ".wh."+n255) + file("?", ""),
		"opaque root":   file(".wh..wh..opq", "") + file(".wh.x", ""),
		"implied only":  file("a/b/c", "") + dir("a/d"),
		"empty":         "",
	}
	for name, a := range archives {
		t.Run(name, func(t *testing.T) {
			fixedPoint(t, read(t, a+end, Options{}), Overlay)
			if name != "everything" && name != "whiteouts" && name != "opaque root" {
				fixedPoint(t, read(t, a+end, Options{Whiteouts: Strip}), Strip)
			}
			if name != "long whiteout" {
				fixedPoint(t, read(t, a+end, Options{Whiteouts: Keep}), Keep)
			}
		})
	}
}

func TestArchiveIsInOrder(t *testing.T) {
	tr := read(t, file("b", "1")+file("a/z", "2")+link("a/y", "a/z")+file("a/.wh.w", "")+file("a/.wh..wh..opq", "")+dir("a")+file("a-", "3")+end, Options{})
	var got []string
	r := tar.NewReader(strings.NewReader(write(t, tr, WriteOptions{})))
	for {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, h.Name+" "+h.Linkname)
	}
	want := "a/ ,a/.wh..wh..opq ,a/.wh.w ,a/y ,a/z a/y,a- ,b "
	if strings.Join(got, ",") != want {
		t.Errorf("got %s", strings.Join(got, ","))
	}
}

func TestPlainEntriesTakeNoPaxHeader(t *testing.T) {
	tr := read(t, file("a", "x", owner(1000, 1000))+dir("d")+sym("l", "a")+end, Options{})
	if got := write(t, tr, WriteOptions{}); len(got) != 6*blockSize {
		t.Errorf("archive of %d blocks", len(got)/blockSize)
	}
}

func TestWriteStripsWhiteouts(t *testing.T) {
	tr := read(t, file("d/.wh..wh..opq", "")+file("d/.wh.x", "")+file("d/y", "")+file("e/.wh.z", "")+end, Options{})
	got := list(t, read(t, write(t, tr, WriteOptions{Whiteouts: Strip}), Options{Whiteouts: Keep}))
	if want := lines("d 40755 implied @0.0", `d/y 100644 ""`, "e 40755 @0.0"); got != want {
		t.Errorf("got\n%s", got)
	}
}

func TestDenseWritesHolesAsZeros(t *testing.T) {
	tr := read(t, sparse10("s", 10000, "0123456789", 1, 5000, 10)+end, Options{})
	again := read(t, write(t, tr, WriteOptions{Dense: true}), Options{})
	if dump(t, again) != dump(t, tr) || again.Lookup("s").Content.Data() != nil {
		t.Errorf("got %s", dump(t, again))
	}
}

func TestWhatNoArchiveCanHold(t *testing.T) {
	withNode := func(name string, n *tree.Node) *tree.Tree {
		tr := tree.New()
		tr.Root.Add(name, n)
		return tr
	}
	white := &tree.Node{Mode: tree.TypeChar}
	xattr := func(name, value string) *tree.Node {
		return &tree.Node{Mode: tree.TypeFifo, Xattrs: []tree.Xattr{{Name: name, Value: value}}}
	}
	var many []tree.Xattr
	for i := range 40 {
		many = append(many, tree.Xattr{Name: "user." + string(rune('a'+i)), Value: strings.Repeat("v", 30000)})
	}
	for name, tr := range map[string]*tree.Tree{
		"name of a whiteout":     withNode(".wh.x", &tree.Node{Mode: tree.TypeFifo}),
		"whiteout of the marker": withNode(".wh..opq", white),
		"whiteout of aufs":       withNode(".wh.plnk", white),
		"name with a slash":      withNode("a/b", &tree.Node{Mode: tree.TypeFifo}),
		"whiteout with a slash":  withNode("a/b", white),
		"no name":                withNode("", &tree.Node{Mode: tree.TypeFifo}),
		"no target":              withNode("a", &tree.Node{Mode: tree.TypeSymlink}),
		"no type":                withNode("a", &tree.Node{}),
		"no content":             withNode("a", &tree.Node{Mode: tree.TypeRegular, Size: 1}),
		"extents out of order":   withNode("a", &tree.Node{Mode: tree.TypeRegular, Size: 10, Content: &content{data: []tree.Extent{{Off: 5, Len: 1}, {Off: 1, Len: 1}}}}),
		"extents out of range":   withNode("a", &tree.Node{Mode: tree.TypeRegular, Size: 10, Content: &content{data: []tree.Extent{{Off: 5, Len: 6}}}}),
		"xattr without name":     withNode("a", xattr("", "")),
		"xattr of 65537 bytes":   withNode("a", xattr("user.a", strings.Repeat("v", 65537))),
		"xattrs of over 1 MiB":   withNode("a", &tree.Node{Mode: tree.TypeFifo, Xattrs: many}),
	} {
		if err := Write(io.Discard, tr, WriteOptions{}); !errors.Is(err, ErrArchive) || !strings.HasPrefix(err.Error(), "tartree: ") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestWriteLeavesSocketsOut(t *testing.T) {
	tr := tree.New()
	s := &tree.Node{Mode: tree.TypeSocket}
	tr.Root.Add("s", s)
	tr.Root.Add("t", s)
	var warned []string
	a := write(t, tr, WriteOptions{Warn: func(w Warning) { warned = append(warned, w.Name) }})
	if strings.Join(warned, " ") != "s" || read(t, a, Options{}).Root.Len() != 0 {
		t.Errorf("warned %q", warned)
	}
}

func TestWritePassesFailuresOn(t *testing.T) {
	broken := errors.New("broken")
	tr := read(t, file("a", "x")+end, Options{})
	if err := Write(brokenWriter{broken}, tr, WriteOptions{}); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	tr.Lookup("a").Size = 5
	if err := Write(io.Discard, tr, WriteOptions{}); !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(err.Error(), `"a"`) {
		t.Errorf("short content: got %v", err)
	}
}

type brokenWriter struct{ err error }

func (b brokenWriter) Write([]byte) (int, error) { return 0, b.err }
