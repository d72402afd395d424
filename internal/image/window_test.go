package image

import (
	"bytes"
	"errors"
	"io"
	"math"
	"testing"

	"github.com/laminafs/lamina/internal/disk"
)

// counted counts the reads that a device sees.
type counted struct {
	io.ReaderAt
	n int
}

func (c *counted) ReadAt(p []byte, off int64) (int, error) {
	c.n++
	return c.ReaderAt.ReadAt(p, off)
}

func ramp(n int) []byte {
	b := make([]byte, n)
	for k := range b {
		b[k] = byte(k ^ k>>8)
	}
	return b
}

func TestWindowReadsWhatIsThere(t *testing.T) {
	data := ramp(5<<pageBits + 1000)
	for _, bits := range []uint8{9, 12, 14, 16} {
		w := NewWindow(bytes.NewReader(data), "")
		w.setBlock(bits)
		for _, off := range []int64{0, 1, 4000, 4095, 4096, 8192, 16380, 20000, int64(len(data)) - 1} {
			for _, n := range []int64{0, 1, 2, 100, 4096, 4097, 16384, 20000} {
				b, err := w.Read(off, n, "x")
				if fits := off+n <= int64(len(data)); fits != (err == nil) || fits && !bytes.Equal(b, data[off:off+n]) {
					t.Errorf("pages of %d: Read(%d, %d): %d bytes, %v", 1<<w.bits, off, n, len(b), err)
				}
				p := make([]byte, n)
				if err2 := w.Fill(p, off, "x"); (err2 == nil) != (err == nil) || err == nil && !bytes.Equal(p, b) {
					t.Errorf("Fill(%d, %d): %v", off, n, err2)
				}
			}
		}
	}
}

func TestWindowRefusesNumbersOutOfRange(t *testing.T) {
	for _, known := range []bool{false, true} {
		w := NewWindow(bytes.NewReader(ramp(10000)), "device 1: ")
		if known {
			if n, err := w.Size(); n != 10000 || err != nil {
				t.Fatal(n, err)
			}
		}
		for _, r := range [][2]int64{{-1, 1}, {0, -1}, {math.MinInt64, 5}, {math.MaxInt64, 1}, {math.MaxInt64 - 1, 2}, {10000, 1}, {9999, 2},
			{0, MaxRead + 1}, {0, math.MaxInt64}, {1, math.MaxInt64}, {math.MaxInt64, math.MaxInt64}} {
			b, err := w.Read(r[0], r[1], "it")
			var f *disk.FormatError
			if b != nil || !errors.As(err, &f) || f.Field != "device 1: it" || f.Off != r[0] {
				t.Errorf("Read(%d, %d): %d bytes, %v", r[0], r[1], len(b), err)
			}
		}
	}
}

func TestWindowCachesPages(t *testing.T) {
	c := &counted{ReaderAt: bytes.NewReader(ramp(1 << 20))}
	w := NewWindow(c, "")
	for range 10 {
		for off := int64(0); off < 1<<20; off += 32 {
			if _, err := w.Read(off, 32, ""); err != nil {
				t.Fatal(err)
			}
		}
	}
	if c.n != 1<<20>>pageBits {
		t.Errorf("%d reads of the device for %d pages", c.n, 1<<20>>pageBits)
	}
}

var errBroken = errors.New("broken sector")

// broken fails where a byte of one sector is asked for.
type broken struct{ io.ReaderAt }

func (b broken) ReadAt(p []byte, off int64) (int, error) {
	if off < 1024 && off+int64(len(p)) > 512 {
		return 0, errBroken
	}
	return b.ReaderAt.ReadAt(p, off)
}

func TestWindowReadsBesideABrokenSector(t *testing.T) {
	data := ramp(10000)
	w := NewWindow(broken{bytes.NewReader(data)}, "")
	for _, r := range [][2]int64{{0, 512}, {1024, 100}, {1024, 5000}} {
		if b, err := w.Read(r[0], r[1], ""); err != nil || !bytes.Equal(b, data[r[0]:r[0]+r[1]]) {
			t.Errorf("Read(%d, %d): %v", r[0], r[1], err)
		}
	}
	for _, r := range [][2]int64{{0, 513}, {1000, 10}, {1000, 5000}} {
		if _, err := w.Read(r[0], r[1], ""); !errors.Is(err, errBroken) || errors.Is(err, disk.ErrCorrupt) {
			t.Errorf("Read(%d, %d): %v", r[0], r[1], err)
		}
	}
}

// endless is a device of n zeros.
type endless int64

func (e endless) ReadAt(p []byte, off int64) (int, error) {
	n := min(max(int64(e)-off, 0), int64(len(p)))
	clear(p[:n])
	if n < int64(len(p)) {
		return int(n), io.EOF
	}
	return int(n), nil
}

func TestWindowFindsTheSize(t *testing.T) {
	for _, size := range []int64{0, 1, 2, 4095, 4096, 4097, 65536, 1000000, 1 << 40, 1<<62 + 12345, math.MaxInt64 - 1, math.MaxInt64} {
		c := &counted{ReaderAt: endless(size)}
		w := NewWindow(c, "")
		if got, err := w.Size(); got != size || err != nil {
			t.Errorf("Size of %d: %d, %v", size, got, err)
		}
		if c.n > 100 {
			t.Errorf("Size of %d: %d reads", size, c.n)
		}
	}
	if _, err := NewWindow(broken{endless(800)}, "").Size(); !errors.Is(err, errBroken) {
		t.Errorf("Size of a broken device: %v", err)
	}
}

func TestMappingChunksAllocatesNothing(t *testing.T) {
	const chunks = 5000
	im := &Image{Devices: []Device{{Window: NewWindow(bytes.NewReader(ramp(chunks*4+4096)), "")}}, bits: 9}
	i := &Inode{Off: 32, Format: disk.MakeFormat(false, disk.ChunkBased), Size: chunks << 9}
	walk := func() {
		n := 0
		for off := int64(0); off < i.Size; n++ {
			e, err := im.Map(i, off, math.MaxInt64)
			if err != nil {
				t.Fatal(err)
			}
			off += e.Len
		}
		if n < chunks/2 {
			t.Fatalf("%d extents: the test misses its subject", n)
		}
	}
	if n := testing.AllocsPerRun(5, walk); n > 0 {
		t.Errorf("%v allocations for %d chunks", n, chunks)
	}
}

func TestChunkEntriesComeInAnyPortion(t *testing.T) {
	const chunks = 3000
	for _, format := range []disk.ChunkFormat{0, disk.ChunkIndexes} {
		data := ramp(chunks*8 + 4096)
		im := &Image{Devices: []Device{{Window: NewWindow(bytes.NewReader(data), "")}}, bits: 9}
		i := &Inode{Off: 36, Format: disk.MakeFormat(false, disk.ChunkBased), Size: chunks << 9, Chunk: format}
		array, n := im.Chunks(i)
		if n != chunks || array%format.EntrySize() != 0 {
			t.Fatalf("array at %d, %d entries", array, n)
		}
		for _, portion := range []int{1, 7, 1000, 5000} {
			nr := int64(0)
			for nr < chunks {
				list, err := im.ChunkEntries(i, nr, make([]disk.ChunkIndex, 0, portion))
				if err != nil || len(list) != min(portion, int(chunks-nr)) {
					t.Fatalf("%d entries from %d: %d, %v", portion, nr, len(list), err)
				}
				for k, c := range list {
					b := data[array+(nr+int64(k))*format.EntrySize():]
					want := disk.ChunkIndex{StartLo: uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24}
					if format == disk.ChunkIndexes {
						want.Decode((*[8]byte)(b))
					}
					if c != want {
						t.Fatalf("entry %d: %+v, want %+v", nr+int64(k), c, want)
					}
				}
				nr += int64(len(list))
			}
		}
		for _, nr := range []int64{-1, chunks, math.MaxInt64} {
			if list, err := im.ChunkEntries(i, nr, make([]disk.ChunkIndex, 0, 1)); err == nil {
				t.Errorf("entry %d: %v", nr, list)
			}
		}
	}
}
