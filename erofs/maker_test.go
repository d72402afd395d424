package erofs

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/laminafs/lamina/internal/disk"
)

// maker builds images byte by byte, broken ones above all.
type maker struct {
	t  testing.TB
	bs int64
	sb disk.Superblock
	b  []byte
}

// newMaker starts an image with blocks of 1<<bits bytes. Byte 0 is NID 0.
func newMaker(t testing.TB, bits uint8) *maker {
	m := &maker{t: t, bs: 1 << bits, b: make([]byte, 2048)}
	m.sb = disk.Superblock{Magic: disk.Magic, BlockBits: bits, Compat: disk.HasMtime, Epoch: 1000}
	return m
}

// space appends n zero bytes at a multiple of align that do not cross a block unless they must.
func (m *maker) space(n, align int64) int64 {
	off := disk.Align(int64(len(m.b)), align)
	if left := m.bs - off%m.bs; n > left && n <= m.bs {
		off += left
	}
	m.b = append(m.b, make([]byte, off+n-int64(len(m.b)))...)
	return off
}

// blocks appends data at a block boundary and returns its first block.
func (m *maker) blocks(data []byte) uint32 {
	off := m.space(disk.Align(int64(len(data)), m.bs), m.bs)
	copy(m.b[off:], data)
	return uint32(off / m.bs)
}

// inode appends an extended inode with what follows it: xattr area, inline data.
func (m *maker) inode(i disk.InodeExtended, rest []byte) (nid uint64) {
	off := m.space(disk.InodeExtendedSize+int64(len(rest)), disk.SlotSize)
	i.Format |= disk.FormatExtended
	i.Encode((*[disk.InodeExtendedSize]byte)(m.b[off:]))
	copy(m.b[off+disk.InodeExtendedSize:], rest)
	return uint64(off / disk.SlotSize)
}

// file appends a regular file with inline data.
func (m *maker) file(data string) uint64 {
	return m.inode(disk.InodeExtended{Format: disk.MakeFormat(true, disk.FlatInline), Mode: 0o100644, Nlink: 1, Size: uint64(len(data))}, []byte(data))
}

// dir appends a directory; its data is one block or, if it fits, inline.
func (m *maker) dir(entries ...DirEntry) uint64 { return m.rawDir(dirents(entries...)) }

func (m *maker) rawDir(data []byte) uint64 {
	i := disk.InodeExtended{Mode: 0o40755, Nlink: 2, Size: uint64(len(data))}
	if int64(len(data)) <= m.bs-disk.InodeExtendedSize {
		i.Format = disk.MakeFormat(true, disk.FlatInline)
		return m.inode(i, data)
	}
	i.U = m.blocks(data)
	return m.inode(i, nil)
}

// reserve returns the NID of an inode to come, for cycles; with is called with its bytes later.
func (m *maker) reserve() uint64 {
	return uint64(m.space(disk.InodeExtendedSize, disk.SlotSize) / disk.SlotSize)
}

// become makes a reserved inode a directory.
func (m *maker) become(nid uint64, entries ...DirEntry) {
	data := dirents(entries...)
	i := disk.InodeExtended{Format: disk.MakeFormat(true, disk.FlatPlain), Mode: 0o40755, Nlink: 2, Size: uint64(len(data)), U: m.blocks(data)}
	i.Encode((*[disk.InodeExtendedSize]byte)(m.b[nid*disk.SlotSize:]))
}

// dirents encodes entries as they come.
func dirents(entries ...DirEntry) []byte {
	b := make([]byte, disk.DirentSize*len(entries))
	for k, e := range entries {
		d := disk.Dirent{NID: e.NID, NameOff: uint16(len(b)), FileType: e.Type}
		d.Encode((*[disk.DirentSize]byte)(b[k*disk.DirentSize:]))
		b = append(b, e.Name...)
	}
	return b
}

// with gives the image a root with the entries, after the dots.
func (m *maker) with(entries ...DirEntry) []byte {
	root := m.reserve()
	m.become(root, append([]DirEntry{{".", root, 2}, {"..", root, 2}}, entries...)...)
	return m.image(root)
}

// image returns the image: superblock, checksum, whole blocks.
func (m *maker) image(root uint64) []byte {
	m.t.Helper()
	if root > 1<<16-1 {
		m.sb.Incompat |= disk.Has48Bit
		m.sb.RootNID8 = root
	} else {
		m.sb.RootNID2 = uint16(root)
	}
	m.b = append(m.b, make([]byte, disk.Align(int64(len(m.b)), m.bs)-int64(len(m.b)))...)
	m.super(m.b)
	if m.sb.Compat&disk.HasChecksum != 0 {
		off, n := disk.ChecksumRange(m.sb.BlockBits)
		binary.LittleEndian.PutUint32(m.b[off+4:], disk.Checksum(m.b[off:off+n]))
	}
	return m.b
}

// super writes the superblock into an image.
func (m *maker) super(image []byte) {
	m.sb.Encode((*[disk.SuperSize]byte)(image[disk.SuperOffset:]))
	if m.sb.ExtSlots > 0 {
		m.sb.EncodeExt((*[disk.SuperSlotSize]byte)(image[disk.SuperOffset+disk.SuperSize:]))
	}
}

// xattrs encodes an area: header, shared ids, entries.
func xattrs(shared []uint32, entries ...[]byte) (area []byte, icount uint16) {
	var h [disk.XattrHeaderSize]byte
	(&disk.XattrHeader{SharedCount: uint8(len(shared))}).Encode(&h)
	area = append(area, h[:]...)
	for _, id := range shared {
		area = binary.LittleEndian.AppendUint32(area, id)
	}
	area = append(area, bytes.Join(entries, nil)...)
	return area, disk.XattrICount(int64(len(area)))
}

func xattr(index uint8, name, value string) []byte {
	e := disk.XattrEntry{NameLen: uint8(len(name)), NameIndex: index, ValueSize: uint16(len(value))}
	b := make([]byte, disk.XattrEntrySize, e.Size())
	e.Encode((*[disk.XattrEntrySize]byte)(b))
	b = append(append(b, name...), value...)
	return b[:e.Size()]
}
