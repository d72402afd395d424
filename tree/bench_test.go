package tree

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
)

var benchNames = sync.OnceValue(func() (names []string) {
	for i := range 1_000_000 {
		names = append(names, fmt.Sprintf("file-%07d", i))
	}
	return names
})

// Names are not counted in the bytes; the time is that of Add and Inodes.
func BenchmarkMillionEntries(b *testing.B) {
	shuffled := slices.Clone(benchNames())
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	for _, c := range []struct {
		name  string
		names []string
		per   int // entries of a directory
	}{
		{"one-directory-sorted", benchNames(), 1e6}, {"one-directory-shuffled", shuffled, 1e6},
		{"100-a-directory", benchNames(), 100}, {"10-a-directory", benchNames(), 10}, {"2-a-directory", benchNames(), 2},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				before := heap()
				b.StartTimer()
				tr := fill(c.names, c.per)
				b.StopTimer()
				b.ReportMetric(float64(heap()-before)/1e6, "B/entry")
				b.StartTimer()
				tr.Inodes()
				b.StopTimer()
				b.ReportMetric(float64(heap()-before)/1e6, "B/entry-sorted")
				runtime.KeepAlive(tr)
				b.StartTimer()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1e6, "ns/entry")
		})
	}
}

// fill puts the names into directories of per entries; the directories count as entries.
func fill(names []string, per int) *Tree {
	t := New()
	d := t.Root
	for i, name := range names {
		if i%per == 0 && per < len(names) {
			d = NewDir(0o755)
			t.Root.Add(name, d)
			continue
		}
		d.Add(name, &Node{Mode: TypeRegular | 0o644})
	}
	return t
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
