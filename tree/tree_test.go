package tree

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func TestDevIsInverseOfDevMajorMinor(t *testing.T) {
	// Values of new_encode_dev: 8:1, 259:7, 1:300, 4095:1048575.
	for _, c := range []struct{ major, minor, rdev uint32 }{
		{8, 1, 0x801}, {259, 7, 0x10307}, {1, 300, 0x10012c}, {4095, 1<<20 - 1, 0xffffffff},
	} {
		if got := Dev(c.major, c.minor); got != c.rdev {
			t.Errorf("Dev(%d, %d) = %#x, want %#x", c.major, c.minor, got, c.rdev)
		}
		if major, minor := DevMajorMinor(c.rdev); major != c.major || minor != c.minor {
			t.Errorf("DevMajorMinor(%#x) = %d, %d", c.rdev, major, minor)
		}
	}
}

func TestXattrsStaySortedAndUnique(t *testing.T) {
	var one, bulk Node
	var list []Xattr
	model := map[string]string{}
	for i := range 200 {
		name, value := fmt.Sprintf("user.%d", rand.IntN(60)), fmt.Sprint(i)
		one.SetXattr(name, value)
		list = append(list, Xattr{name, value})
		model[name] = value
		if i%3 == 0 {
			gone := fmt.Sprintf("user.%d", rand.IntN(60))
			one.RemoveXattr(gone)
			delete(model, gone)
			list = slices.DeleteFunc(list, func(x Xattr) bool { return x.Name == gone })
		}
	}
	bulk.SetXattrs(list)
	if !slices.Equal(one.Xattrs, bulk.Xattrs) {
		t.Errorf("one by one %v\nat once   %v", one.Xattrs, bulk.Xattrs)
	}
	if len(one.Xattrs) != len(model) || !slices.IsSortedFunc(one.Xattrs, func(a, b Xattr) int { return strings.Compare(a.Name, b.Name) }) {
		t.Errorf("%d xattrs, want %d in order: %v", len(one.Xattrs), len(model), one.Xattrs)
	}
	for name, want := range model {
		if got, ok := one.Xattr(name); !ok || got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
}

func TestRemoveXattrLeavesCopiesOfTheSliceAlone(t *testing.T) {
	n := &Node{Xattrs: []Xattr{{"user.a", "1"}, {"user.b", "2"}, {"user.c", "3"}}}
	before := n.Xattrs
	n.RemoveXattr("user.a")
	if before[0].Name != "user.a" || before[2].Name != "user.c" || len(n.Xattrs) != 2 {
		t.Fatalf("copy %v, node %v", before, n.Xattrs)
	}
}

// sample is  /a (file, also /d/e/z)  /b (symlink)  /d/  /d/e/  /d/f  /g/
func sample() *Tree {
	t := New()
	d, e, file := NewDir(0o755), NewDir(0o700), &Node{Mode: TypeRegular | 0o644, Size: 1, Content: Bytes("x")}
	t.Root.Add("g", NewDir(0o1777))
	t.Root.Add("d", d)
	t.Root.Add("b", &Node{Mode: TypeSymlink | 0o777, Target: "a"})
	t.Root.Add("a", file)
	d.Add("f", &Node{Mode: TypeFifo | 0o600})
	d.Add("e", e)
	e.Add("z", file)
	return t
}

func TestWalkIsInByteOrderAndVisitsEveryName(t *testing.T) {
	var got []string
	err := sample().Walk(func(path string, n *Node) error {
		got = append(got, path)
		return nil
	})
	if want := []string{"", "a", "b", "d", "d/e", "d/e/z", "d/f", "g"}; err != nil || !slices.Equal(got, want) {
		t.Fatalf("%q, want %q; %v", got, want, err)
	}
}

func TestWalkEndsWithTheFirstError(t *testing.T) {
	calls := 0
	err := sample().Walk(func(path string, n *Node) error {
		if calls++; path == "d/e/z" {
			return io.ErrUnexpectedEOF
		}
		return nil
	})
	if !errors.Is(err, io.ErrUnexpectedEOF) || calls != 6 {
		t.Fatalf("%v after %d calls", err, calls)
	}
}

func TestLookupSkipsDotsAndFollowsNothing(t *testing.T) {
	tr := sample()
	if tr.Lookup("/d//./e/z/") != tr.Root.Lookup("a") {
		t.Error("d/e/z is not the file a")
	}
	for _, path := range []string{"d/../a", "b/x", "x", "a/x"} {
		if tr.Lookup(path) != nil {
			t.Errorf("%s is found", path)
		}
	}
	if tr.Lookup("") != tr.Root {
		t.Error(`"" is not the root`)
	}
}

func TestInodesNumbersEachNodeOnceWithItsLinks(t *testing.T) {
	tr := sample()
	for range 2 { // numbers of an earlier call do not show
		all := tr.Inodes()
		var got []string
		for i, n := range all {
			if int(n.Ino()) != i+1 {
				t.Errorf("node %d has number %d", i+1, n.Ino())
			}
			got = append(got, fmt.Sprintf("%o:%d", n.Mode, n.Links()))
		}
		// root, its children a b d g, those of d: e f; z in d/e is a
		want := []string{"40755:4", "100644:2", "120777:1", "40755:3", "41777:2", "40700:2", "10600:1"}
		if !slices.Equal(got, want) {
			t.Errorf("%q\nwant %q", got, want)
		}
	}
	tr.Lookup("d/e").Remove("z")
	tr.Inodes()
	if links := tr.Lookup("a").Links(); links != 1 {
		t.Errorf("%d links after one of two was removed", links)
	}
}

func TestInodesPanicsOnADirectoryInItself(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	tr := sample()
	tr.Lookup("d/e").Add("loop", tr.Lookup("d"))
	tr.Inodes()
}

func TestImpliedSurvivesClear(t *testing.T) {
	d := NewDir(0)
	d.SetImplied(true)
	d.Add("a", &Node{})
	d.Clear()
	if !d.Implied() || d.Len() != 0 {
		t.Fatalf("implied %v, %d entries", d.Implied(), d.Len())
	}
	if d.SetImplied(false); d.Implied() {
		t.Fatal("still implied")
	}
}
