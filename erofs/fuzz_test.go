package erofs

import (
	"bytes"
	"io"
	"slices"
	"testing"

	"github.com/laminafs/lamina/internal/disk"
)

// FuzzOpen walks over everything in an image that may be anything.
func FuzzOpen(f *testing.F) {
	for _, name := range slices.Concat(goldenImages, compressedImages) {
		f.Add(golden(f, name))
	}
	for _, b := range handmade(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<16 {
			return
		}
		bounded(t, "fuzz", func() {
			exercise(t, bytes.NewReader(b))
			if im, err := Open(bytes.NewReader(b)); err == nil && len(im.Devices()) > 0 && len(im.Devices()) < 4 {
				devices := make([]io.ReaderAt, len(im.Devices()))
				for k := range devices {
					devices[k] = bytes.NewReader(b)
				}
				exercise(t, bytes.NewReader(b), devices...)
			}
		})
	})
}

// handmade returns images with what the golden ones lack: devices, large blocks, each kind of chunk.
func handmade(t testing.TB) (all [][]byte) {
	for _, bits := range []uint8{9, 12, 16} {
		for _, format := range []disk.ChunkFormat{0, disk.ChunkIndexes, disk.ChunkIndexes | disk.Chunk48Bit} {
			m := newMaker(t, bits)
			data := m.blocks(pattern(1<<bits, 1))
			var entries []byte
			for k, c := range []disk.ChunkIndex{{StartLo: data}, disk.HoleIndex(), {StartLo: data, DeviceID: 1}, {StartLo: data, StartHi: 1}, {StartLo: 1000}} {
				var b [disk.ChunkIndexSize]byte
				c.Encode(&b)
				if format == 0 && k < 4 {
					copy(b[:], b[4:])
				}
				entries = append(entries, b[:format.EntrySize()]...)
			}
			file := m.inode(disk.InodeExtended{Format: disk.MakeFormat(true, disk.ChunkBased), Mode: 0o100644, Nlink: 1, Size: 5 << bits, U: uint32(format)}, entries)
			m.sb.Incompat |= disk.HasChunkedFile | disk.HasDeviceTable
			m.sb.ExtraDevices, m.sb.DevtSlotOff = 1, 1
			d := disk.Device{BlocksLo: 100, UniAddrLo: 1000}
			d.Encode((*[disk.DeviceSize]byte)(m.b[disk.DeviceSize:]))
			area, icount := xattrs([]uint32{4, 4}, xattr(1, "one", "1"), xattr(0x80, "x", "y"), xattr(0, "hidden", "h"))
			m.sb.XattrBlkAddr = m.blocks(append(xattr(4, "shared", "s"), append(make([]byte, 8), xattr(2, "", "acl")...)...))
			with := m.inode(disk.InodeExtended{Format: disk.MakeFormat(true, disk.FlatInline), Mode: 0o100600, XattrICount: icount, Size: 3}, append(area, "abc"...))
			link := m.inode(disk.InodeExtended{Format: disk.MakeFormat(true, disk.FlatInline), Mode: 0o120777, Size: 4}, []byte("file"))
			all = append(all, m.with(DirEntry{"file", file, 1}, DirEntry{"link", link, 7}, DirEntry{"xattr", with, 1}, DirEntry{"xlink", with, 1}))
		}
	}
	return all
}

func pattern(n int, seed byte) []byte {
	b := make([]byte, n)
	x := uint32(seed) + 1
	for k := range b {
		x = x*1664525 + 1013904223
		b[k] = byte(x >> 24)
	}
	return b
}
