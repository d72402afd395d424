package zmap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/laminafs/lamina/internal/disk"
)

// meta is metadata in memory.
type meta []byte

func (m meta) Read(off, n int64, field string) ([]byte, error) {
	if off < 0 || n < 0 || off > int64(len(m)) || n > int64(len(m))-off {
		return nil, &disk.FormatError{Off: off, Field: field, Got: n, Why: "beyond the end"}
	}
	return m[off : off+n], nil
}

const (
	testBits = 12
	body     = 64 // where the inode of the tests ends
)

var testSuper = disk.Superblock{BlockBits: testBits, Incompat: disk.HasComprCfgs | disk.HasZeroPadding, ComprAlgs: 0xF}

// model is a file as the tests think of it.
type model struct {
	extents []Extent
	size    int64
	advise  disk.Advise
	header  disk.MapHeader
}

// randomModel makes extents that lie back to back on disk, at most one head in an lcluster.
func randomModel(rng *rand.Rand, big bool) *model {
	m := &model{header: disk.MapHeader{Algorithm: uint8(disk.LZ4) | uint8(disk.ZSTD)<<4}}
	block := int64(rng.IntN(1000) + 10)
	if big {
		m.advise = disk.AdviseBigPcluster1 | disk.AdviseBigPcluster2
	}
	for range 1 + rng.IntN(60) {
		e := Extent{Logical: m.size, Pos: block << testBits, PLen: 1 << testBits, Kind: Compressed}
		switch kind := rng.IntN(4); {
		case kind == 0:
			e.Kind, e.Len = Shifted, 1<<testBits
		case kind == 1:
			e.Algorithm, e.Len = disk.ZSTD, 1<<testBits+rng.Int64N(6<<testBits)
		default:
			e.Len = 1<<testBits + rng.Int64N(20<<testBits)
			if rng.IntN(20) == 0 {
				e.Len = 5 << 20
			}
		}
		if blocks := rng.Int64N(7); big && e.Logical>>testBits+1 < e.End()>>testBits && e.Kind == Compressed && blocks > 0 {
			e.PLen = blocks << testBits
		}
		m.extents, m.size, block = append(m.extents, e), e.End(), block+e.PLen>>testBits
	}
	return m
}

// lclusters are the entries of the index of a model.
func (m *model) lclusters() (types []disk.LclusterType, los [][2]uint16, blocks []uint32) {
	count := lclusters(m.size, testBits)
	heads := map[int64]*Extent{}
	for k := range m.extents {
		heads[m.extents[k].Logical>>testBits] = &m.extents[k]
	}
	last := int64(0)
	for lcn := range count {
		if e := heads[lcn]; e != nil {
			t := disk.LclusterHead1
			if e.Kind == Shifted {
				t = disk.LclusterPlain
			} else if e.Algorithm == disk.ZSTD {
				t = disk.LclusterHead2
			}
			types, los, blocks = append(types, t), append(los, [2]uint16{uint16(e.Logical & (1<<testBits - 1))}), append(blocks, uint32(e.Pos>>testBits))
			last = lcn
			continue
		}
		next := lcn + 1
		for next < count && heads[next] == nil {
			next++
		}
		back := uint16(min(lcn-last, disk.LclusterMaxDelta))
		if e := heads[last]; lcn == last+1 && m.advise != 0 {
			back = disk.LclusterBlockCount | uint16(e.PLen>>testBits)
		}
		types = append(types, disk.LclusterNonhead)
		los = append(los, [2]uint16{back, uint16(min(next-lcn, disk.LclusterMaxDelta))})
		blocks = append(blocks, 0)
	}
	return types, los, blocks
}

func (m *model) start(advise disk.Advise) meta {
	h := m.header
	h.Advise |= m.advise | advise
	b := make(meta, body+disk.MapHeaderSize)
	h.Encode((*[disk.MapHeaderSize]byte)(b[body:]))
	return b
}

func (m *model) full() (meta, disk.Layout) {
	b := append(m.start(0), make([]byte, disk.FullIndexPad)...)
	types, los, blocks := m.lclusters()
	for k, t := range types {
		l := disk.Lcluster{Advise: uint16(t), ClusterOfs: los[k][0], Block: blocks[k]}
		if t == disk.LclusterNonhead {
			l.ClusterOfs = 0
			l.SetDelta(los[k])
		}
		var e [disk.LclusterSize]byte
		l.Encode(&e)
		b = append(b, e[:]...)
	}
	return b, disk.CompressedFull
}

// compact encodes a compact index.
func (m *model) compact(two bool) (meta, disk.Layout) {
	var advise disk.Advise
	if two {
		advise = disk.AdviseCompacted2B
	}
	b := m.start(advise)
	types, los, blocks := m.lclusters()
	shape := disk.ShapeCompact(int64(len(b)), uint64(len(types)), two)
	for at := 0; at < len(types); {
		_, _, wide := shape.Pack(uint64(at))
		n := disk.Compact4Entries
		if wide {
			n = disk.Compact2Entries
		}
		entries := make([]disk.CompactEntry, n)
		base, found := uint32(0), false
		for k := range entries {
			if at+k >= len(types) {
				break
			}
			entries[k] = disk.CompactEntry{Type: types[at+k], Lo: los[at+k][0]}
			_, counted := disk.BlockCount(los[at+k][0])
			if types[at+k] == disk.LclusterNonhead && k == n-1 && !counted {
				entries[k].Lo = los[at+k][1]
			}
			if types[at+k] != disk.LclusterNonhead && !found {
				base, found = blocks[at+k], true
				if m.advise == 0 {
					base--
				} else if count, counted := disk.BlockCount(los[at][0]); counted && types[at] == disk.LclusterNonhead {
					base -= uint32(count)
				}
			}
		}
		if wide {
			var p disk.Compact2
			copy(p.Entries[:], entries)
			p.Base = base
			var e [disk.Compact2Size]byte
			p.Encode(&e)
			b = append(b, e[:]...)
		} else {
			var p disk.Compact4
			copy(p.Entries[:], entries)
			p.Base = base
			var e [disk.Compact4Size]byte
			p.Encode(&e, testBits)
			b = append(b, e[:]...)
		}
		at += n
	}
	return b, disk.CompressedCompact
}

// records encodes extents of r bytes.
func (m *model) records(r int) (meta, disk.Layout) {
	a, _ := disk.AdviseRecordSize(r)
	m.header.Advise = a
	m.header.SetExtentCount(uint64(len(m.extents)))
	b := m.start(0)
	b = append(b, make([]byte, int(disk.Align(int64(len(b)), int64(r)))-len(b))...)
	for _, e := range m.extents {
		x := disk.Extent{Plen: disk.MakePlen(uint32(e.PLen), e.Algorithm), Pstart: uint64(e.Pos), Lstart: uint64(e.Logical)}
		if e.Kind == Shifted {
			x.Plen = disk.Plen(e.PLen)
		}
		if r == disk.Extent16Size {
			var p [disk.Extent16Size]byte
			x.Encode16(&p)
			b = append(b, p[:]...)
		} else {
			var p [disk.Extent32Size]byte
			x.Encode32(&p)
			b = append(b, p[:]...)
		}
	}
	return b, disk.CompressedFull
}

func openMeta(t testing.TB, b meta, l disk.Layout, size int64) *Map {
	t.Helper()
	m, err := Open(File{Super: &testSuper, Meta: b, NID: 2, Body: body, Size: size, Layout: l})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func collect(m *Map, off int64) (all []Extent, err error) {
	for e, err := range m.From(off) {
		if err != nil {
			return all, err
		}
		all = append(all, e)
	}
	return all, nil
}

// same compares the map with the model from every extent on, and in many places.
func (m *model) same(t *testing.T, z *Map, rng *rand.Rand) {
	t.Helper()
	got, err := collect(z, 0)
	if err != nil || !slices.Equal(got, m.extents) {
		t.Fatalf("%v\n%+v, want\n%+v", err, got, m.extents)
	}
	z.Check(func(err error) bool {
		t.Errorf("Check: %v", err)
		return true
	})
	for k := range 200 {
		off := rng.Int64N(m.size)
		if k < len(m.extents) {
			off = m.extents[k].Logical
		} else if k < 2*len(m.extents) {
			off = m.extents[k-len(m.extents)].End() - 1
		}
		i := slices.IndexFunc(m.extents, func(e Extent) bool { return off < e.End() })
		if e, err := z.At(off); err != nil || e != m.extents[i] {
			t.Fatalf("At(%d) = %+v, %v, want %+v", off, e, err, m.extents[i])
		}
		if k > 10 {
			continue
		}
		if got, err := collect(z, off); err != nil || !slices.Equal(got, m.extents[i:]) {
			t.Fatalf("From(%d): %d extents, %v, want %d", off, len(got), err, len(m.extents)-i)
		}
	}
}

func TestAllIndexesGiveTheExtents(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for round := range 60 {
		m := randomModel(rng, round%2 == 1)
		for name, encode := range map[string]func() (meta, disk.Layout){
			"full":      m.full,
			"compact 4": func() (meta, disk.Layout) { return m.compact(false) },
			"compact 2": func() (meta, disk.Layout) { return m.compact(true) },
			"extent 16": func() (meta, disk.Layout) { return (&model{extents: m.extents, size: m.size}).records(16) },
			"extent 32": func() (meta, disk.Layout) { return (&model{extents: m.extents, size: m.size}).records(32) },
		} {
			t.Run(fmt.Sprintf("%d %s", round, name), func(t *testing.T) {
				b, l := encode()
				m.same(t, openMeta(t, b, l, m.size), rng)
			})
		}
	}
}

// Distances end at LclusterMaxDelta: behind so many lclusters, an entry leads to one before it.
func TestExtentLongerThanADistanceIsFoundFromEveryLcluster(t *testing.T) {
	for _, advise := range []disk.Advise{0, disk.AdviseBigPcluster1 | disk.AdviseBigPcluster2} {
		m := &model{size: 3000 << testBits, advise: advise}
		m.extents = []Extent{{Len: m.size, Pos: 7 << testBits, PLen: 1 << testBits, Kind: Compressed}}
		for name, encode := range map[string]func() (meta, disk.Layout){
			"full": m.full, "compact 4": func() (meta, disk.Layout) { return m.compact(false) }, "compact 2": func() (meta, disk.Layout) { return m.compact(true) },
		} {
			b, l := encode()
			z := openMeta(t, b, l, m.size)
			for lcn := range int64(3000) {
				if e, err := z.At(lcn << testBits); err != nil || e != m.extents[0] {
					t.Fatalf("%s, advise %#x, lcluster %d: %+v, %v", name, advise, lcn, e, err)
				}
			}
			z.Check(func(err error) bool { t.Errorf("%s, advise %#x: %v", name, advise, err); return false })
		}
	}
}

func TestRecordsOfOneLclusterEach(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	for _, r := range []int{disk.Extent4Size, disk.Extent8Size} {
		m := &model{size: 30_000<<testBits + 77}
		a, _ := disk.AdviseRecordSize(r)
		m.header.Advise = a
		b := m.start(0)
		pos := int64(5555)
		if r == disk.Extent4Size {
			b = binary.LittleEndian.AppendUint64(b, uint64(pos))
		}
		for at := int64(0); at < m.size; at += 1 << testBits {
			e := Extent{Logical: at, Len: min(1<<testBits, m.size-at), Pos: pos, PLen: 1 + rng.Int64N(3000), Kind: Compressed}
			if rng.IntN(10) == 0 {
				e = Extent{Logical: at, Len: e.Len}
			}
			p := disk.MakePlen(uint32(e.PLen), disk.LZ4)
			if e.Kind == Hole {
				p = 0
			}
			b = binary.LittleEndian.AppendUint32(b, uint32(p))
			if r == disk.Extent8Size {
				b = binary.LittleEndian.AppendUint32(b, uint32(pos))
			}
			pos += e.PLen
			m.extents = append(m.extents, e)
		}
		z := openMeta(t, b, disk.CompressedFull, m.size)
		m.same(t, z, rng)
		if e, err := z.At(m.size - 1); err != nil || e != m.extents[len(m.extents)-1] {
			t.Errorf("%d: last extent %+v, %v", r, e, err)
		}
	}
}

func TestTailsLieWhereTheHeaderSays(t *testing.T) {
	m := &model{size: 3<<testBits + 100, advise: 0}
	m.extents = []Extent{
		{Len: 1 << testBits, Pos: 7 << testBits, PLen: 1 << testBits, Kind: Compressed},
		{Logical: 1 << testBits, Len: 2<<testBits + 100, Pos: 8 << testBits, PLen: 1 << testBits, Kind: Compressed},
	}
	tail := m.extents[1]
	for name, c := range map[string]struct {
		advise disk.Advise
		word   uint32
		encode func() (meta, disk.Layout)
		want   Extent
	}{
		"fragment, full":    {disk.AdviseFragment, 1234, m.full, Extent{Kind: Fragment, Pos: 8<<32 | 1234}},
		"fragment, compact": {disk.AdviseFragment, 1234, func() (meta, disk.Layout) { return m.compact(false) }, Extent{Kind: Fragment, Pos: 1234}},
		"inline, full":      {disk.AdviseInline, 99 << 16, m.full, Extent{Kind: Compressed, Pos: body + 16 + 4*8, PLen: 99, Inline: true}},
		"inline, compact": {disk.AdviseInline, 99 << 16, func() (meta, disk.Layout) { return m.compact(false) },
			Extent{Kind: Compressed, Pos: body + 8 + 2*8, PLen: 99, Inline: true}},
	} {
		m.header.Advise, m.header.Word = c.advise, c.word
		b, l := c.encode()
		c.want.Logical, c.want.Len = tail.Logical, tail.Len
		got, err := collect(openMeta(t, b, l, m.size), 0)
		if err != nil || len(got) != 2 || got[0] != m.extents[0] || got[1] != c.want {
			t.Errorf("%s: %+v, %v, want %+v", name, got, err, c.want)
		}
	}
	b := make(meta, body+8)
	h := disk.WholeFragmentHeader(1 << 40)
	h.Encode((*[8]byte)(b[body:]))
	if e, err := openMeta(t, b, disk.CompressedFull, 1e12).At(5e11); err != nil || e != (Extent{Len: 1e12, Pos: 1 << 40, Kind: Fragment}) {
		t.Errorf("whole file: %+v, %v", e, err)
	}
}

func TestHoles(t *testing.T) {
	m := &model{size: 4 << testBits, advise: disk.AdviseBigPcluster1 | disk.AdviseBigPcluster2}
	m.extents = []Extent{
		{Len: 2 << testBits, Pos: 7 << testBits, Kind: Compressed}, // a block count of 0
		{Logical: 2 << testBits, Len: 2 << testBits, Pos: 7 << testBits, PLen: 2 << testBits, Kind: Compressed},
	}
	hole := Extent{Len: 2 << testBits}
	for name, encode := range map[string]func() (meta, disk.Layout){"full": m.full, "compact": func() (meta, disk.Layout) { return m.compact(false) }} {
		b, l := encode()
		if got, err := collect(openMeta(t, b, l, m.size), 0); err != nil || len(got) != 2 || got[0] != hole || got[1] != m.extents[1] {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	b, l := m.full()
	b[body+16+2*8+1] |= disk.LclusterHole >> 8
	if e, err := openMeta(t, b, l, m.size).At(3 << testBits); err != nil || e != (Extent{Logical: 2 << testBits, Len: 2 << testBits}) {
		t.Errorf("flag: %+v, %v", e, err)
	}
	b, l = (&model{}).records(16)
	if got, err := collect(openMeta(t, b, l, 1000), 0); err != nil || len(got) != 1 || got[0] != (Extent{Len: 1000}) {
		t.Errorf("no records: %+v, %v", got, err)
	}
}

func TestBrokenIndexesAreErrors(t *testing.T) {
	m := &model{size: 40 << testBits}
	m.extents = []Extent{{Len: 40 << testBits, Pos: 7 << testBits, PLen: 1 << testBits, Kind: Compressed}}
	entry := func(b meta, lcn int) []byte { return b[body+16+8*lcn:] }
	for name, c := range map[string]struct {
		change func(b meta)
		off    int64
		why    string
	}{
		"distance of 0":         {func(b meta) { binary.LittleEndian.PutUint16(entry(b, 20)[4:], 0) }, 20 << testBits, "leads nowhere"},
		"distance too far":      {func(b meta) { binary.LittleEndian.PutUint16(entry(b, 20)[4:], 21) }, 20 << testBits, "leads nowhere"},
		"no head":               {func(b meta) { entry(b, 0)[0] = byte(disk.LclusterNonhead) }, 5 << testBits, "leads nowhere"},
		"clusterofs":            {func(b meta) { entry(b, 0)[3] = 0x10 }, 5 << testBits, "outside the lcluster"},
		"count without feature": {func(b meta) { entry(b, 1)[5] = 8 }, 0, "without big pclusters"},
		"starts late":           {func(b meta) { entry(b, 0)[2] = 1 }, 0, "leads nowhere"},
		"algorithm":             {func(b meta) { b[body+6] = 4 }, 0, "not supported"},
		"big without feature":   {func(b meta) { b[body+4] |= byte(disk.AdviseBigPcluster1) }, 0, ""},
		"block 1<<32-1":         {func(b meta) { binary.LittleEndian.PutUint32(entry(b, 0)[4:], 1<<32-1) }, 0, ""},
	} {
		b, l := m.full()
		c.change(b)
		z, err := Open(File{Super: &testSuper, Meta: b, NID: 2, Body: body, Size: m.size, Layout: l})
		if err == nil {
			_, err = z.At(c.off)
		}
		if (err == nil) != (c.why == "") || err != nil && (!strings.Contains(err.Error(), c.why) || !errors.Is(err, disk.ErrCorrupt) && !errors.Is(err, errors.ErrUnsupported)) {
			t.Errorf("%s: %v, want %q", name, err, c.why)
		}
	}
}

// counting counts reads.
type counting struct {
	meta
	n int
}

func (c *counting) Read(off, n int64, field string) ([]byte, error) {
	c.n++
	return c.meta.Read(off, n, field)
}

func TestLookupIsBoundedAndIterationLinear(t *testing.T) {
	const count = 1 << 18
	b := (&model{}).start(0)
	b = append(b, make([]byte, disk.FullIndexPad+count*disk.LclusterSize)...)
	for k := 1; k < count; k++ { // every entry leads to its neighbour
		(&disk.Lcluster{Advise: uint16(disk.LclusterNonhead), Block: 1 | 1<<16}).Encode((*[8]byte)(b[body+16+8*k:]))
	}
	c := &counting{meta: b}
	z, err := Open(File{Super: &testSuper, Meta: c, NID: 2, Body: body, Size: count << testBits, Layout: disk.CompressedFull})
	if err != nil {
		t.Fatal(err)
	}
	for _, off := range []int64{0, count << (testBits - 1), count<<testBits - 1} {
		c.n = 0
		if _, err := z.At(off); err == nil || c.n > 2*maxSteps+4 {
			t.Errorf("At(%d): %v after %d reads", off, err, c.n)
		}
	}
	rng := rand.New(rand.NewPCG(3, 3))
	m := randomModel(rng, true)
	full, l := m.full()
	c = &counting{meta: full}
	if z, err = Open(File{Super: &testSuper, Meta: c, NID: 2, Body: body, Size: m.size, Layout: l}); err != nil {
		t.Fatal(err)
	}
	if _, err := collect(z, 0); err != nil || int64(c.n) > 3*z.count+4 {
		t.Errorf("%v, %d reads of %d entries", err, c.n, z.count)
	}
}

// FuzzMap opens an index that may be anything, and looks everywhere.
func FuzzMap(f *testing.F) {
	rng := rand.New(rand.NewPCG(4, 4))
	for _, big := range []bool{false, true} {
		m := randomModel(rng, big)
		m.extents = m.extents[:min(8, len(m.extents))]
		m.size = m.extents[len(m.extents)-1].End()
		for _, encode := range []func() (meta, disk.Layout){m.full, func() (meta, disk.Layout) { return m.compact(false) }, func() (meta, disk.Layout) { return m.compact(true) }} {
			b, l := encode()
			f.Add([]byte(b), m.size, uint8(l), uint8(testBits))
		}
		for _, r := range []int{16, 32} {
			b, l := (&model{extents: m.extents, size: m.size}).records(r)
			f.Add([]byte(b), m.size, uint8(l), uint8(testBits))
		}
	}
	f.Add([]byte(append((&model{header: disk.MapHeader{Advise: disk.AdviseExtents}}).start(0), make([]byte, 40)...)), int64(20000), uint8(1), uint8(12))
	f.Add([]byte(append((&model{header: disk.MapHeader{Advise: disk.AdviseExtents | 2}}).start(0), make([]byte, 40)...)), int64(20000), uint8(1), uint8(9))
	f.Fuzz(func(t *testing.T, b []byte, size int64, layout, bits uint8) {
		if size <= 0 || len(b) > 1<<16 || bits < disk.MinBlockBits || bits > disk.MaxBlockBits {
			return
		}
		sb := testSuper
		sb.BlockBits = bits
		l := disk.CompressedFull
		if layout&2 != 0 {
			l = disk.CompressedCompact
		}
		c := &counting{meta: b}
		z, err := Open(File{Super: &sb, Meta: c, NID: 2, Body: body, Size: size, Layout: l})
		if err != nil {
			return
		}
		at := int64(0)
		for e, err := range z.From(0) {
			if err != nil {
				break
			}
			if e.Logical < 0 || e.Logical > at || e.Len <= 0 || e.End() > size || e.End() <= at ||
				e.Kind == Compressed && (e.Len > MaxDecoded || e.PLen > MaxEncoded || e.PLen <= 0) || e.Pos < 0 || e.PLen < 0 {
				t.Fatalf("%+v at %d of %d", e, at, size)
			}
			at = e.End()
		}
		if int64(c.n) > 4*int64(len(b))+maxSteps {
			t.Fatalf("%d reads", c.n)
		}
		for _, off := range []int64{0, size - 1, size / 2, size / 3, 1 << bits, 1<<bits - 1} {
			if off >= size {
				continue
			}
			if e, err := z.At(off); err == nil && (e.Logical > off || e.End() <= off || e.End() > size) {
				t.Fatalf("At(%d) = %+v", off, e)
			}
		}
		z.Check(func(error) bool { return true })
		_ = z.IndexEnd()
	})
}
