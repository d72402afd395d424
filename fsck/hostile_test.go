package fsck

import (
	"bytes"
	"fmt"
	"runtime/metrics"
	"testing"
	"time"

	"github.com/laminafs/lamina/internal/disk"
	"github.com/laminafs/lamina/mkfs"
	"github.com/laminafs/lamina/tree"
)

const (
	// maxAlloc is what a check of a small image may allocate in all, and so an upper bound of what it
	// holds at a time.
	maxAlloc = 64 << 20
	maxTime  = 30 * time.Second // on a machine that does other things too
)

// allocated returns the bytes that the program has allocated since it started.
func allocated() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// survive checks and maps an image that may be anything: no panic, no failure, bounded time and memory,
// counts that add up, a map without gaps.
func survive(t testing.TB, b []byte) *Report {
	t.Helper()
	before, start := allocated(), time.Now()
	rep := checked(t, b, Options{MaxFindings: 50, ReadData: true})
	if n := allocated() - before; n > maxAlloc {
		t.Errorf("Check allocated %d bytes for an image of %d", n, len(b))
	}
	if d := time.Since(start); d > maxTime {
		t.Errorf("Check took %v for an image of %d bytes", d, len(b))
	}
	if len(rep.Findings) > 50 || len(rep.Findings)+rep.Omitted != rep.Errors+rep.Warnings+rep.Notes {
		t.Errorf("%d findings and %d omitted of %d errors, %d warnings, %d notes", len(rep.Findings), rep.Omitted, rep.Errors, rep.Warnings, rep.Notes)
	}
	for _, f := range rep.Findings {
		if f.Severity != f.Code.Severity() || f.String() == "" {
			t.Errorf("finding %+v is not as its code says", f)
		}
	}
	covers(t, b)
	return rep
}

// covers fails unless the map of an image has every byte exactly once.
func covers(t testing.TB, b []byte) {
	t.Helper()
	before := allocated()
	var at int64
	err := EachRange(bytes.NewReader(b), int64(len(b)), Options{}, func(r Range) error {
		if r.Off != at || r.Len <= 0 {
			return fmt.Errorf("range %+v behind %d", r, at)
		}
		at += r.Len
		return nil
	})
	if err != nil || at != int64(len(b)) {
		t.Errorf("map: %v, it ends at %d of %d", err, at, len(b))
	}
	if n := allocated() - before; n > maxAlloc {
		t.Errorf("EachRange allocated %d bytes for an image of %d", n, len(b))
	}
}

// tiny is a tree with one of everything in less than a block of metadata.
func tiny() *tree.Tree {
	t := tree.New()
	d := tree.NewDir(0o755)
	t.Root.Add("d", d)
	hard := file("hard", "user.a", "1", "trusted.overlay.opaque", "y")
	d.Add("f", hard)
	t.Root.Add("g", hard)
	shared := text("shared", 30)
	t.Root.Add("b", file(text("block", 5000), "user.s", shared))
	t.Root.Add("c", file("", "user.s", shared))
	t.Root.Add("l", &tree.Node{Mode: tree.TypeSymlink | 0o777, Target: "d/f"})
	t.Root.Add("n", &tree.Node{Mode: tree.TypeChar | 0o666, Rdev: tree.Dev(1, 3)})
	t.Root.Add("o", &tree.Node{Mode: tree.TypeRegular | 0o600, Content: tree.Bytes(""), Mtime: -5, Nsec: 7})
	sparse := file(text("a", 4096) + string(make([]byte, 8192)) + text("b", 5000))
	sparse.Content = holey{sparse.Content, []tree.Extent{{Off: 0, Len: 4096}, {Off: 12288, Len: 5000}}}
	t.Root.Add("s", sparse)
	return t
}

// tinyOptions are the images whose every bit is flipped.
var tinyOptions = map[string]mkfs.Options{
	"plain":  {},
	"512":    {BlockSize: 512},
	"48bit":  {Large: true},
	"chunks": {ChunkSize: 4096},
	"prefix": {XattrPrefixes: []string{"trusted.overlay."}},
}

// flips calls fn with every image that differs from b in one bit of metadata. fn must not keep it.
func flips(t testing.TB, b []byte, fn func(bit int64, b []byte)) {
	t.Helper()
	ranges, err := Map(bytes.NewReader(b), int64(len(b)), Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range ranges {
		if r.Kind == KindData || r.Kind == KindPadding || r.Kind == KindUnused || r.Kind == KindBoot {
			continue
		}
		for bit := 8 * r.Off; bit < 8*(r.Off+r.Len); bit++ {
			if testing.Short() && bit%59 != 0 { // under the race detector, which has nothing to find here
				continue
			}
			b[bit/8] ^= 1 << (bit % 8)
			keep := bit/8 >= super(4) && bit/8 < super(8) // a wrong checksum
			old := bytes.Clone(b[super(4):super(8)])
			fixSum(b, keep)
			fn(bit, b)
			copy(b[super(4):super(8)], old)
			b[bit/8] ^= 1 << (bit % 8)
		}
	}
}

func TestEveryBitFlipEndsInAReport(t *testing.T) {
	for name, o := range tinyOptions {
		b := build(t, tiny(), o)
		flips(t, b, func(bit int64, b []byte) {
			if survive(t, b); t.Failed() {
				t.Fatalf("%s: bit %d of byte %d", name, bit%8, bit/8)
			}
		})
		if rep := checked(t, b, Options{}); len(rep.Findings) > 0 {
			t.Fatalf("%s: flips were not undone: %v", name, rep.Findings)
		}
	}
}

func TestEveryTruncationIsAnError(t *testing.T) {
	for name, o := range tinyOptions {
		b := build(t, tiny(), o)
		ranges, err := Map(bytes.NewReader(b), int64(len(b)), Options{})
		if err != nil {
			t.Fatal(err)
		}
		var end int64 // of what is in use
		for _, r := range ranges {
			if r.Refs > 0 {
				end = r.Off + r.Len
			}
		}
		step := int64(1)
		if testing.Short() {
			step = 59
		}
		for n := int64(0); n < end; n += step {
			if rep := survive(t, b[:n]); rep.Clean() {
				t.Fatalf("%s: cut at %d of %d: no error in %v", name, n, end, rep.Findings)
			}
		}
	}
}

// hostile builds images by hand: blocks of 4 KiB, inodes from byte 4096 on, NID 0 there.
type hostile struct{ b []byte }

func newHostile(size int) *hostile {
	h := &hostile{make([]byte, size)}
	sb := disk.Superblock{Magic: disk.Magic, BlockBits: 12, RootNID2: 1, MetaBlkAddr: 1, Incompat: disk.HasChunkedFile}
	sb.Encode((*[disk.SuperSize]byte)(h.b[disk.SuperOffset:]))
	return h
}

func (h *hostile) inode(nid int, i disk.InodeCompact) {
	i.Encode((*[disk.InodeCompactSize]byte)(h.b[4096+32*nid:]))
}

func (h *hostile) extended(nid int, i disk.InodeExtended) {
	i.Format |= disk.FormatExtended
	i.Encode((*[disk.InodeExtendedSize]byte)(h.b[4096+32*nid:]))
}

type ent struct {
	name string
	nid  uint64
	typ  disk.FileType
}

// dirents writes entries at off and returns where they end.
func (h *hostile) dirents(off int, es ...ent) int {
	at := disk.DirentSize * len(es)
	for k, e := range es {
		d := disk.Dirent{NID: e.nid, NameOff: uint16(at), FileType: e.typ}
		d.Encode((*[disk.DirentSize]byte)(h.b[off+k*disk.DirentSize:]))
		at += copy(h.b[off+at:], e.name)
	}
	return off + at
}

// dir writes a directory inode with the entries in block.
func (h *hostile) dir(nid, block int, es ...ent) {
	end := h.dirents(4096*block, es...)
	h.inode(nid, disk.InodeCompact{Mode: typeDir | 0o755, Nb: 2, Size: uint32(end - 4096*block), U: uint32(block)})
}

func dots(self, parent uint64) []ent {
	return []ent{{".", self, disk.FileDir}, {"..", parent, disk.FileDir}}
}

// bigDir writes a directory with more entries than a block holds.
func (h *hostile) bigDir(nid, block int, es []ent) {
	first, used, start := 0, 0, block
	for i, e := range es {
		if used += disk.DirentSize + len(e.name); used > 4096 {
			h.dirents(4096*block, es[first:i]...)
			first, used = i, disk.DirentSize+len(e.name)
			block++
		}
	}
	end := h.dirents(4096*block, es[first:]...)
	h.inode(nid, disk.InodeCompact{Mode: typeDir | 0o755, Nb: 2, Size: uint32(end - 4096*start), U: uint32(start)})
}

// many returns the dots of a root and n entries that name the inodes from nid on, step apart.
func many(n, nid, step int, typ disk.FileType) []ent {
	es := dots(1, 1)
	for i := range n {
		es = append(es, ent{fmt.Sprintf("e%07d", i), uint64(nid + i*step), typ})
	}
	return es
}

const mb = 2 << 20

// hostileImages are what a crafted image does to a checker that trusts it.
var hostileImages = map[string]struct {
	size int
	make func(h *hostile)
	want []Code
}{
	"directory in itself": {mb, func(h *hostile) {
		h.dir(1, 10, append(dots(1, 1), ent{"self", 1, disk.FileDir})...)
	}, []Code{DirLoop}},
	"a ring of directories": {mb, func(h *hostile) {
		h.dir(1, 10, append(dots(1, 1), ent{"a", 2, disk.FileDir})...)
		h.dir(2, 11, append(dots(2, 1), ent{"b", 3, disk.FileDir})...)
		h.dir(3, 12, append(dots(3, 2), ent{"c", 2, disk.FileDir})...)
	}, []Code{DirLoop}},
	"thousands of directories on the same blocks": {mb, func(h *hostile) {
		h.bigDir(1, 250, many(15000, 4, 2, disk.FileDir))
		for i := range 15000 {
			h.inode(4+2*i, disk.InodeCompact{Mode: typeDir, Size: 4096 * 60, U: 250})
		}
	}, []Code{OverlapMeta}},
	"files whose sizes are lies": {mb, func(h *hostile) {
		h.dir(1, 10, append(dots(1, 1), ent{"a", 4, disk.FileRegular}, ent{"b", 8, disk.FileRegular}, ent{"c", 12, disk.FileRegular},
			ent{"d", 16, disk.FileRegular}, ent{"e", 20, disk.FileDir}, ent{"f", 24, disk.FileDir}, ent{"g", 28, disk.FileSymlink})...)
		const huge = 1<<63 - 1
		h.extended(4, disk.InodeExtended{Mode: typeRegular, Size: huge, U: 20, Nlink: 1})
		h.extended(8, disk.InodeExtended{Mode: typeRegular, Size: huge, Format: disk.MakeFormat(true, disk.FlatInline), Nlink: 1})
		h.extended(12, disk.InodeExtended{Mode: typeRegular, Size: huge, Format: disk.MakeFormat(true, disk.ChunkBased), Nlink: 1})
		h.extended(16, disk.InodeExtended{Mode: typeRegular, Size: 1 << 63, Nlink: 1})
		h.extended(20, disk.InodeExtended{Mode: typeDir, Size: huge, U: 30, Nlink: 2})
		h.extended(24, disk.InodeExtended{Mode: typeDir, Size: huge, Format: disk.MakeFormat(true, disk.ChunkBased), U: 31 | uint32(disk.ChunkIndexes), Nlink: 2})
		h.extended(28, disk.InodeExtended{Mode: typeSymlink, Size: huge, U: 30, Nlink: 1})
	}, []Code{DataRange, InodeSize, ChunkArray, SymlinkSize, DirBlock}},
	"chunk arrays over everything": {mb, func(h *hostile) {
		h.bigDir(1, 350, many(20000, 4, 2, disk.FileRegular))
		for i := range 20000 {
			h.extended(4+2*i, disk.InodeExtended{Mode: typeRegular, Size: 1 << 40, Format: disk.MakeFormat(true, disk.ChunkBased), Nlink: 1})
		}
	}, []Code{ChunkArray, OverlapMeta}},
	"xattr areas over everything": {mb, func(h *hostile) {
		h.bigDir(1, 320, many(35000, 4, 1, disk.FileRegular))
		for i := range 35000 {
			h.inode(4+i, disk.InodeCompact{Mode: typeRegular, Nb: 1, XattrICount: 0xFFFF})
		}
	}, []Code{OverlapMeta}},
	"the same shared xattr 255 times": {mb, func(h *hostile) {
		h.dir(1, 10, append(dots(1, 1), ent{"f", 4, disk.FileRegular})...)
		h.inode(4, disk.InodeCompact{Mode: typeRegular, Nb: 1, XattrICount: 256})
		h.b[4096+4*32+32+4] = 255
		for i := range 255 {
			h.b[4096+4*32+32+12+4*i+1] = 4 // id 1024: byte 4096, the first inode slot
		}
		copy(h.b[4096:], "\x01\x01\x00\x00a")
	}, []Code{XattrDuplicate}},
}

func TestHostileImages(t *testing.T) {
	for name, c := range hostileImages {
		t.Run(name, func(t *testing.T) {
			h := newHostile(c.size)
			c.make(h)
			rep := survive(t, h.b)
			full := checked(t, h.b, Options{MaxFindings: 1 << 20})
			for _, code := range c.want {
				found := false
				for _, f := range full.Findings {
					found = found || f.Code == code
				}
				if !found {
					t.Errorf("%v was not found in %v", code, rep.Findings)
				}
			}
		})
	}
}

// vast is an image in front of an endless hole.
type vast struct{ b []byte }

func (v vast) ReadAt(p []byte, off int64) (int, error) {
	clear(p)
	if off < int64(len(v.b)) {
		copy(p, v.b[off:])
	}
	return len(p), nil
}

func TestSparseImageOfExbytesIsCheckedInNoTime(t *testing.T) {
	const size, huge = 1 << 62, 1 << 61
	for _, bits := range []uint8{9, 12} {
		h := newHostile(1 << 16)
		h.b[super(0x0C)] = bits
		h.b[super(0x28)] = 1 << (12 - bits)
		h.b[super(0x50)] |= 0x80
		h.dir(1, 10, append(dots(1, 1), many(6, 4, 2, disk.FileRegular)[2:]...)...)
		h.inode(1, disk.InodeCompact{Mode: typeDir | 0o755, Nb: 2, Size: 400, U: 10 << (12 - bits)})
		for i, in := range []disk.InodeExtended{
			{Mode: typeRegular, U: 20}, {Mode: typeDir, U: 1 << 20}, {Mode: typeSymlink, U: 20},
			{Mode: typeRegular, Format: disk.MakeFormat(true, disk.ChunkBased)},
			{Mode: typeRegular, Format: disk.MakeFormat(true, disk.CompressedFull)},
			{Mode: typeDir, Format: disk.MakeFormat(true, disk.ChunkBased), U: uint32(disk.ChunkIndexes)},
		} {
			in.Size, in.Nlink = huge, 1
			if in.Format.Layout() == disk.CompressedFull && bits == 12 {
				in.Size = 1 << 38 // with an index of 512 MiB
			}
			h.extended(4+2*i, in)
		}
		before, start := allocated(), time.Now()
		rep, err := Check(vast{h.b}, size, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if rep.Clean() {
			t.Error("no error")
		}
		if err := EachRange(vast{h.b}, size, Options{}, func(Range) error { return nil }); err != nil {
			t.Error(err)
		}
		if n, d := allocated()-before, time.Since(start); n > maxAlloc || d > maxTime {
			t.Errorf("%d bytes and %v", n, d)
		}
	}
}
