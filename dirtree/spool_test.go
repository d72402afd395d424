package dirtree

import (
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/laminafs/lamina/tree"
)

// memory is a spool that keeps everything. hook, if set, is called when half of a file is read.
type memory struct {
	puts int
	hook func()
}

func (m *memory) Put(f tree.File, r io.Reader) (tree.Content, error) {
	m.puts++
	if m.hook == nil {
		b, err := io.ReadAll(r)
		return held{f, b}, err
	}
	b := make([]byte, f.DataLen()/2)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, err
	}
	m.hook()
	rest, err := io.ReadAll(r)
	return held{f, append(b, rest...)}, err
}

// held is the file that memory keeps.
type held struct {
	f    tree.File
	data []byte
}

func (h held) Data() []tree.Extent { return h.f.Data }

func (h held) ReadAt(p []byte, off int64) (int, error) {
	n := int(max(0, min(int64(len(p)), h.f.Size-off)))
	clear(p[:n])
	ext := h.f.Data
	if ext == nil {
		ext = []tree.Extent{{Len: h.f.Size}}
	}
	at := int64(0)
	for _, e := range ext {
		lo, hi := max(e.Off, off), min(e.Off+e.Len, off+int64(n))
		if lo < hi {
			copy(p[lo-off:hi-off], h.data[at+lo-e.Off:])
		}
		at += e.Len
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func text(s string) *tree.Node {
	return &tree.Node{Mode: tree.TypeRegular | 0o644, Size: int64(len(s)), Content: tree.Bytes(s)}
}

// plant makes a tree of nodes by path, with directories on the way.
func plant(nodes map[string]*tree.Node) *tree.Tree {
	t := tree.New()
	for _, path := range slices.Sorted(maps.Keys(nodes)) {
		d := t.Root
		parts := strings.Split(path, "/")
		for _, name := range parts[:len(parts)-1] {
			if d.Lookup(name) == nil {
				d.Add(name, tree.NewDir(0o755))
			}
			d = d.Lookup(name)
		}
		d.Add(parts[len(parts)-1], nodes[path])
	}
	return t
}

func dump(t testing.TB, tr *tree.Tree) string {
	t.Helper()
	var b strings.Builder
	if err := tree.Dump(&b, tr); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func read(t testing.TB, dir string) *tree.Tree {
	t.Helper()
	tr, err := Read(dir, new(memory), Options{Warn: func(w Warning) { t.Errorf("read warns: %v", w) }})
	must(t, err)
	return tr
}

func extract(t testing.TB, tr *tree.Tree) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "new", "x")
	must(t, Extract(tr, dir, ExtractOptions{Warn: func(w Warning) { t.Errorf("extract warns: %v", w) }}))
	return dir
}

func sameDump(t testing.TB, got, want string) {
	t.Helper()
	if got == want {
		return
	}
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range g {
		if i >= len(w) || g[i] != w[i] {
			t.Fatalf("line %d of %d and %d:\n%s\nwant\n%s", i+1, len(g), len(w), g[i], append(w, "nothing")[min(i, len(w))])
		}
	}
	t.Fatalf("%d lines, want %d", len(g), len(w))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t testing.TB, path, s string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(t, os.WriteFile(path, []byte(s), 0o644))
}
