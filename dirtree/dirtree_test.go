package dirtree

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/laminafs/lamina/tree"
)

// These tests are for every system; those of what only Linux has are in the files that say so.

func paths(tr *tree.Tree) (list []string) {
	_ = tr.Walk(func(path string, _ *tree.Node) error {
		list = append(list, path)
		return nil
	})
	return list[1:]
}

func TestReadIsInByteOrderAndSkipsWhatIsExcluded(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"b", "a/x", "a-", "a/drop/y", "B", "drop", "keep/drop", "a/\xff", "ä"} {
		write(t, filepath.Join(dir, filepath.FromSlash(name)), name)
	}
	tr, err := Read(dir, new(memory), Options{Exclude: func(path string) bool { return path == "drop" || path == "a/drop" }})
	must(t, err)
	if got, want := paths(tr), []string{"B", "a", "a/x", "a/\xff", "a-", "b", "keep", "keep/drop", "ä"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestReadPutsFilesInTheOrderOfWalk(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"z", "d/b", "d/a/f", "e", "d/c"} {
		write(t, filepath.Join(dir, filepath.FromSlash(name)), name)
	}
	var order []string
	_, err := Read(dir, putFunc(func(f tree.File, r io.Reader) (tree.Content, error) {
		b, err := io.ReadAll(r)
		order = append(order, string(b))
		return tree.Bytes(b), err
	}), Options{})
	if want := []string{"d/a/f", "d/b", "d/c", "e", "z"}; err != nil || !slices.Equal(order, want) {
		t.Errorf("%q, want %q; %v", order, want, err)
	}
}

type putFunc func(f tree.File, r io.Reader) (tree.Content, error)

func (p putFunc) Put(f tree.File, r io.Reader) (tree.Content, error) { return p(f, r) }

func TestReadReportsFilesThatChange(t *testing.T) {
	for name, change := range map[string]func(path string) error{
		"shrink": func(path string) error { return os.Truncate(path, 10) },
		"vanish": func(path string) error { return os.Truncate(path, 0) },
		"grow":   func(path string) error { return os.Truncate(path, 1<<20) },
		"grow behind its time": func(path string) error {
			info, err := os.Stat(path)
			must(t, err)
			must(t, os.Truncate(path, 1<<20))
			return os.Chtimes(path, time.Time{}, info.ModTime())
		},
		"rewrite": func(path string) error { return os.Chtimes(path, time.Time{}, time.Unix(1, 0)) },
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "d", "f")
		write(t, path, strings.Repeat("x", 200<<10))
		_, err := Read(dir, &memory{hook: func() { must(t, change(path)) }}, Options{})
		if err == nil || !strings.Contains(err.Error(), `"d/f": `) {
			t.Errorf("%s: %v", name, err)
		} else if short := name == "shrink" || name == "vanish"; !errors.Is(err, errShrank) && (short || !errors.Is(err, errChanged)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestReadPassesOnErrorsOfTheSpool(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "d", "f"), "x")
	_, err := Read(dir, putFunc(func(tree.File, io.Reader) (tree.Content, error) { return nil, io.ErrClosedPipe }), Options{})
	if !errors.Is(err, io.ErrClosedPipe) || !strings.Contains(err.Error(), `"d/f"`) {
		t.Error(err)
	}
}

func TestReadOfWhatIsNoDirectory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	write(t, path, "")
	if _, err := Read(path, new(memory), Options{}); err == nil || !strings.Contains(err.Error(), path) {
		t.Error(err)
	}
	if _, err := Read(path+"x", new(memory), Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func TestExtractRefusesNamesThatLeadElsewhere(t *testing.T) {
	for _, name := range []string{"", ".", "..", "a/b", "/a", "../x", "a\x00b"} {
		for _, n := range []*tree.Node{text("x"), tree.NewDir(0o755), {Mode: tree.TypeSymlink, Target: "x"}} {
			tr, base := tree.New(), t.TempDir()
			d := tree.NewDir(0o755)
			tr.Root.Add("d", d)
			d.Add(name, n)
			err := Extract(tr, filepath.Join(base, "in"), ExtractOptions{Overwrite: true})
			if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q: not allowed", name)) {
				t.Errorf("%q: %v", name, err)
			}
			if left, _ := os.ReadDir(base); len(left) != 0 {
				t.Errorf("%q: %v", name, left)
			}
		}
	}
}

// prison makes a directory "in" with symbolic links to a directory beside it.
func prison(t *testing.T) (in, out string) {
	base := t.TempDir()
	in, out = filepath.Join(base, "in"), filepath.Join(base, "out")
	write(t, filepath.Join(out, "f"), "safe")
	must(t, os.Mkdir(in, 0o755))
	must(t, os.Symlink(out, filepath.Join(in, "d")))
	must(t, os.Symlink(filepath.Join(out, "f"), filepath.Join(in, "f")))
	must(t, os.Symlink(filepath.Join(out, "new"), filepath.Join(in, "new")))
	return in, out
}

func TestExtractDoesNotFollowLinksThatAreThere(t *testing.T) {
	f := text("evil")
	trees := map[string]*tree.Tree{
		"through a link to a directory": plant(map[string]*tree.Node{"d/x": text("evil")}),
		"over a link to a file":         plant(map[string]*tree.Node{"f": text("evil")}),
		"over a link to nothing":        plant(map[string]*tree.Node{"new": text("evil")}),
		"hard link over a link":         plant(map[string]*tree.Node{"a": f, "f": f}),
		"link over a link":              plant(map[string]*tree.Node{"f": {Mode: tree.TypeSymlink | 0o777, Target: "x"}}),
	}
	for name, tr := range trees {
		in, out := prison(t)
		if err := Extract(tr, in, ExtractOptions{}); err == nil {
			t.Errorf("%s: no error", name)
		}
		inside(t, name, out)
		must(t, Extract(tr, in, ExtractOptions{Overwrite: true}))
		inside(t, name+", overwriting", out)
		got := read(t, in)
		_ = tr.Walk(func(path string, n *tree.Node) error {
			if g := got.Lookup(path); g == nil || g.Mode != n.Mode || g.Size != n.Size || g.Target != n.Target {
				t.Errorf("%s: %s is %+v, want %+v", name, path, g, n)
			}
			return nil
		})
	}
}

// inside fails the test if something outside of the prison was touched.
func inside(t *testing.T, name, out string) {
	t.Helper()
	left, err := os.ReadDir(out)
	must(t, err)
	b, err := os.ReadFile(filepath.Join(out, "f"))
	if err != nil || len(left) != 1 || string(b) != "safe" {
		t.Errorf("%s: outside there are %v, f is %q, %v", name, left, b, err)
	}
}

func TestExtractNeverRemovesADirectory(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "a"), 0o755))
	for _, n := range []*tree.Node{text("x"), {Mode: tree.TypeSymlink, Target: "x"}} {
		if err := Extract(plant(map[string]*tree.Node{"a": n}), dir, ExtractOptions{Overwrite: true}); !errors.Is(err, os.ErrExist) {
			t.Errorf("%v", err)
		}
	}
}

func TestExtractMergesWithDirectoriesThatAreThere(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "d", "old"), "1")
	must(t, Extract(plant(map[string]*tree.Node{"d/new": text("2")}), dir, ExtractOptions{}))
	if got := paths(read(t, dir)); !slices.Equal(got, []string{"d", "d/new", "d/old"}) {
		t.Errorf("%q", got)
	}
}

func TestExtractReportsContentThatIsNotThere(t *testing.T) {
	short, long := text("12345"), text("12345")
	short.Size = 10
	long.Content = nil
	for _, n := range []*tree.Node{
		short, long,
		{Mode: tree.TypeRegular, Size: -1},
		{Mode: tree.TypeRegular, Size: 10, Content: held{tree.File{Data: []tree.Extent{{Off: 5, Len: 6}}}, nil}},
		{Mode: tree.TypeRegular, Size: 10, Content: held{tree.File{Data: []tree.Extent{{Off: 5, Len: 1<<63 - 1}}}, nil}},
		{Mode: tree.TypeRegular, Size: 10, Content: held{tree.File{Data: []tree.Extent{{Off: -1, Len: 1}}}, nil}},
		{Mode: tree.TypeRegular, Size: 10, Content: held{tree.File{Size: 10, Data: []tree.Extent{{Off: 5, Len: 1}, {Off: 5, Len: 1}}}, []byte("ab")}},
		{Mode: 0o644}, {Mode: 0o050000},
	} {
		err := Extract(plant(map[string]*tree.Node{"d/f": n}), t.TempDir(), ExtractOptions{})
		if err == nil || !strings.Contains(err.Error(), `"d/f"`) {
			t.Errorf("%+v: %v", n, err)
		}
	}
}

func TestTheDeepestTree(t *testing.T) {
	for _, c := range []struct {
		dirs int
		ok   bool
	}{{tree.MaxDepth - 1, true}, {tree.MaxDepth, false}} {
		tr := tree.New()
		d := tr.Root
		for range c.dirs {
			next := tree.NewDir(0o755)
			d.Add("d", next)
			d = next
		}
		d.Add("f", text("deep"))
		dir := filepath.Join(t.TempDir(), "x")
		err := Extract(tr, dir, ExtractOptions{})
		if (err == nil) != c.ok {
			t.Fatalf("%d directories: %v", c.dirs, err)
		}
		if !c.ok {
			if !errors.Is(err, errDeep) {
				t.Error(err)
			}
			continue
		}
		sameDump(t, dump(t, read(t, dir)), dump(t, tr))
	}
}
