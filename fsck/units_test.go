package fsck

import (
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
)

// The models of these tests are byte arrays: slow, and obviously right.

const modelSize = 3000

func TestBitmapClaimsUpToTheFirstTakenNumber(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var b bitmap
		model := map[uint64]bool{}
		base := r.Uint64N(1 << 50)
		for range 60 {
			lo := base + r.Uint64N(modelSize)
			hi := lo + r.Uint64N(400)
			want := lo
			for want < hi && !model[want] {
				model[want] = true
				want++
			}
			if got := b.claim(lo, hi); got != want {
				t.Fatalf("claim(%d, %d) = %d, want %d", lo-base, hi-base, got-base, want-base)
			}
		}
		var got []uint64
		last := uint64(0)
		for lo, hi := range b.intervals() {
			if lo <= last || hi <= lo {
				t.Fatalf("interval [%d, %d) behind %d is not maximal or not ascending", lo, hi, last)
			}
			last = hi
			for ; lo < hi; lo++ {
				got = append(got, lo)
			}
		}
		if len(got) != len(model) {
			t.Fatalf("%d numbers in the intervals, want %d", len(got), len(model))
		}
		for _, n := range got {
			if !model[n] || !b.has(n) || b.add(n) {
				t.Fatalf("%d is in the intervals, but was not added", n)
			}
		}
	}
}

func TestScatteredBitmapStaysSmall(t *testing.T) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var b bitmap
	for i := range 10000 {
		b.add(uint64(i) << 40)
	}
	runtime.ReadMemStats(&after)
	if per := (after.TotalAlloc - before.TotalAlloc) / 10000; per > 300 {
		t.Errorf("%d bytes for each scattered number", per)
	}
	runtime.KeepAlive(b)
}

// spansOf reads spans off a model.
func spansOf(model []bool) []span {
	var out []span
	for i := 0; i < len(model); i++ {
		if !model[i] {
			continue
		}
		lo := i
		for i < len(model) && model[i] {
			i++
		}
		out = append(out, span{int64(lo), int64(i)})
	}
	return out
}

func collect(s spans) []span {
	var out []span
	for lo, hi := range s {
		out = append(out, span{lo, hi})
	}
	return out
}

func TestExtentSetFindsUnionAndClashes(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for round := range 300 {
		var s extentSet
		if round%3 == 0 {
			s.maxRuns = 5 // joins what touches
		}
		type key struct{ lo, hi int64 }
		distinct := map[key]bool{}
		for range r.IntN(25) {
			k := key{lo: r.Int64N(modelSize)}
			k.hi = min(k.lo+1+r.Int64N(200), modelSize)
			for range 1 + r.IntN(2) {
				s.add(k.lo, k.hi)
			}
			distinct[k] = true
			if r.IntN(4) == 0 {
				s.merge()
			}
		}
		s.merge()
		covered, twice := make([]bool, modelSize), make([]bool, modelSize)
		for k := range distinct {
			for i := k.lo; i < k.hi; i++ {
				twice[i] = covered[i]
				covered[i] = true
			}
		}
		for i := range twice { // the order of a map decides about twice, so count again
			n := 0
			for k := range distinct {
				if k.lo <= int64(i) && int64(i) < k.hi {
					n++
				}
			}
			twice[i] = n > 1
		}
		if got, want := collect(s.union()), spansOf(covered); !slices.Equal(got, want) {
			t.Fatalf("union %v, want %v", got, want)
		}
		if got, want := collect(s.clashes()), spansOf(twice); !s.joined && !slices.Equal(got, want) {
			t.Fatalf("clashes %v, want %v of %v", got, want, s.runs)
		}
	}
}

func TestSpansAreCombined(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	random := func() []bool {
		m := make([]bool, 300)
		for range r.IntN(12) {
			lo := r.IntN(300)
			for i := lo; i < min(300, lo+1+r.IntN(40)); i++ {
				m[i] = true
			}
		}
		return m
	}
	for range 1000 {
		a, b := random(), random()
		and, or, not := make([]bool, 300), make([]bool, 300), make([]bool, 300)
		for i := range a {
			and[i], or[i], not[i] = a[i] && b[i], a[i] || b[i], !a[i]
		}
		sa, sb := seq(spansOf(a)), seq(spansOf(b))
		for _, c := range []struct {
			what string
			got  spans
			want []bool
		}{{"shared", shared(sa, sb), and}, {"joined", joined(sa, sb), or}, {"gaps", gaps(sa, 300), not}} {
			got := collect(c.got)
			if c.what == "shared" { // pieces may touch
				got = collect(joined(c.got, seq(nil)))
			}
			if !slices.Equal(got, spansOf(c.want)) {
				t.Fatalf("%s of %v and %v: %v, want %v", c.what, spansOf(a), spansOf(b), got, spansOf(c.want))
			}
		}
	}
}

func TestLinkTableFindsWhatWasAdded(t *testing.T) {
	var table linkTable
	r := rand.New(rand.NewPCG(7, 8))
	nids := map[uint64]uint32{}
	for i := range uint32(5000) {
		nid := r.Uint64N(20000) << r.UintN(20)
		if _, ok := nids[nid]; ok {
			continue
		}
		nids[nid] = i
		table.add(link{nid: nid, counted: i})
	}
	for nid, i := range nids {
		if l := table.find(nid); l == nil || l.counted != i {
			t.Fatalf("find(%d) = %v, want %d", nid, l, i)
		}
	}
	if table.find(1<<60) != nil {
		t.Error("found what was never added")
	}
}

func TestArenaKeepsNamesOfEveryLength(t *testing.T) {
	var a arena
	var refs []nameRef
	name := make([]byte, 255)
	for i := range name {
		name[i] = byte(i)
	}
	for i := range 2000 {
		refs = append(refs, a.add(name[:i%256]))
	}
	for i, ref := range refs {
		if got := a.get(ref); !slices.Equal(got, name[:i%256]) {
			t.Fatalf("name %d came back as %q", i, got)
		}
	}
}
