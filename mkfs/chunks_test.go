package mkfs

import (
	"strings"
	"testing"

	"github.com/laminafs/lamina/tree"
)

func TestCheapestChunkFollowsHolesAndKeepsTheIndexShort(t *testing.T) {
	for _, c := range []struct {
		name string
		size int64
		data []tree.Extent
		want uint8
	}{
		{"all hole: one entry", 64 << 30, []tree.Extent{}, 24},
		{"one block at the end of 100 GiB", 100 << 30, []tree.Extent{{Off: 100<<30 - 4096, Len: 4096}}, 0},
		{"dense", 1 << 20, []tree.Extent{{Off: 0, Len: 1 << 20}}, 8},
		{"every second block", 64 << 10, []tree.Extent{{Off: 0, Len: 4096}, {Off: 8192, Len: 4096}, {Off: 16384, Len: 4096}, {Off: 24576, Len: 4096}}, 0},
	} {
		got := cheapestChunk(c.size, c.data, 12)
		cost := func(bits uint8) int64 {
			unit := int64(4096) << bits
			return ((c.size-1)/unit+1)*8 + touched(c.data, c.size, unit)
		}
		for b := range uint8(31) {
			if cost(b) < cost(got) {
				t.Errorf("%s: %d blocks cost %d, %d would cost %d", c.name, 1<<got, cost(got), 1<<b, cost(b))
			}
		}
		if c.name[:3] != "one" && got != c.want {
			t.Errorf("%s: log2 = %d, want %d", c.name, got, c.want)
		}
	}
}

// A header must not be able to fill the disk.
func TestSparseFilesThatCostFarMoreThanTheirDataAreRefused(t *testing.T) {
	for _, c := range []struct {
		size  int64
		o     Options
		times int
		ok    bool
	}{
		{size: 1 << 62, times: 1},
		{size: 64 << 30, times: 100, ok: true},
		{size: 1 << 40, times: 200},
		{size: 1 << 62, o: Options{ChunkSize: 4096}, times: 1},
	} {
		w, err := New(&memFile{}, c.o)
		if err != nil {
			t.Fatal(err)
		}
		for range c.times {
			f := tree.File{Size: c.size, Data: []tree.Extent{{Off: c.size / 3, Len: 1}}}
			if _, err = w.Put(f, strings.NewReader("x")); err != nil {
				break
			}
		}
		if (err == nil) != c.ok {
			t.Errorf("%d bytes, %d times: %v", c.size, c.times, err)
		}
		if got := w.data.pos(); got > 512<<20 {
			t.Errorf("%d bytes, %d times: %d bytes written", c.size, c.times, got)
		}
		_ = w.Close()
	}
}

func TestTouchedCountsEachChunkOnceAndCutsTheLast(t *testing.T) {
	data := []tree.Extent{{Off: 0, Len: 10}, {Off: 20, Len: 10}, {Off: 4090, Len: 10}, {Off: 9000, Len: 1000}}
	if got := touched(data, 10000, 4096); got != 10000 {
		t.Errorf("touched = %d, want all of 10000", got)
	}
	if got := touched(data[:2], 10000, 4096); got != 4096 {
		t.Errorf("touched = %d, want one chunk", got)
	}
}

func TestCommonUnitOfTarExtents(t *testing.T) {
	for _, c := range []struct {
		size int64
		data []tree.Extent
		bits uint8
		ok   bool
	}{
		{1000, []tree.Extent{{Off: 0, Len: 1000}}, 1, true},
		{1 << 20, []tree.Extent{{Off: 0, Len: 4096}, {Off: 8192, Len: 4096}}, 3, true},
		{1 << 20, []tree.Extent{{Off: 100, Len: 412}}, 0, false},
		{1 << 20, []tree.Extent{{Off: 512, Len: 1<<20 - 512}}, 0, true},
	} {
		bits, ok := commonUnit(c.size, c.data)
		if ok != c.ok || bits != c.bits {
			t.Errorf("%v: %d %v, want %d %v", c.data, bits, ok, c.bits, c.ok)
		}
	}
}
