package mkfs

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/laminafs/lamina/internal/disk"
	"github.com/laminafs/lamina/internal/image"
	"github.com/laminafs/lamina/tree"
)

// scanned reads an image as a base.
func scanned(t *testing.T, image *growing) *baseScan {
	t.Helper()
	b, err := newBases(0, []Base{{Data: image, Size: int64(len(image.b))}})
	if err != nil {
		t.Fatal(err)
	}
	b.files = &baseFiles{chunks: make(map[uint64]chunkAt), fragments: make(map[digest]fragmentAt)}
	s, err := b.openImage(0, make([]bool, 1))
	if err == nil {
		err = s.scan()
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// chunked is an image of so many files of one size, chunks of the format, whose arrays overlap: they begin behind their inodes, and all
// that is there behind the last one, which is at last, has the byte fill.
func chunked(t *testing.T, files int, size int64, format disk.ChunkFormat, fill byte) (image *growing, last int) {
	t.Helper()
	tr := tree.New()
	for i := range files {
		tr.Root.Add(fmt.Sprint(i), &tree.Node{Mode: tree.TypeRegular | 0o644, UID: 1 << 20}) // which only extended inodes have
	}
	var out growing
	w, err := New(&out, Options{NoChecksum: true})
	if err == nil {
		_, err = w.Finish(tr)
	}
	if err != nil {
		t.Fatal(err)
	}
	n := len(out.b)
	super := out.b[disk.SuperOffset:]
	incompat := binary.LittleEndian.Uint32(super[80:])
	binary.LittleEndian.PutUint32(super[80:], incompat|uint32(disk.HasChunkedFile))
	for at := int(binary.LittleEndian.Uint32(super[40:])) << 12; at+disk.InodeExtendedSize <= n; at += 32 {
		b := out.b[at:]
		if b[0]&1 == 1 && binary.LittleEndian.Uint16(b[4:]) == tree.TypeRegular|0o644 {
			last = at
			binary.LittleEndian.PutUint16(b, 1|uint16(disk.ChunkBased)<<1)
			binary.LittleEndian.PutUint64(b[8:], uint64(size))
			binary.LittleEndian.PutUint32(b[16:], uint32(format))
		}
	}
	_, _ = out.WriteAt(make([]byte, 4<<20), int64(n))
	for i := last + disk.InodeExtendedSize; i < len(out.b); i++ {
		out.b[i] = fill
	}
	binary.LittleEndian.PutUint32(super[36:], uint32(len(out.b)>>12))
	return &out, last
}

// Arrays of chunks in which many files overlap are looked at in part, whether they lead to blocks or to holes.
func TestChunksOfBasesThatOverlapAreReadInPart(t *testing.T) {
	for _, fill := range []byte{0, 0xff} {
		image, _ := chunked(t, 200, 4<<30, 0, fill)
		start := time.Now()
		if s := scanned(t, image); s.left > 0 {
			t.Errorf("arrays of %#x: %d bytes were left to be read", fill, s.left)
		}
		if d := time.Since(start); d > 10*time.Second { // milliseconds, if it is bounded
			t.Errorf("arrays of %#x: took %v", fill, d)
		}
	}
}

// A file of a base may be a hole of petabytes with a block behind it.
func TestBasesWithLongHoles(t *testing.T) {
	const bits = 31
	image, at := chunked(t, 1, 1000<<(12+bits)+4096, bits, 0xff)
	binary.LittleEndian.PutUint32(image.b[at+disk.InodeExtendedSize+1000*4:], 1)
	done := make(chan *baseScan)
	go func() { done <- scanned(t, image) }()
	select {
	case s := <-done:
		if len(s.files.chunks) == 0 {
			t.Error("the block behind the hole was not looked at")
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the hole is gone through")
	}
}

// counted counts the bytes that are read.
type counted struct {
	io.ReaderAt
	n int64
}

func (c *counted) ReadAt(p []byte, off int64) (int, error) {
	c.n += int64(len(p))
	return c.ReaderAt.ReadAt(p, off)
}

// noiseOf returns bytes that do not compress.
func noiseOf(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// Fragments that are stored in the packed inode of a base, block behind block, are read where they are, and once.
func TestStoredFragmentsOfBasesAreReadOnce(t *testing.T) {
	const files, size = 200, 40_000
	source := func() *tree.Tree {
		tr := tree.New()
		for i := range files {
			tr.Root.Add(fmt.Sprint(i), &tree.Node{Mode: tree.TypeRegular | 0o644, Size: size, Content: tree.Bytes(noiseOf(uint64(i), size))})
		}
		return tr
	}
	o := Options{Compression: &Compression{PclusterSize: 64 << 10, Tails: TailFragments}}
	build := func() (*growing, Summary) {
		var out growing
		w, err := New(&out, o)
		if err != nil {
			t.Fatal(err)
		}
		sum, err := w.Finish(source())
		if err != nil {
			t.Fatal(err)
		}
		return &out, sum
	}
	first, _ := build()
	data := &counted{ReaderAt: first}
	var err error
	if o.Bases, err = NewFileBases(0, Base{Data: data, Size: int64(len(first.b))}); err != nil {
		t.Fatal(err)
	}
	data.n = 0
	_, sum := build()
	if sum.Based < files*size*9/10 {
		t.Errorf("%d bytes of %d are in the base", sum.Based, files*size)
	}
	if data.n > 2*files*size {
		t.Errorf("%d bytes of the base were read for %d", data.n, files*size)
	}
	for _, p := range o.Bases.files.packed[0].pclusters {
		if p.plen > storedMax {
			t.Errorf("%d stored bytes are one pcluster", p.plen)
		}
	}
}

// Stored blocks that follow each other do not lead beyond the end of a base.
func TestStoredBlocksEndWithTheirBase(t *testing.T) {
	base, _ := chunked(t, 1, 4096, 0, 0)
	s := scanned(t, base)
	s.left = 1 << 20
	o, end := &origin{}, int64(len(base.b))
	for k := range int64(3) {
		s.stored(o, k<<12, 4096, &image.Extent{Pos: end - 8192 + k<<12})
	}
	if len(o.pclusters) != 1 || o.pclusters[0].plen != 8192 {
		t.Errorf("%+v; want 8192 bytes", o.pclusters)
	}
	s.stored(o, 0, end, &image.Extent{})
	for _, p := range o.pclusters {
		if p.plen > storedMax {
			t.Errorf("%d stored bytes are one pcluster", p.plen)
		}
	}
}
