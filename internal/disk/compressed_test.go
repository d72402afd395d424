package disk

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestForeignConfigsHaveTheLengthOfTheirAlgorithm(t *testing.T) {
	byKind := map[string]Algorithm{"lz4-config": LZ4, "lzma-config": LZMA, "deflate-config": Deflate, "zstd-config": ZSTD}
	for _, file := range dumps(t) {
		for _, s := range readDump(t, file) {
			if s.kind == "config-length" && number(t, s.get("length")) != uint64(ComprCfgSize(byKind[s.note])) {
				t.Errorf("%s: %s has %s bytes, want %d", file, s.note, s.get("length"), ComprCfgSize(byKind[s.note]))
			}
		}
	}
}

func TestAlgorithmsOfForeignImages(t *testing.T) {
	for file, want := range map[string]string{"plain.txt": "", "compact.txt": "lz4", "compact-big.txt": "lz4",
		"algorithms.txt": "lz4,lzma,deflate,zstd", "extent4.txt": "zstd", "metabox.txt": "zstd"} {
		s := superblock(t, file)
		if got := s.Algorithms().String(); got != want {
			t.Errorf("%s: algorithms %q, want %q", file, got, want)
		}
	}
	if got := Algorithms(0x1F).Unknown(); got != 0x10 {
		t.Errorf("unknown algorithms %#x, want 0x10", got)
	}
}

func superblock(t *testing.T, file string) (s Superblock) {
	t.Helper()
	s.Decode((*[SuperSize]byte)(find(t, readDump(t, file), "superblock", "").bytes))
	return s
}

func mapHeader(t *testing.T, file, name string) (h MapHeader) {
	t.Helper()
	h.Decode((*[MapHeaderSize]byte)(find(t, readDump(t, file), "map-header", name).bytes))
	return h
}

func TestMapHeadersOfForeignImages(t *testing.T) {
	if h := mapHeader(t, "extent32.txt", "huge"); !h.Advise.UsesExtents(CompressedFull) || h.Advise.RecordSize() != 32 || h.ExtentCount() != 769 {
		t.Errorf("huge: extents %v of %d bytes, %d of them", h.Advise.UsesExtents(CompressedFull), h.Advise.RecordSize(), h.ExtentCount())
	}
	if h := mapHeader(t, "compact.txt", "file"); h.Advise.UsesExtents(CompressedCompact) || h.LclusterBits(12) != 12 || h.Head1() != LZ4 {
		t.Errorf("compact: %+v", h)
	}
	if h := mapHeader(t, "extent4.txt", "file"); h.Advise.RecordSize() != 4 || h.LclusterBits(12) != 16 {
		t.Errorf("extents of 4 bytes: %+v", h)
	}
	if h := mapHeader(t, "ztailpacking.txt", "small"); h.Advise&AdviseInline == 0 || h.IdataSize() != 0xF31 {
		t.Errorf("inline tail of %#x bytes, want 0xf31", h.IdataSize())
	}
	if h := mapHeader(t, "fragments.txt", "file"); h.Advise&AdviseFragment == 0 || h.FragmentOff() != 0 {
		t.Errorf("tail in the packed inode: %+v", h)
	}
	for name, want := range map[string]uint64{"file": 0, "small": 30000} {
		h := mapHeader(t, "all-fragments.txt", name)
		if off, ok := h.WholeFragment(); !ok || off != want || WholeFragmentHeader(off) != h {
			t.Errorf("%s: fragment at %d, %v, want %d", name, off, ok, want)
		}
	}
}

func TestMapHeaderFieldsComeBack(t *testing.T) {
	var h MapHeader
	for _, n := range []uint64{0, 1, 1<<32 + 5, 1<<47 - 1} {
		if h.SetExtentCount(n); h.ExtentCount() != n {
			t.Errorf("extent count %d comes back as %d", n, h.ExtentCount())
		}
	}
	if h.SetIdataSize(4095); h.IdataSize() != 4095 {
		t.Errorf("inline size 4095 comes back as %d", h.IdataSize())
	}
	for _, off := range []uint64{0, 1 << 40, 1<<63 - 1} {
		h := WholeFragmentHeader(off)
		if got, ok := h.WholeFragment(); !ok || got != off {
			t.Errorf("fragment offset %d comes back as %d, %v", off, got, ok)
		}
	}
	for _, size := range []int{4, 8, 16, 32} {
		if a, ok := AdviseRecordSize(size); !ok || a.RecordSize() != int64(size) || !a.UsesExtents(CompressedFull) {
			t.Errorf("record size %d comes back as %d, %v", size, a.RecordSize(), ok)
		}
	}
	for _, size := range []int{0, 2, 12, 64} {
		if _, ok := AdviseRecordSize(size); ok {
			t.Errorf("record size %d is accepted", size)
		}
	}
}

func TestLclustersOfForeignImages(t *testing.T) {
	seen := map[string]bool{}
	for _, file := range []string{"full.txt", "full-big.txt"} {
		for _, s := range readDump(t, file) {
			if s.kind != "lcluster" {
				continue
			}
			var l Lcluster
			l.Decode((*[LclusterSize]byte)(s.bytes))
			if _, typ, _ := strings.Cut(s.note, ", "); l.Type().String() != typ {
				t.Errorf("%s: %s: type %v", file, s.note, l.Type())
			}
			d := l.Delta()
			blocks, ok := BlockCount(d[0])
			seen[l.Type().String()] = true
			seen["block count"] = seen["block count"] || l.Type() == LclusterNonhead && ok && blocks == 4
			seen["partial"] = seen["partial"] || l.Advise&LclusterPartialRef != 0
			if again := l; l.Type() == LclusterNonhead {
				if again.SetDelta(d); again != l {
					t.Errorf("%s: %s: deltas %v come back as %v", file, s.note, d, again.Delta())
				}
			}
		}
	}
	for _, what := range []string{"head1", "nonhead", "block count", "partial"} {
		if !seen[what] {
			t.Errorf("no lcluster with %s", what)
		}
	}
}

func TestExtentsOfForeignImages(t *testing.T) {
	all := readDump(t, "extent32.txt")
	var e Extent
	e.Decode32((*[Extent32Size]byte)(find(t, all, "extent32", "huge: 768 of 769").bytes))
	if a, ok := e.Plen.Algorithm(); !ok || a != LZ4 || e.Plen.Len() != 0x12000 || e.Lstart != 1<<32 || e.Pstart != 0x1113000 {
		t.Errorf("last extent of huge: %v %v %#x: %+v", a, ok, e.Plen.Len(), e)
	}
	plen := Plen(number(t, find(t, readDump(t, "extent4.txt"), "extent4", "file: 1 of 5").get("Plen")))
	if a, ok := plen.Algorithm(); !ok || a != ZSTD || plen.Len() != 0xA15F || MakePlen(0xA15F, ZSTD) != plen {
		t.Errorf("plen %#x: %v %v %#x", uint32(plen), a, ok, plen.Len())
	}
	if _, ok := Plen(4096).Algorithm(); ok {
		t.Error("stored bytes have an algorithm")
	}
	e.Decode16((*[Extent16Size]byte)(find(t, readDump(t, "extent-fragment.txt"), "extent16", "file: 3 of 4").bytes))
	if e.FragmentOff() != 0 {
		t.Errorf("fragment at %d, want 0", e.FragmentOff())
	}
}

var shapeComment = regexp.MustCompile(`(?m)^# start (\d+)\n# total (\d+)\n# two (\d)\n# in4 (\d+)\n# in2 (\d+)$`)

// golden.py counts the packs itself and dumps the first ones of each kind, so Pack must find them there.
func TestCompactShapesOfForeignImages(t *testing.T) {
	found := 0
	for _, file := range dumps(t) {
		text, err := os.ReadFile(filepath.Join("testdata", file))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range shapeComment.FindAllSubmatch(bytes.ReplaceAll(text, []byte("\r"), nil), -1) {
			found++
			n := func(i int) uint64 { return number(t, string(m[i])) }
			start, total, in4, in2 := int64(n(1)), n(2), n(4), n(5)
			s := ShapeCompact(start, total, n(3) == 1)
			if s.In2 != in2 || s.Head4+s.In2+s.Tail4 != total || in2 > 0 && s.Head4 != in4 {
				t.Errorf("%s: shape %+v, want %d, %d of %d", file, s, in4, in2, total)
			}
			checkPacks(t, file, s, start, total)
		}
	}
	if found == 0 {
		t.Error("no compact index in the dumps")
	}
}

// checkPacks walks the entries: packs follow each other without gap, 2-byte ones at multiples of 32.
func checkPacks(t *testing.T, place string, s CompactShape, start int64, total uint64) {
	t.Helper()
	next, size := int64(0), int64(0)
	for i := range total {
		off, index, two := s.Pack(i)
		if index == 0 {
			if off != next+size {
				t.Errorf("%s: pack of entry %d at %d, want %d", place, i, off, next+size)
			}
			if next, size = off, Compact4Size; two {
				size = Compact2Size
			}
			if two && (start+off)%Compact2Size != 0 {
				t.Errorf("%s: 2-byte pack at %d", place, start+off)
			}
		} else if off != next {
			t.Errorf("%s: entry %d in the pack at %d, want %d", place, i, off, next)
		}
	}
	if next+size != s.Size() {
		t.Errorf("%s: packs end at %d, size %d", place, next+size, s.Size())
	}
}

func TestCompactShapesWithoutGap(t *testing.T) {
	for start := int64(8); start < 200; start += 8 {
		for total := range uint64(70) {
			for _, two := range []bool{false, true} {
				if s := ShapeCompact(start, total, two); total > 0 {
					checkPacks(t, "computed", s, start, total)
				}
			}
		}
	}
}
