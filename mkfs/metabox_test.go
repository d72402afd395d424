package mkfs

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/laminafs/lamina/internal/disk"
	"github.com/laminafs/lamina/tree"
)

// random returns n bytes that do not compress.
func random(seed uint64, n int) []byte {
	r, b := rand.New(rand.NewPCG(seed, 1)), make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// A disk that is full while the metabox is written is an error, at once.
func TestFullDiskEndsTheMetabox(t *testing.T) {
	tr := tree.New()
	for i := range 600 {
		n := &tree.Node{Mode: tree.TypeRegular | 0o644}
		n.SetXattr("user.x", string(random(uint64(i), 60000)))
		tr.Root.Add(fmt.Sprintf("f%04d", i), n)
	}
	w, err := New(&memFile{fail: 2 << 20}, Options{
		XattrShare: -1, Compression: &Compression{Workers: 1, Metabox: &Metabox{}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Finish(tr); !errors.Is(err, errFull) {
		t.Errorf("finish: %v", err)
	}
	if w.progress.Inodes == w.progress.InodesAll {
		t.Errorf("all %d inodes were written to a full disk", w.progress.Inodes)
	}
}

// The workers get the segments of directories a few at a time, however many there are.
func TestFewSegmentsOfDirectoriesWait(t *testing.T) {
	tr := tree.New()
	for i := range 60_000 {
		tr.Root.Add(fmt.Sprintf("%06d%s", i, strings.Repeat("x", 220)), &tree.Node{Mode: tree.TypeSymlink | 0o777, Target: "t"})
	}
	w, err := New(&memFile{}, Options{Dedupe: true, Compression: &Compression{Workers: 1, Directories: true}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Finish(tr); err != nil {
		t.Fatal(err)
	}
	if all := int(w.comp.packed.place.size) / w.comp.segment; all < 3*w.comp.most || len(w.comp.free) > w.comp.most+2 {
		t.Errorf("%d segments, %d buffers for them; %d may wait", all, len(w.comp.free), w.comp.most)
	}
}

// The metabox has no fragments, whatever files have: its end is stored even if the packed inode has the same bytes.
func TestMetaboxDoesNotEndInThePackedInode(t *testing.T) {
	value := hex.EncodeToString(random(7, 30000))
	end := value[len(value)-40000:] + "\x00\x00\x00" // and the padding of the attribute
	tr := tree.New()
	tr.Root.Add("a", &tree.Node{Mode: tree.TypeRegular | 0o644, Size: int64(len(end)), Content: tree.Bytes(end)})
	n := &tree.Node{Mode: tree.TypeRegular | 0o644}
	n.SetXattr("user.x", value)
	tr.Root.Add("z", n)
	f := &memFile{}
	w, err := New(f, Options{XattrShare: -1, Compression: &Compression{
		Method: Method{Algorithm: ZSTD}, PclusterSize: 64 << 10, Tails: TailFragments, Metabox: &Metabox{}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Finish(tr); err != nil {
		t.Fatal(err)
	}
	var s disk.Superblock
	s.Decode((*[disk.SuperSize]byte)(f.b[disk.SuperOffset:]))
	s.DecodeExt((*[disk.SuperSlotSize]byte)(f.b[disk.SuperOffset+disk.SuperSize:]))
	at := int64(s.MetaBlkAddr)<<s.BlockBits + int64(s.MetaboxNID)*disk.SlotSize
	var in disk.InodeCompact
	in.Decode((*[disk.InodeCompactSize]byte)(f.b[at:]))
	head := int64(disk.InodeCompactSize)
	if in.Format&1 != 0 {
		head = disk.InodeExtendedSize
	}
	var h disk.MapHeader
	h.Decode((*[disk.MapHeaderSize]byte)(f.b[at+head:]))
	if in.XattrICount != 0 || h.Advise&disk.AdviseFragment != 0 {
		t.Errorf("metabox at %d: format %#x, advise %#x: its end is a fragment", at, in.Format, h.Advise)
	}
}
