package erofs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/laminafs/lamina/internal/disk"
)

// link makes a symbolic link.
func (m *maker) link(target string) uint64 {
	return m.inode(disk.InodeExtended{Format: disk.MakeFormat(true, disk.FlatInline), Mode: 0o120777, Nlink: 1, Size: uint64(len(target))}, []byte(target))
}

func TestLinksAreFollowedInsideTheImage(t *testing.T) {
	m := newMaker(t, 9)
	file := m.file("hello")
	dir := m.dir(DirEntry{"back", m.link("../../../../f"), 7}, DirEntry{"f", file, 1}, DirEntry{"self", m.link("."), 7})
	im := open(t, bytes.NewReader(m.with(
		DirEntry{"abs", m.link("/d/f"), 7}, DirEntry{"d", dir, 2}, DirEntry{"f", file, 1}, DirEntry{"gone", m.link("x/y"), 7},
		DirEntry{"ld", m.link("d//./"), 7}, DirEntry{"lf", m.link("f/"), 7}, DirEntry{"loop", m.link("loop"), 7},
		DirEntry{"over", m.link("f/x"), 7}, DirEntry{"twice", m.link("ld/self/self/back"), 7})))
	for _, name := range []string{"abs", "d/back", "ld/f", "ld/back", "twice", "d/self/self/f"} {
		if got := read(im, name); got != "hello" {
			t.Errorf("%s: %s", name, got)
		}
	}
	for name, want := range map[string]error{"gone": fs.ErrNotExist, "loop": errLoop, "over": errNotDir, "f/x": errNotDir, "loop/x": errLoop,
		"d/..": fs.ErrInvalid, "d/./f": fs.ErrInvalid, "/d": fs.ErrInvalid, "": fs.ErrInvalid, "d/": fs.ErrInvalid} {
		var p *fs.PathError
		if _, err := im.Open(name); !errors.Is(err, want) || !errors.As(err, &p) || p.Path != name {
			t.Errorf("Open(%q): %v, want %v", name, err, want)
		}
	}
	if st, err := im.Lstat("ld"); err != nil || st.Mode() != fs.ModeSymlink|0o777 || st.Size() != 5 {
		t.Errorf("Lstat: %v, %v", st, err)
	}
	if st, err := im.Stat("ld"); err != nil || !st.IsDir() || st.Name() != "ld" {
		t.Errorf("Stat: %v, %v", st, err)
	}
	if target, err := im.ReadLink("ld/back"); err != nil || target != "../../../../f" {
		t.Errorf("ReadLink: %q, %v", target, err)
	}
	if _, err := im.ReadLink("f"); err == nil {
		t.Error("ReadLink of a file: no error")
	}
	if _, err := im.ReadFile("d"); !errors.Is(err, errIsDir) {
		t.Errorf("ReadFile of a directory: %v", err)
	}
	if _, err := im.Lookup("d/.."); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Lookup of ..: %v", err)
	}
	if i, err := im.Lookup("/d//f/"); err != nil || i.NID != file {
		t.Errorf("Lookup with slashes: %v", err)
	}
}

func TestNamesThatAreNotUTF8AreListedAndOpened(t *testing.T) {
	m := newMaker(t, 9)
	file := m.file("hello")
	dir := m.dir(DirEntry{"\xfe", file, 1})
	im := open(t, bytes.NewReader(m.with(DirEntry{"a", file, 1}, DirEntry{"\xff", dir, 2})))
	if got := read(im, "\xff/\xfe"); got != "hello" {
		t.Errorf("read: %q", got)
	}
	if err := fstest.TestFS(im, "a", "\xff/\xfe"); err != nil && !strings.Contains(err.Error(), "sub \xff") {
		t.Error(err)
	}
	if i, err := im.Lookup("\xff/\xfe"); err != nil || i.NID != file {
		t.Errorf("Lookup: %v", err)
	}
}

func TestTypesOfEntriesMayBeMissingOrWrong(t *testing.T) {
	m := newMaker(t, 9)
	dir, file := m.dir(), m.file("x")
	im := open(t, bytes.NewReader(m.with(DirEntry{"d", m.dir(DirEntry{".", dir, 2}), 0}, DirEntry{"f", file, 0}, DirEntry{"gone", 1 << 20, 0}, DirEntry{"odd", file, 99}, DirEntry{"wrong", file, 3})))
	list, err := im.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range list {
		got = append(got, fmt.Sprint(e.Name(), " ", e.Type()))
	}
	const want = "d d---------, f ----------, gone ?---------, odd ----------, wrong Dc---------"
	if s := strings.Join(got, ", "); s != want {
		t.Errorf("%s, want %s", s, want)
	}
	if _, err := list[2].Info(); !errors.Is(err, ErrCorrupt) {
		t.Errorf("Info of an inode that is not there: %v", err)
	}
	if st, err := list[4].Info(); err != nil || !st.Mode().IsRegular() {
		t.Errorf("Info takes the type of the inode: %v, %v", st, err)
	}
}

func TestClosedFilesSaySo(t *testing.T) {
	im := open(t, bytes.NewReader(golden(t, "flat")))
	for _, name := range []string{"hello", "dir"} {
		f, err := im.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		_, errs := f.Stat()
		switch f := f.(type) {
		case fs.ReadDirFile:
			_, err = f.ReadDir(1)
		case io.ReadSeeker:
			_, err = f.Read(make([]byte, 1))
			if _, err := f.Seek(0, 0); !errors.Is(err, fs.ErrClosed) {
				t.Errorf("%s: Seek: %v", name, err)
			}
		}
		if !errors.Is(err, fs.ErrClosed) || !errors.Is(errs, fs.ErrClosed) || !errors.Is(f.Close(), fs.ErrClosed) {
			t.Errorf("%s: %v, %v", name, err, errs)
		}
	}
	f, err := im.Open("dir")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Read(make([]byte, 1)); !errors.Is(err, errIsDir) {
		t.Errorf("read of a directory: %v", err)
	}
}

func TestImagesAreReadConcurrently(t *testing.T) {
	im := open(t, bytes.NewReader(golden(t, "flat")))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			tr, err := im.Tree()
			if err != nil || tr.Lookup("dir/deeper/hard") == nil {
				t.Errorf("Tree: %v", err)
			}
			err = fs.WalkDir(im, ".", func(path string, d fs.DirEntry, err error) error {
				if err == nil && d.Type().IsRegular() {
					_, err = im.ReadFile(path)
				}
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// limited fails once it has taken n bytes.
type limited struct {
	bytes.Buffer
	n int
}

func (l *limited) Write(p []byte) (int, error) {
	if n := l.n - l.Len(); len(p) > n {
		_, _ = l.Buffer.Write(p[:n]) // never fails
		return n, io.ErrShortWrite
	}
	return l.Buffer.Write(p)
}

func TestFilesAreCopiedFromWhereTheyAre(t *testing.T) {
	for _, name := range compressedImages {
		im := open(t, bytes.NewReader(golden(t, name)))
		want, err := im.ReadFile("dir/mixed")
		if err != nil {
			t.Fatal(err)
		}
		f, err := im.Open("dir/mixed")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(io.Discard, f, 3000); err != nil {
			t.Fatal(err)
		}
		first := &limited{n: 5000}
		if n, err := io.Copy(first, f); n != 5000 || !errors.Is(err, io.ErrShortWrite) {
			t.Errorf("%s: copied %d bytes, %v", name, n, err)
		}
		var rest bytes.Buffer
		if n, err := io.Copy(&rest, f); err != nil || n != int64(len(want)-8000) || first.String()+rest.String() != string(want[3000:]) {
			t.Errorf("%s: copied %d bytes, %v, or other ones than ReadFile has", name, n, err)
		}
	}
}
