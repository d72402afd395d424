package erofs

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/laminafs/lamina/internal/codec/lz4"
	"github.com/laminafs/lamina/internal/disk"
	"github.com/laminafs/lamina/internal/oracle"
)

// crafted is an image with pclusters of LZ4 and Zstandard that no writer makes.
type crafted struct{ *maker }

func newCrafted(t testing.TB) crafted {
	m := crafted{newMaker(t, 12)}
	m.b = make([]byte, 4096)
	at := disk.SuperOffset + disk.SuperSize
	for _, config := range [][]byte{{0xFF, 0xFF, 16, 0, 13: 0}, {1: 5, 5: 0}} { // LZ4: distance, blocks; ZSTD: format, window
		binary.LittleEndian.PutUint16(m.b[at:], uint16(len(config)))
		copy(m.b[at+2:], config)
		at += int(disk.Align(int64(2+len(config)), disk.ComprCfgAlign))
	}
	m.sb.Incompat |= disk.HasZeroPadding | disk.HasComprCfgs | disk.Has48Bit | disk.HasDeviceTable // the last: HEAD2
	m.sb.ComprAlgs = 1<<disk.LZ4 | 1<<disk.ZSTD
	return m
}

// lz4Of and zstdOf compress; the second takes runs of one byte only.
func lz4Of(t testing.TB, data []byte) []byte {
	e, err := lz4.NewEncoder(lz4.Options{})
	if err != nil {
		t.Fatal(err)
	}
	dst := make([]byte, 4096)
	n, consumed := e.FitDst(dst, data)
	if consumed != len(data) {
		t.Fatalf("%d of %d bytes fit", consumed, len(data))
	}
	return dst[:n]
}

func zstdOf(data []byte) []byte {
	return []byte{0x28, 0xB5, 0x2F, 0xFD, 0x00, 5 << 3, byte(len(data)<<3 | 1<<1 | 1), byte(len(data) >> 5), byte(len(data) >> 13), data[0]}
}

// padded appends a block with the data at its end.
func (m crafted) padded(b []byte) uint32 {
	return m.blocks(append(make([]byte, 4096-len(b)), b...))
}

// compressed appends a compressed file: header, and what follows it.
func (m crafted) compressed(h disk.MapHeader, size int, index []byte) uint64 {
	b := make([]byte, disk.MapHeaderSize)
	h.Encode((*[disk.MapHeaderSize]byte)(b))
	return m.inode(disk.InodeExtended{Format: disk.MakeFormat(true, disk.CompressedFull), Mode: 0o100644, Nlink: 1, Size: uint64(size)}, append(b, index...))
}

func TestFormsThatNoWriterMakesReadAsTheKernelReadsThem(t *testing.T) {
	oracle.NeedRoot(t)
	m := newCrafted(t)
	run, text, plain := bytes.Repeat([]byte{'z'}, 9000), bytes.Repeat([]byte("some text, "), 700), pattern(3000, 1)

	// Full indexes: a stored pcluster, and both heads.
	index := make([]byte, disk.FullIndexPad)
	add := func(l disk.Lcluster, delta ...uint16) {
		if delta != nil {
			l.SetDelta([2]uint16(delta))
		}
		var e [disk.LclusterSize]byte
		l.Encode(&e)
		index = append(index, e[:]...)
	}
	plainAt := m.blocks(plain)
	textAt, runAt := m.padded(lz4Of(t, text)), m.padded(zstdOf(run))
	add(disk.Lcluster{Advise: uint16(disk.LclusterPlain), Block: plainAt})
	tail := m.compressed(disk.MapHeader{Algorithm: uint8(disk.LZ4) | uint8(disk.ZSTD)<<4}, len(plain), index)
	index = index[:disk.FullIndexPad]
	add(disk.Lcluster{Advise: uint16(disk.LclusterHead1), Block: textAt})
	add(disk.Lcluster{Advise: uint16(disk.LclusterHead2), ClusterOfs: uint16(len(text) - 4096), Block: runAt})
	add(disk.Lcluster{Advise: uint16(disk.LclusterNonhead)}, 1, 2)
	add(disk.Lcluster{Advise: uint16(disk.LclusterNonhead)}, 2, 1)
	add(disk.Lcluster{Advise: uint16(disk.LclusterPlain), ClusterOfs: uint16(len(text) + len(run) - 4*4096)}) // the mark at the end
	two := m.compressed(disk.MapHeader{Algorithm: uint8(disk.LZ4) | uint8(disk.ZSTD)<<4}, len(text)+len(run), index)

	files := []DirEntry{{"heads", two, 1}, {"plain", tail, 1}}
	want := map[string][]byte{"heads": slices.Concat(text, run), "plain": plain}

	// Records for each lcluster: compressed, hole, stored, compressed; their bytes lie back to back.
	parts := [][]byte{lz4Of(t, text[:4096]), nil, pattern(4096, 2), zstdOf(run[:1000])}
	plens := []disk.Plen{disk.MakePlen(uint32(len(parts[0])), disk.LZ4), 0, 4096, disk.MakePlen(uint32(len(parts[3])), disk.ZSTD)}
	content := slices.Concat(text[:4096], make([]byte, 4096), parts[2], run[:1000])
	base := int64(m.blocks(append(make([]byte, 77), bytes.Join(parts, nil)...)))*4096 + 77
	for _, r := range []int{disk.Extent4Size, disk.Extent8Size, disk.Extent16Size, disk.Extent32Size} {
		advise, _ := disk.AdviseRecordSize(r)
		h := disk.MapHeader{Advise: advise}
		records := []byte{}
		if r == disk.Extent4Size {
			records = binary.LittleEndian.AppendUint64(records, uint64(base))
		} else if r >= disk.Extent16Size {
			h.SetExtentCount(uint64(len(parts)))
			records = make([]byte, int(disk.Align(disk.MapHeaderSize, int64(r)))-disk.MapHeaderSize) // the inode ends at 64 bytes
		}
		pos := base
		for k, p := range plens {
			e := disk.Extent{Plen: p, Pstart: uint64(pos), Lstart: uint64(k) * 4096}
			var b [disk.Extent32Size]byte
			e.Encode32(&b)
			if r == disk.Extent16Size {
				e.Encode16((*[disk.Extent16Size]byte)(b[:]))
			}
			records = append(records, b[:r]...)
			pos += int64(len(parts[k]))
		}
		name := "records" + string(rune('a'+r/4))
		files = append(files, DirEntry{name, m.compressed(h, len(content), records), 1})
		want[name] = content
	}
	sameAsKernel(t, m.with(files...), want)
}

// sameAsKernel compares what we and the kernel read with what is wanted.
func sameAsKernel(t *testing.T, b []byte, want map[string][]byte) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(file, b, 0o644); err != nil {
		t.Fatal(err)
	}
	dir := oracle.MountImage(t, file)
	im := open(t, bytes.NewReader(b))
	for name, data := range want {
		if got := read(im, name); got != string(data) {
			t.Errorf("%s: we read %d bytes, not what is wanted: %.100q", name, len(got), got)
		}
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(f)
		_ = f.Close()
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s: the kernel reads %d bytes, not what is wanted: %v", name, len(got), err)
		}
	}
}
