package tree

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// rules applies layers to a map of paths by the letter of the OCI rules: slow, and shares nothing with
// Merge but Node.
func rules(layers []*Tree) *Tree {
	fs := map[string]*Node{}
	remove := func(path string) {
		delete(fs, path)
		for p := range fs {
			if strings.HasPrefix(p, path+"/") {
				delete(fs, p)
			}
		}
	}
	for _, l := range layers {
		_ = l.Walk(func(path string, n *Node) error {
			path = "/" + path
			old := fs[path]
			switch {
			case n.IsWhiteout():
				remove(path)
				return nil
			case n.IsDir() && old != nil && old.IsDir():
				if n.IsOpaque() {
					remove(path)
				}
				if n.Implied() {
					n = old
				}
			default:
				remove(path)
			}
			fs[path] = n
			return nil
		})
	}
	return unflatten(fs)
}

func unflatten(fs map[string]*Node) *Tree {
	made := map[*Node]*Node{} // directories stand for one path, others are hard-linked
	t := &Tree{}
	for _, path := range slices.Sorted(maps.Keys(fs)) {
		n := made[fs[path]]
		if n == nil || n.IsDir() {
			c := *fs[path]
			c.dir = nil
			c.RemoveXattr(OpaqueXattr)
			n = &c
			made[fs[path]] = n
		}
		if path == "/" {
			t.Root = n
			continue
		}
		path = path[1:]
		if i := strings.LastIndex(path, "/"); i < 0 {
			t.Root.Add(path, n)
		} else {
			t.Lookup(path[:i]).Add(path[i+1:], n)
		}
	}
	return t
}

// FuzzMerge compares with rules, and checks that any upper part of a chain may be squashed first.
func FuzzMerge(f *testing.F) {
	seedBytes(f)
	f.Fuzz(func(t *testing.T, src []byte) {
		if len(src) > 4096 {
			return
		}
		r := random{src}
		layers := []*Tree{r.tree(true), r.tree(true), r.tree(true), r.tree(true)}
		want := rules(layers)
		got, err := Merge(clones(layers)...)
		if err != nil {
			t.Fatal(err)
		}
		sameTree(t, "Merge", got, want)
		for i := range layers {
			c := clones(layers)
			upper, err := Squash(c[i:]...)
			if err != nil {
				t.Fatal(err)
			}
			got, err := Merge(append(c[:i:i], upper)...)
			if err != nil {
				t.Fatal(err)
			}
			sameTree(t, fmt.Sprintf("Merge with Squash from %d", i), got, want)
		}
	})
}

func seedBytes(f *testing.F) {
	r := rand.New(rand.NewPCG(7, 7))
	for i := range 300 {
		b := make([]byte, 20+4*i)
		for j := range b {
			b[j] = byte(r.Uint32())
		}
		f.Add(b)
	}
}

// plant adds nodes by path, making directories on the way.
func plant(paths map[string]*Node) *Tree {
	t := New()
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		d := t.Root
		parts := strings.Split(path, "/")
		for _, name := range parts[:len(parts)-1] {
			if d.Lookup(name) == nil {
				d.Add(name, NewDir(0o755))
			}
			d = d.Lookup(name)
		}
		d.Add(parts[len(parts)-1], paths[path])
	}
	return t
}

func file(s string) *Node {
	return &Node{Mode: TypeRegular | 0o644, Size: int64(len(s)), Content: Bytes(s)}
}

func whiteout() *Node { return &Node{Mode: TypeChar} }

func names(t *Tree) (paths []string) {
	_ = t.Walk(func(path string, n *Node) error {
		paths = append(paths, path)
		return nil
	})
	return paths[1:]
}

func merged(t *testing.T, layers ...*Tree) *Tree {
	t.Helper()
	m, err := Merge(layers...)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestMergeOfOpaqueRoot(t *testing.T) {
	lower, upper := plant(map[string]*Node{"a": file("1"), "d/b": file("2")}), plant(map[string]*Node{"d/c": file("3")})
	upper.Root.SetXattr(OpaqueXattr, "y")
	m := merged(t, lower, upper)
	if got := names(m); !slices.Equal(got, []string{"d", "d/c"}) || len(m.Root.Xattrs) != 0 {
		t.Fatalf("%q, root %v", got, m.Root.Xattrs)
	}
}

func TestMergeOfOneLayerDropsItsWhiteouts(t *testing.T) {
	m := merged(t, plant(map[string]*Node{"a": whiteout(), "d/b": whiteout(), "d/c": file("")}))
	if got := names(m); !slices.Equal(got, []string{"d", "d/c"}) {
		t.Fatalf("%q", got)
	}
}

func TestMergeKeepsMetadataUnderImpliedDirectories(t *testing.T) {
	lower, upper := plant(map[string]*Node{"tmp/a": file("1")}), plant(map[string]*Node{"tmp/b": file("2")})
	lower.Lookup("tmp").Mode = TypeDir | 0o1777
	upper.Lookup("tmp").SetImplied(true)
	m := merged(t, lower, upper)
	if tmp := m.Lookup("tmp"); tmp.Mode != TypeDir|0o1777 || tmp.Len() != 2 {
		t.Fatalf("mode %o, %d entries", tmp.Mode, tmp.Len())
	}
}

func TestMergeKeepsHardLinksOfALayerOnly(t *testing.T) {
	one, two := file("x"), file("x")
	m := merged(t,
		plant(map[string]*Node{"a": one, "b": one, "c": one}),
		plant(map[string]*Node{"b": two, "d": two}))
	if m.Lookup("a") != m.Lookup("c") || m.Lookup("b") != m.Lookup("d") || m.Lookup("a") == m.Lookup("b") {
		t.Fatal(dump(t, m))
	}
	if m.Inodes(); m.Lookup("a").Links() != 2 {
		t.Fatalf("%d links of a", m.Lookup("a").Links())
	}
}

func TestMergeDropsTheBooksOfOverlayfs(t *testing.T) {
	l := plant(map[string]*Node{"f": file("x"), "d/g": file("y")})
	for _, path := range []string{"", "f", "d"} {
		n := l.Lookup(path)
		for _, name := range []string{"trusted.overlay.origin", "trusted.overlay.overlay.opaque", "trusted.overlay.opaque", "user.overlay.opaque", "user.a"} {
			n.SetXattr(name, "y")
		}
	}
	l.Lookup("d/g").Xattrs = l.Lookup("f").Xattrs // nodes may share a slice
	m := merged(t, New(), l)
	for _, path := range []string{"", "f", "d", "d/g"} {
		var got []string
		for _, x := range m.Lookup(path).Xattrs {
			got = append(got, x.Name)
		}
		if want := []string{"trusted.overlay.overlay.opaque", "user.a", "user.overlay.opaque"}; !slices.Equal(got, want) {
			t.Errorf("%q: %q", path, got)
		}
	}
}

func TestMergeRefusesRedirects(t *testing.T) {
	for _, name := range []string{"trusted.overlay.redirect", "trusted.overlay.metacopy"} {
		l := plant(map[string]*Node{"d/e": file("x")})
		l.Lookup("d/e").SetXattr(name, "/x")
		_, err := Merge(New(), l)
		if !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), `"d/e": `+name) {
			t.Errorf("%v", err)
		}
	}
}

func TestSquashKeepsWhatTheBaseNeeds(t *testing.T) {
	a := plant(map[string]*Node{"gone": whiteout(), "file": file("1"), "opaque/x": whiteout()})
	b := plant(map[string]*Node{"file/now": file("2"), "opaque/y": whiteout(), "gone/new": file("3")})
	a.Lookup("opaque").SetXattr(OpaqueXattr, "y")
	s, err := Squash(a, b)
	if err != nil {
		t.Fatal(err)
	}
	if got := names(s); !slices.Equal(got, []string{"file", "file/now", "gone", "gone/new", "opaque", "opaque/x"}) {
		t.Errorf("%q", got)
	}
	for _, path := range []string{"file", "gone", "opaque"} {
		if !s.Lookup(path).IsOpaque() {
			t.Errorf("%s is not opaque", path)
		}
	}
}

func TestSquashOfImpliedDirectories(t *testing.T) {
	base := plant(map[string]*Node{"gone/x": file("1"), "opaque/x": file("2")})
	base.Lookup("gone").UID, base.Lookup("opaque").UID = 7, 7
	a := plant(map[string]*Node{"gone": whiteout(), "opaque/y": file("3")})
	b := plant(map[string]*Node{"gone/z": file("4"), "opaque/z": file("5")})
	b.Lookup("opaque").SetXattr(OpaqueXattr, "y")
	for _, n := range []*Node{a.Lookup("opaque"), b.Lookup("opaque"), b.Lookup("gone")} {
		n.SetImplied(true)
	}
	c := clones([]*Tree{base, a, b})
	s, err := Squash(a, b)
	if err != nil {
		t.Fatal(err)
	}
	got, want := merged(t, base, s), merged(t, c...)
	sameTree(t, "by Squash", got, want)
	if got.Lookup("gone").UID != 0 || got.Lookup("opaque").UID != 7 || len(names(got)) != 4 {
		t.Error(dump(t, got))
	}
}

func TestMergeOfNothingIsAnEmptyTree(t *testing.T) {
	sameTree(t, "Merge()", merged(t), New())
}

func BenchmarkMergeMillion(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		lower, upper := fill(benchNames()[:500_000], 100), fill(benchNames()[250_000:750_000], 100)
		b.StartTimer()
		if _, err := Merge(lower, upper); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1e6, "ns/entry")
}
