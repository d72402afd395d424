package image

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"sort"

	"github.com/laminafs/lamina/internal/disk"
)

// DirBlock is one block of a directory (section 3). Its bytes are shared and must not be changed.
type DirBlock struct {
	Off   int64 // byte address on the device of the block; of a compressed directory, offset in its data
	bytes []byte
	n     int
	nid   uint64 // of the directory
}

// Dirent is an entry of a directory. Name is shared and must not be changed or kept.
type Dirent struct {
	Name    []byte
	NID     uint64
	Off     int64 // byte address of the entry
	NameOff int   // of the name in the block
	Type    disk.FileType
}

// IsDot tells whether the entry is "." or "..".
func (d *Dirent) IsDot() bool {
	return len(d.Name) <= 2 && d.Name[0] == '.' && d.Name[len(d.Name)-1] == '.'
}

// DirBlocks returns the number of blocks of a directory.
func (im *Image) DirBlocks(dir *Inode) int64 {
	if dir.Size == 0 {
		return 0
	}
	return (dir.Size-1)>>im.bits + 1
}

// DirBlock reads block k of a directory and checks its head (erofs_readdir, fs/erofs/dir.c).
func (im *Image) DirBlock(dir *Inode, k int64) (DirBlock, error) {
	if k < 0 || k >= im.DirBlocks(dir) {
		return DirBlock{}, dir.bad("directory block", k, "outside the directory")
	}
	off := k << im.bits
	size := min(im.BlockSize(), dir.Size-off)
	d, err := im.dirBytes(dir, off, size)
	if err != nil {
		return DirBlock{}, err
	}
	b := d.bytes
	if size < disk.DirentSize {
		return d, d.bad(0, "length", size, "shorter than an entry")
	}
	first := int64(binary.LittleEndian.Uint16(b[8:]))
	if first == 0 || first >= size || first%disk.DirentSize != 0 {
		return d, d.bad(0, "nameoff", first, "of the first entry: not a multiple of 12 inside the block")
	}
	d.n = int(first) / disk.DirentSize
	return d, nil
}

// dirBytes reads size bytes of a directory at off.
func (im *Image) dirBytes(dir *Inode, off, size int64) (DirBlock, error) {
	d := DirBlock{Off: off, nid: dir.NID}
	if dir.Compressed() {
		d.bytes = make([]byte, size)
		return d, im.readCompressed(dir, d.bytes, off)
	}
	e, err := im.Map(dir, off, size)
	if err != nil {
		return d, err
	}
	if e.Kind == Hole || e.Len < size {
		return d, dir.bad("directory block", off>>im.bits, "is a hole")
	}
	d.Off = e.Pos
	d.bytes, err = im.Window(e.Device).Read(e.Pos, size, "directory block")
	return d, err
}

func (d *DirBlock) bad(k int, field string, got any, why string) error {
	return &disk.FormatError{Off: d.Off + int64(k)*disk.DirentSize, Field: fmt.Sprintf("inode %d: dirent: %s", d.nid, field), Got: got, Why: why}
}

// Len returns the number of entries.
func (d *DirBlock) Len() int { return d.n }

// NamesOff returns where in the block the names start.
func (d *DirBlock) NamesOff() int { return d.n * disk.DirentSize }

// Bytes returns the block. It is shared and must not be changed.
func (d *DirBlock) Bytes() []byte { return d.bytes }

// Entry returns entry k, 0 <= k < Len (erofs_fill_dentries, plus what the VFS would choke on: slashes
// and NULs).
func (d *DirBlock) Entry(k int) (Dirent, error) {
	var e disk.Dirent
	e.Decode((*[disk.DirentSize]byte)(d.bytes[k*disk.DirentSize:]))
	out := Dirent{NID: e.NID, Type: e.FileType, Off: d.Off + int64(k)*disk.DirentSize, NameOff: int(e.NameOff)}
	start, end := int(e.NameOff), len(d.bytes)
	if k+1 < d.n {
		end = int(binary.LittleEndian.Uint16(d.bytes[(k+1)*disk.DirentSize+8:]))
	}
	if start < d.n*disk.DirentSize || start >= end || end > len(d.bytes) {
		return out, d.bad(k, "nameoff", start, fmt.Sprintf("the name would end at %d", end))
	}
	name := d.bytes[start:end]
	if k+1 == d.n {
		if z := bytes.IndexByte(name, 0); z >= 0 {
			name = name[:z]
		}
	}
	if len(name) == 0 || len(name) > disk.MaxNameLen {
		return out, d.bad(k, "name", len(name), "length is not from 1 to 255")
	}
	if bytes.IndexByte(name, '/') >= 0 || bytes.IndexByte(name, 0) >= 0 {
		return out, d.bad(k, "name", name, "has a slash or a NUL")
	}
	out.Name = name
	return out, nil
}

// Lookup finds a name in a directory by binary search over the blocks and inside one, as Linux does
// (erofs_namei, fs/erofs/namei.c): an entry out of order is not found. place identifies the entry in
// its directory.
func (im *Image) Lookup(dir *Inode, name string) (e Dirent, place int64, ok bool, err error) {
	lo, hi := int64(0), im.DirBlocks(dir)
	for hi-lo > 1 { // the last block whose first name is not above name
		mid := lo + (hi-lo)/2
		b, err := im.DirBlock(dir, mid)
		if err != nil {
			return e, 0, false, err
		}
		if e, err = b.Entry(0); err != nil {
			return e, 0, false, err
		}
		if string(e.Name) <= name {
			lo = mid
		} else {
			hi = mid
		}
	}
	if hi == 0 {
		return e, 0, false, nil
	}
	b, err := im.DirBlock(dir, lo)
	if err != nil {
		return e, 0, false, err
	}
	k := sort.Search(b.n, func(k int) bool {
		if err != nil {
			return true
		}
		e, err = b.Entry(k)
		return err == nil && string(e.Name) >= name
	})
	if err != nil || k == b.n {
		return e, 0, false, err
	}
	e, err = b.Entry(k)
	return e, lo<<im.bits + int64(k), err == nil && string(e.Name) == name, err
}
