package tree

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
)

func FuzzDiff(f *testing.F) {
	seedBytes(f)
	f.Fuzz(func(t *testing.T, src []byte) {
		if len(src) > 4096 {
			return
		}
		r := random{src}
		lower, upper := r.tree(false), r.tree(false)
		if r.byte(4) > 0 {
			upper = clone(lower)
			r.change(upper)
		}
		before := dump(t, upper)
		layer, err := Diff(lower, upper)
		if err != nil {
			t.Fatal(err)
		}
		shown := dump(t, layer)
		if dump(t, upper) != before {
			t.Fatal("Diff modified its argument")
		}
		got, err := Merge(clone(lower), clone(layer))
		if err != nil {
			t.Fatal(err)
		}
		if g := dump(t, got); g != before {
			t.Fatalf("lower\n%slayer\n%smerged\n%swant\n%s", dump(t, lower), shown, g, before)
		}
	})
}

func layerNames(t *testing.T, lower, upper *Tree, o DiffOptions) []string {
	t.Helper()
	l, err := DiffWith(lower, upper, o)
	if err != nil {
		t.Fatal(err)
	}
	got := names(l)
	for i, path := range got {
		if l.Lookup(path).IsWhiteout() {
			got[i] = "-" + path
		}
	}
	return got
}

func TestDiffOfEqualTreesIsEmpty(t *testing.T) {
	one := file("x")
	tr := plant(map[string]*Node{"a": one, "d/b": one, "d/e/c": file("y"), "f": {Mode: TypeFifo}})
	if got := layerNames(t, tr, clone(tr), DiffOptions{}); len(got) != 0 {
		t.Fatalf("%q", got)
	}
	if got := layerNames(t, tr, tr, DiffOptions{}); len(got) != 0 {
		t.Fatalf("with itself: %q", got)
	}
}

func TestDiffHoldsWhatChangedAndTheWayToIt(t *testing.T) {
	lower := plant(map[string]*Node{"a": file("1"), "d/b": file("2"), "d/e/c": file("3"), "g/h": file("4"), "k/l": file("5")})
	upper := clone(lower)
	upper.Lookup("d/e/c").UID = 7
	upper.Lookup("g").Remove("h")
	upper.Root.Remove("k")
	upper.Root.Add("n", NewDir(0o700))
	got := layerNames(t, lower, upper, DiffOptions{})
	if want := []string{"d", "d/e", "d/e/c", "g", "-g/h", "-k", "n"}; !slices.Equal(got, want) {
		t.Fatalf("%q, want %q", got, want)
	}
}

func TestDiffHoldsAllNamesOfALinkedFileOrNone(t *testing.T) {
	one := file("1")
	lower := plant(map[string]*Node{"a": one, "b": one, "c": file("2"), "s": file("3")})
	upper := clone(lower)
	upper.Root.Add("z", upper.Lookup("a")) // a third name of it
	upper.Root.Add("s", file("3"))         // an equal node of its own
	got := layerNames(t, lower, upper, DiffOptions{})
	if want := []string{"a", "b", "z"}; !slices.Equal(got, want) {
		t.Errorf("new name: %q, want %q", got, want)
	}
	upper = clone(lower)
	upper.Root.Add("b", file("1")) // the link is broken, the bytes are the same
	got = layerNames(t, lower, upper, DiffOptions{})
	if want := []string{"b"}; !slices.Equal(got, want) {
		t.Errorf("broken link: %q, want %q", got, want)
	}
	lower = plant(map[string]*Node{"a": file("1"), "b": file("1")})
	upper = plant(map[string]*Node{"a": one, "b": one}) // equal files have become one
	got = layerNames(t, lower, upper, DiffOptions{})
	if want := []string{"a", "b"}; !slices.Equal(got, want) {
		t.Errorf("made link: %q, want %q", got, want)
	}
}

func TestDiffComparesBytesUnlessTimesAreTrusted(t *testing.T) {
	lower := plant(map[string]*Node{"f": file("old")})
	upper := plant(map[string]*Node{"f": file("new")})
	if got := layerNames(t, lower, upper, DiffOptions{}); !slices.Equal(got, []string{"f"}) {
		t.Errorf("%q", got)
	}
	if got := layerNames(t, lower, upper, DiffOptions{TrustTimes: true}); len(got) != 0 {
		t.Errorf("with TrustTimes: %q", got)
	}
}

func TestDiffRefusesWhatALayerWouldTakeForAMark(t *testing.T) {
	opaque := plant(map[string]*Node{"d/f": file("")})
	opaque.Lookup("d").SetXattr(OpaqueXattr, "y")
	for _, upper := range []*Tree{plant(map[string]*Node{"d/w": whiteout()}), opaque} {
		for _, lower := range []*Tree{New(), clone(upper)} {
			if _, err := Diff(lower, upper); !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("%v", err)
			}
		}
	}
}

// holey is a file of zeros with a byte at some places; it fails where both sides have a hole.
type holey struct {
	t    *testing.T
	at   map[int64]byte
	data []Extent
}

func (h holey) Data() []Extent { return h.data }

func (h holey) ReadAt(p []byte, off int64) (int, error) {
	if off >= 8<<30 && off < 9<<30 {
		h.t.Errorf("read at %d, in a hole of both", off)
		return 0, io.ErrNoProgress
	}
	clear(p)
	for o, b := range h.at {
		if o >= off && o < off+int64(len(p)) {
			p[o-off] = b
		}
	}
	return len(p), nil
}

func TestDiffSkipsHolesOfBothFiles(t *testing.T) {
	const size = 100 << 30
	lone := holey{t, map[int64]byte{5: 1, 99 << 30: 2}, []Extent{{0, 10}, {99 << 30, 1}}}
	zeros := holey{t, map[int64]byte{5: 1, 99 << 30: 2}, []Extent{{0, 4096}, {1 << 30, 4096}, {99 << 30, 4096}}}
	other := holey{t, map[int64]byte{5: 1, 99 << 30: 2, 1<<30 + 9: 3}, []Extent{{0, 10}, {1 << 30, 4096}, {99 << 30, 1}}}
	for _, c := range []struct {
		a, b Content
		same bool
	}{{lone, zeros, true}, {lone, other, false}, {lone, holey{t, nil, []Extent{}}, false}} {
		a := plant(map[string]*Node{"f": {Mode: TypeRegular, Size: size, Content: c.a}})
		b := plant(map[string]*Node{"f": {Mode: TypeRegular, Size: size, Content: c.b}})
		if got := layerNames(t, a, b, DiffOptions{}); (len(got) == 0) != c.same {
			t.Errorf("%v and %v: %q", c.a, c.b, got)
		}
	}
}

func TestDiffReportsAShortContent(t *testing.T) {
	short := &Node{Mode: TypeRegular, Size: 10, Content: slowBytes{[]byte("12345")}}
	_, err := Diff(plant(map[string]*Node{"d/f": short}), plant(map[string]*Node{"d/f": {Mode: TypeRegular, Size: 10, Content: Bytes("1234567890")}}))
	if !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(err.Error(), `"d/f": offset 5`) {
		t.Fatal(err)
	}
}
