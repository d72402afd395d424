package tree

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

// FuzzDirectory runs a program of two-byte instructions against a directory and a map.
func FuzzDirectory(f *testing.F) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for _, names := range []int{3, 20, 200} {
		program := make([]byte, 2000)
		for i := 0; i < len(program); i += 2 {
			program[i], program[i+1] = byte(rnd.IntN(5)), byte(255-rnd.IntN(names))
			if rnd.IntN(3) == 0 {
				program[i] = 0
			}
		}
		f.Add(program)
	}
	f.Fuzz(func(t *testing.T, program []byte) {
		d, model := NewDir(0), map[string]*Node{}
		for ; len(program) >= 2; program = program[2:] {
			step(t, d, model, program[0], program[1])
			if d.Len() != len(model) {
				t.Fatalf("Len %d, want %d", d.Len(), len(model))
			}
		}
		sameEntries(t, d, model)
	})
}

func step(t *testing.T, d *Node, model map[string]*Node, op, arg byte) {
	name := fmt.Sprintf("%03d", arg)
	switch op % 5 {
	case 0:
		n := &Node{Size: int64(arg)}
		d.Add(name, n)
		model[name] = n
	case 1:
		_, had := model[name]
		if d.Remove(name) != had {
			t.Fatalf("Remove(%s) = %v", name, !had)
		}
		delete(model, name)
	case 2:
		if d.Lookup(name) != model[name] {
			t.Fatalf("Lookup(%s) = %p, want %p", name, d.Lookup(name), model[name])
		}
	case 3:
		sameEntries(t, d, model)
	case 4:
		if arg < 16 { // rarely, or every directory stays small
			d.Clear()
			clear(model)
		}
	}
}

func sameEntries(t *testing.T, d *Node, model map[string]*Node) {
	t.Helper()
	want := slices.Sorted(maps.Keys(model))
	var got []string
	for _, e := range d.Entries() {
		got = append(got, e.Name)
		if e.Node != model[e.Name] || d.Lookup(e.Name) != e.Node {
			t.Fatalf("%s: entry %p, lookup %p, want %p", e.Name, e.Node, d.Lookup(e.Name), model[e.Name])
		}
	}
	if !slices.Equal(got, want) {
		t.Fatalf("entries %q, want %q", got, want)
	}
}

// A name that comes and goes must not leave a trail that later lookups walk over.
func TestRemovedNameIsRevivedInPlace(t *testing.T) {
	d := NewDir(0)
	for i := range 100 { // out of order, so that there is an index
		d.Add(fmt.Sprint(99-i), &Node{})
	}
	for range 100_000 {
		d.Remove("50")
		d.Add("50", &Node{})
	}
	if n := len(d.dir.entries); n != 100 {
		t.Fatalf("%d slots for 100 names", n)
	}
}

func TestTombstonesAreReclaimed(t *testing.T) {
	d := NewDir(0)
	for i := range 100_000 {
		d.Add(fmt.Sprint(i), &Node{})
		if i >= 10 {
			d.Remove(fmt.Sprint(i - 10))
		}
	}
	if n := cap(d.dir.entries); n > 100 {
		t.Fatalf("%d slots for %d names", n, d.Len())
	}
}

func TestRemoveDuringEntriesKeepsTheOrder(t *testing.T) {
	d := NewDir(0)
	for _, name := range []string{"c", "a", "b", "d"} {
		d.Add(name, &Node{})
	}
	var seen []string
	for _, e := range d.Entries() {
		seen = append(seen, e.Name)
		d.Remove(e.Name)
	}
	if want := []string{"a", "b", "c", "d"}; !slices.Equal(seen, want) {
		t.Fatalf("saw %q, want %q", seen, want)
	}
	if d.Len() != 0 || len(d.Entries()) != 0 || d.Lookup("a") != nil {
		t.Fatal("entries are left")
	}
}

func TestGrowIsExactAndKeepsEntries(t *testing.T) {
	d := NewDir(0)
	d.Add("a", &Node{})
	d.Grow(1000)
	room := &d.dir.entries[:2][1]
	for i := range 1000 {
		d.Add(fmt.Sprintf("b%03d", i), &Node{})
	}
	if d.Len() != 1001 || cap(d.dir.entries) != 1001 || &d.dir.entries[1] != room || d.Lookup("a") == nil {
		t.Fatalf("%d entries, room for %d", d.Len(), cap(d.dir.entries))
	}
}

func TestSortedArrivalNeedsNoIndex(t *testing.T) {
	d := NewDir(0)
	for i := range 1000 {
		d.Add(fmt.Sprintf("%04d", i), &Node{})
	}
	if d.dir.mixed || d.dir.index != nil {
		t.Fatal("a sorted directory has an index")
	}
	d.Add("0500x", &Node{})
	if d.dir.index == nil {
		t.Fatal("a large mixed directory has no index")
	}
	d.Entries()
	if d.dir.mixed || d.dir.index != nil {
		t.Fatal("the index outlives the order it was for")
	}
}
