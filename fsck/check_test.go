package fsck

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/laminafs/lamina/mkfs"
	"github.com/laminafs/lamina/tree"
)

// broken is an image on storage that fails from some byte on.
type broken struct {
	io.ReaderAt
	from int64
}

var errStorage = errors.New("storage failed")

func (b broken) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > b.from {
		return 0, errStorage
	}
	return b.ReaderAt.ReadAt(p, off)
}

func TestFailingStorageIsAnErrorAndNoFinding(t *testing.T) {
	b := build(t, sample(), mkfs.Options{})
	for from := int64(0); from < int64(len(b)); from += 4096 {
		r := broken{bytes.NewReader(b), from}
		if rep, err := Check(r, int64(len(b)), Options{ReadData: true}); !errors.Is(err, errStorage) || rep != nil {
			t.Errorf("fails from %d on: Check says %v", from, err)
		}
	}
	if _, err := Map(broken{bytes.NewReader(b), 8192}, int64(len(b)), Options{}); !errors.Is(err, errStorage) {
		t.Errorf("Map says %v", err)
	}
	if _, err := Check(bytes.NewReader(b[:len(b)-4096]), int64(len(b)), Options{}); err == nil {
		t.Error("a reader that is shorter than it was said to be is no error")
	}
}

func TestDataIsReadOnlyWhenAskedFor(t *testing.T) {
	tr := tree.New()
	tr.Root.Add("f", file(text("data", 1<<20)))
	b := build(t, tr, mkfs.Options{})
	e := newEdit(t, b)
	data := e.find("/f", KindData)
	// Storage that fails inside the data of the file; the metadata lies behind it.
	r := hole{bytes.NewReader(b), data.Off + 8192, data.Off + 12288}
	if rep, err := Check(r, int64(len(b)), Options{}); err != nil || !rep.Clean() {
		t.Errorf("metadata alone: %v", err)
	}
	if _, err := Check(r, int64(len(b)), Options{ReadData: true}); !errors.Is(err, errStorage) {
		t.Errorf("with data: %v", err)
	}
	if rep := checked(t, b, Options{ReadData: true}); rep.Stats.BytesRead != 1<<20 || rep.Stats.Stored != 1<<20 {
		t.Errorf("read %d of %d", rep.Stats.BytesRead, rep.Stats.Stored)
	}
}

// hole is storage that fails between two bytes.
type hole struct {
	io.ReaderAt
	lo, hi int64
}

func (h hole) ReadAt(p []byte, off int64) (int, error) {
	if off < h.hi && off+int64(len(p)) > h.lo {
		return 0, errStorage
	}
	return h.ReaderAt.ReadAt(p, off)
}

func TestErrorsDisplaceNotesInAFullReport(t *testing.T) {
	e := newEdit(t, build(t, sample(), mkfs.Options{}))
	for _, p := range []string{"/dir/small", "/dir/tail", "/hard1", "/null"} {
		e.put32(e.inode(p)+iReserved, 1) // warnings, found first
	}
	e.put16(e.inode("/x1")+iNlink, 7) // found last
	rep := checked(t, e.done(), Options{MaxFindings: 2})
	if len(rep.Findings) != 2 || rep.Omitted != 3 || rep.Errors != 1 || rep.Warnings != 4 {
		t.Fatalf("%+v", rep)
	}
	if !has(rep, InodeNlink) {
		t.Errorf("the error is not in %v", rep.Findings)
	}
}

func TestFindingsSayWhere(t *testing.T) {
	e := newEdit(t, build(t, sample(), mkfs.Options{}))
	in := e.inode("/dir/sub/leaf")
	e.put32(in+iReserved, 1)
	rep := checked(t, e.done(), Options{})
	if len(rep.Findings) != 1 {
		t.Fatal(rep.Findings)
	}
	f := rep.Findings[0]
	if f.Path != "/dir/sub/leaf" || f.NID != e.nid("/dir/sub/leaf") || f.Off != in+iReserved || !f.Inode {
		t.Errorf("%+v", f)
	}
	for _, part := range []string{"warning: inode-reserved: offset ", `"/dir/sub/leaf"`, "0x1", "must be 0"} {
		if !strings.Contains(f.String(), part) {
			t.Errorf("%q lacks %q", f, part)
		}
	}
	b, err := json.Marshal(f)
	if err != nil || !bytes.Contains(b, []byte(`"code":"inode-reserved","severity":"warning"`)) {
		t.Errorf("%s %v", b, err)
	}
}

func TestBothOwnersOfAnOverlapAreReported(t *testing.T) {
	e := newEdit(t, build(t, sample(), mkfs.Options{Inline: mkfs.InlineNone}))
	e.put32(e.inode("/dir/blocks")+iU, e.u32(e.inode("/dir/tail")+iU)+1)
	rep := checked(t, e.done(), Options{})
	owners := map[string]bool{}
	for _, f := range rep.Findings {
		if f.Code == OverlapData {
			owners[f.Path] = true
		}
	}
	if !owners["/dir/blocks"] || !owners["/dir/tail"] {
		t.Errorf("owners are %v", owners)
	}
}

func TestBothDirectoriesOfASharedBlockAreReported(t *testing.T) {
	e := newEdit(t, build(t, sample(), mkfs.Options{}))
	e.put32(e.inode("/dir/sub")+iU, e.u32(e.inode("/many")+iU))
	e.put32(e.inode("/dir/sub")+iSize, 4096)
	e.put8(e.inode("/dir/sub"), 0)
	owners := map[string]int{}
	for _, f := range checked(t, e.done(), Options{}).Findings {
		if f.Code == OverlapMeta {
			owners[f.Path]++
		}
	}
	if len(owners) != 2 || owners["/dir/sub"] != 1 || owners["/many"] != 1 {
		t.Errorf("owners are %v", owners)
	}
}

func TestSharedDataIsNoOverlap(t *testing.T) {
	tr := tree.New()
	for _, name := range []string{"a", "b", "c"} {
		tr.Root.Add(name, file(text("same", 8192)))
	}
	b := build(t, tr, mkfs.Options{Dedupe: true, Inline: mkfs.InlineNone})
	rep := checked(t, b, Options{})
	if len(rep.Findings) > 0 || rep.Stats.Stored != 8192 || rep.Stats.Saved != 2*8192 || rep.Stats.Logical != 3*8192 {
		t.Errorf("%v %+v", rep.Findings, rep.Stats)
	}
	if r := newEdit(t, b).find("", KindData); r.Refs != 3 || r.Len != 8192 {
		t.Errorf("%+v", r)
	}
}

func TestObserveSeesTheEnd(t *testing.T) {
	var last Event
	phases := map[Phase]bool{}
	checkedWith := Options{ReadData: true, Observe: func(ev Event) { last = ev; phases[ev.Phase] = true }}
	rep := checked(t, build(t, sample(), mkfs.Options{}), checkedWith)
	if last.Inodes != rep.Stats.Inodes || last.Inos != last.Inodes || last.Bytes != rep.Stats.Stored || len(phases) != 3 {
		t.Errorf("%+v, phases %v", last, phases)
	}
}

func TestMapEndsAtItsBound(t *testing.T) {
	b := build(t, sample(), mkfs.Options{})
	if _, err := Map(bytes.NewReader(b), int64(len(b)), Options{MaxRanges: 10}); err == nil {
		t.Error("more than 10 ranges are no error")
	}
	stop := errors.New("stop")
	n := 0
	err := EachRange(bytes.NewReader(b), int64(len(b)), Options{}, func(Range) error {
		if n++; n == 3 {
			return stop
		}
		return nil
	})
	if !errors.Is(err, stop) || n != 3 {
		t.Errorf("%v after %d", err, n)
	}
}

func TestMapNamesEveryStructure(t *testing.T) {
	e := newEdit(t, build(t, sample(), mkfs.Options{XattrPrefixes: []string{"trusted.overlay."}}))
	want := map[Kind]bool{KindBoot: true, KindSuper: true, KindPrefixes: true, KindInode: true, KindXattrs: true, KindSharedXattrs: true,
		KindDirents: true, KindInline: true, KindChunks: true, KindData: true, KindPadding: true}
	for _, r := range e.ranges {
		delete(want, r.Kind)
	}
	for k := range want {
		t.Errorf("no %v in the map", k)
	}
	if r := e.find("/many", KindDirents); r.Path != "/many" || r.NID != e.nid("/many") {
		t.Errorf("%+v", r)
	}
	blocks := 0
	for _, r := range e.ranges {
		if r.Kind == KindDirents && r.Path == "/many" {
			blocks++
		}
	}
	if blocks < 5 { // four blocks and the tail
		t.Errorf("%d ranges of entries of /many", blocks)
	}
}

func TestStatsCountTheSample(t *testing.T) {
	s := checked(t, build(t, sample(), mkfs.Options{}), Options{}).Stats
	if s.Files != 10 || s.Dirs != 4 || s.Symlinks != 1 || s.CharDevs != 1 || s.Fifos != 300 || s.HardLinks != 1 || s.Depth != 2 || s.LargestDir != 302 {
		t.Errorf("%+v", s)
	}
	if s.Inodes != 316 || s.WithXattrs != 2 || s.Xattrs != 5 || s.SharedXattr != 1 || s.Holes != 1<<16 {
		t.Errorf("%+v", s)
	}
	if s.Stored+s.Metadata+s.Padding+s.Unused+1024 != s.ImageSize {
		t.Errorf("the parts of the image add up to %d of %d", s.Stored+s.Metadata+s.Padding+s.Unused+1024, s.ImageSize)
	}
}
