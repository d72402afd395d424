package mkfs

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"strings"
	"testing"

	"github.com/laminafs/lamina/internal/disk"
	"github.com/laminafs/lamina/tree"
)

// endless is a source that never ends.
type endless struct{ n int64 }

func (e *endless) Read(p []byte) (int, error) { e.n += int64(len(p)); return len(p), nil }

func TestFullDiskEndsPutAtOnce(t *testing.T) {
	w, err := New(&memFile{fail: 1 << 20}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	src := &endless{}
	if _, err = w.Put(tree.File{Size: 1 << 40}, src); !errors.Is(err, errFull) {
		t.Errorf("put: %v", err)
	}
	if src.n > 64<<20 {
		t.Errorf("%d bytes were read after the disk was full", src.n)
	}
	if _, err := w.Finish(tree.New()); !errors.Is(err, errFull) {
		t.Errorf("finish: %v", err)
	}
}

func TestNothingWorksAfterClose(t *testing.T) {
	w, err := New(&memFile{}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	x, err := NewIndex(&memFile{}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Close(), w.Close(), x.Close()); err != nil {
		t.Fatal(err)
	}
	_, e1 := w.Put(tree.File{Size: 5}, strings.NewReader("12345"))
	_, e2 := w.Finish(tree.New())
	_, e3 := x.Put(tree.File{Size: 512}, strings.NewReader(""))
	_, e4 := x.Finish(tree.New(), Tar{})
	for _, err := range []error{e1, e2, e3, e4} {
		if !errors.Is(err, fs.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	}
}

func TestDroppedXattrsAreCountedOnce(t *testing.T) {
	tr := tree.New()
	tr.Root.SetXattr("user.kept", "1")
	tr.Root.SetXattr("weird.dropped", "1")
	w, err := New(&memFile{}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	sum, err := w.Finish(tr)
	if err != nil || sum.Dropped != 1 {
		t.Errorf("%d dropped, %v", sum.Dropped, err)
	}
}

func TestLargeFilesAreAlignedAndHaveNoTail(t *testing.T) {
	const align = 1 << 21
	for _, chunk := range []int64{0, 1 << 21} {
		w, err := New(&memFile{}, Options{LargeAlign: align, ChunkSize: chunk})
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range []int64{100, align + 100, 5000, 3 * align} {
			c, err := w.Put(tree.File{Size: n}, strings.NewReader(strings.Repeat("x", int(n))))
			if err != nil {
				t.Fatal(err)
			}
			p := c.(*place)
			start := p.block
			if p.chunk != nil {
				start = p.chunk.runs[0].block
			}
			if n >= align && (start<<12%align != 0 || p.tailN != 0) {
				t.Errorf("%d bytes at block %d, tail of %d", n, start, p.tailN)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A tar beyond 2^32 blocks needs the 48-bit layout; before, its high address bits were lost.
func TestFarPositionsTakeTheLargeLayout(t *testing.T) {
	for _, pos := range []int64{512, 1<<42 + 1<<20} {
		f := &memFile{}
		x, err := NewIndex(f, Options{})
		if err != nil {
			t.Fatal(err)
		}
		c, err := x.Put(tree.File{Size: 4096, Pos: pos}, nil)
		if err != nil {
			t.Fatal(err)
		}
		tr := tree.New()
		tr.Root.Add("f", &tree.Node{Mode: tree.TypeRegular, Size: 4096, Content: c})
		if _, err := x.Finish(tr, Tar{Size: pos + 4096}); err != nil {
			t.Fatal(err)
		}
		var s disk.Superblock
		s.Decode((*[disk.SuperSize]byte)(f.b[disk.SuperOffset:]))
		if got := s.Incompat&disk.Has48Bit != 0; got != (pos > 1<<41) {
			t.Errorf("position %d: 48BIT is %v", pos, got)
		}
		var index disk.ChunkIndex
		want := pos / 512
		found := false
		for b := f.b[1536:]; len(b) >= 8; b = b[8:] {
			index.Decode((*[8]byte)(b))
			found = found || index.DeviceID == 1 && int64(index.StartHi)<<32|int64(index.StartLo) == want
		}
		if !found {
			t.Errorf("position %d: no index of block %d", pos, want)
		}
	}
}

func TestValidateReportsEveryContradiction(t *testing.T) {
	o := Options{BlockSize: 3, Label: strings.Repeat("x", 16), InlineMax: -1, ChunkSize: 7, LargeAlign: 1 << 40,
		SizeAlign: 5, Inodes: InodeCompact, Large: true, NoUUID: true, UUID: [16]byte{1}, Time: 9, XattrPrefixes: []string{"nope"}}
	err := o.Validate()
	if err == nil {
		t.Fatal("no error")
	}
	if got := strings.Count(err.Error(), "\n") + 1; got != 10 {
		t.Errorf("%d contradictions of 10:\n%v", got, err)
	}
	if err := (&Options{}).Validate(); err != nil {
		t.Errorf("zero value: %v", err)
	}
}

// An interrupted image is none: the superblock is written last.
func TestFailedFinishLeavesNoSuperblock(t *testing.T) {
	f := &memFile{}
	w, err := New(f, Options{})
	if err != nil {
		t.Fatal(err)
	}
	tr := tree.New()
	tr.Root.Add("a", &tree.Node{Mode: tree.TypeRegular, Size: 3})
	if _, err := w.Finish(tr); err == nil {
		t.Fatal("a file without content was written")
	}
	if b, _ := io.ReadAll(io.NewSectionReader(f, 0, 4096)); bytes.Contains(b, []byte{0xE2, 0xE1, 0xF5, 0xE0}) {
		t.Error("there is a superblock")
	}
}

func TestValidateReportsWhatCannotBeCompressed(t *testing.T) {
	for _, c := range []struct {
		o    Options
		want string // "": nothing
	}{
		{Options{}, ""},
		{Options{Compression: &Compression{PclusterSize: 1 << 20}}, ""},
		{Options{Compression: &Compression{PclusterSize: 5000}}, "pcluster size 5000"},
		{Options{BlockSize: 512, Compression: &Compression{PclusterSize: 1 << 20}}, "2047 blocks"}, // the count has 11 bits
		{Options{BlockSize: 65536, Compression: &Compression{}}, "at most 16384"},
		{Options{ChunkSize: 4096, Compression: &Compression{}}, "chunks"},
		{Options{Compression: &Compression{Method: Method{Algorithm: ZSTD, Level: 23}}}, "zstd level 23"},
		{Options{Compression: &Compression{Method: Method{Algorithm: LZMA, Level: 110}}}, "lzma level 110"},
		{Options{Compression: &Compression{Method: Method{Algorithm: LZ4}, Others: []Method{{Algorithm: LZ4HC}}}}, "lz4: twice"},
		{Options{Compression: &Compression{Rules: []Rule{{Match: func(string) bool { return true }, Method: 1}}}}, "no method 1"},
		{Options{Compression: &Compression{MaxExtent: 100}}, "extent limit 100"},
		{Options{Compression: &Compression{Metabox: &Metabox{Method: &Method{Algorithm: LZ4HC}}, Directories: true}}, ""},
		{Options{Inodes: InodeCompact, Compression: &Compression{Metabox: &Metabox{}}}, ""},
		{Options{Compression: &Compression{Metabox: &Metabox{PclusterSize: 2 << 20}}}, "metabox pcluster size 2097152"},
		{Options{Compression: &Compression{Metabox: &Metabox{Method: &Method{Algorithm: LZMA, Level: 200}}}}, "metabox: lzma level 200"},
		{Options{Compression: &Compression{
			Method: Method{Algorithm: ZSTD}, Metabox: &Metabox{Method: &Method{Algorithm: ZSTD, DictSize: 1 << 16}},
		}}, "metabox: dictionary of 65536 bytes"},
	} {
		err := c.o.Validate()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.o.Compression, err, c.want)
		}
	}
}
