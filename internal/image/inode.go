package image

import (
	"fmt"
	"math"

	"github.com/laminafs/lamina/internal/disk"
)

const (
	typeMask    = 0o170000
	typeDir     = 0o040000
	typeRegular = 0o100000
	typeSymlink = 0o120000
	typeChar    = 0o020000
	typeBlock   = 0o060000
)

// Inode is a decoded inode of either form (section 2).
type Inode struct {
	NID         uint64
	Off         int64 // byte address of the inode on the primary device, or in the metabox
	Size        int64
	Mtime       int64  // seconds since 1970
	Start       uint64 // first block of flat layouts; disk.NullAddr48 if a FlatPlain file is one hole
	Nsec        uint32 // not checked
	Nlink       uint32
	UID, GID    uint32
	Rdev        uint32 // of character and block devices
	Ino         uint32 // i_ino, any value
	Mode        uint16
	XattrICount uint16
	Format      disk.Format
	Chunk       disk.ChunkFormat // of ChunkBased inodes
}

// Layout returns the data layout.
func (i *Inode) Layout() disk.Layout { return i.Format.Layout() }

// IsDir tells whether the inode is a directory.
func (i *Inode) IsDir() bool { return i.Mode&typeMask == typeDir }

// IsRegular tells whether the inode is a regular file.
func (i *Inode) IsRegular() bool { return i.Mode&typeMask == typeRegular }

// IsSymlink tells whether the inode is a symbolic link.
func (i *Inode) IsSymlink() bool { return i.Mode&typeMask == typeSymlink }

// DotOmitted tells whether "." of the directory is not on disk.
func (i *Inode) DotOmitted() bool { return i.IsDir() && i.Format&disk.FormatDotOmitted != 0 }

// HeadSize returns the length of the inode itself: 32 or 64 bytes.
func (i *Inode) HeadSize() int64 {
	if i.Format.Extended() {
		return disk.InodeExtendedSize
	}
	return disk.InodeCompactSize
}

// BodyOff returns where the xattrs of the inode end: its inline data, chunk array or index follows.
func (i *Inode) BodyOff() int64 { return i.Off + i.HeadSize() + disk.XattrAreaSize(i.XattrICount) }

func (i *Inode) bad(field string, got any, why string) error {
	return &disk.FormatError{Off: i.Off, Field: fmt.Sprintf("inode %d: %s", i.NID, field), Got: got, Why: why}
}

// InodeOff returns the byte address of an inode on the primary device, or in the metabox if NID says that it
// is there.
func (im *Image) InodeOff(nid uint64) (int64, error) {
	base := im.metaBase
	if nid&disk.MetaboxNID != 0 {
		base = 0
	}
	// The inode with its xattrs and the first byte behind them stay below 1<<63.
	if nid&^disk.MetaboxNID > uint64(math.MaxInt64-base-MaxRead-2*disk.InodeExtendedSize)/disk.SlotSize {
		return 0, &disk.FormatError{Off: -1, Field: "nid", Got: nid, Why: "exceeds 63 bits of bytes"}
	}
	return base + int64(nid&^disk.MetaboxNID)*disk.SlotSize, nil
}

// Inode reads an inode (erofs_read_inode, fs/erofs/inode.c).
func (im *Image) Inode(nid uint64) (Inode, error) {
	off, err := im.InodeOff(nid)
	if err != nil {
		return Inode{}, err
	}
	w, err := im.Meta(nid)
	if err != nil {
		return Inode{}, err
	}
	b, err := w.Read(off, disk.InodeCompactSize, "inode")
	if err != nil {
		return Inode{}, err
	}
	i := Inode{NID: nid, Off: off, Format: disk.Format(uint16(b[0]) | uint16(b[1])<<8)}
	if i.Format&^disk.FormatKnown != 0 || i.Layout() > disk.ChunkBased {
		return Inode{}, unsupported("inode %d: i_format %#x", nid, uint16(i.Format))
	}
	if !i.Format.Extended() {
		err = im.finish(&i, i.fillCompact((*[disk.InodeCompactSize]byte)(b), &im.Super))
		return i, err
	}
	if b, err = w.Read(off, disk.InodeExtendedSize, "inode"); err != nil {
		return Inode{}, err
	}
	err = im.finish(&i, i.fillExtended((*[disk.InodeExtendedSize]byte)(b)))
	return i, err
}

// raw is what the meaning of depends on the type and layout of the inode.
type raw struct {
	u    uint32
	hi   uint16
	hole uint64 // Start of a file that is one hole
}

func (i *Inode) fillCompact(b *[disk.InodeCompactSize]byte, sb *disk.Superblock) raw {
	var d disk.InodeCompact
	d.Decode(b)
	i.XattrICount, i.Mode, i.Size, i.Ino = d.XattrICount, d.Mode, int64(d.Size), d.Ino
	i.UID, i.GID = uint32(d.UID), uint32(d.GID)
	i.Mtime, i.Nsec = sb.Epoch+int64(d.Mtime), sb.FixedNsec
	if !i.IsDir() && d.Format&disk.FormatNlink1 != 0 {
		i.Nlink = 1
		return raw{u: d.U, hi: d.Nb, hole: disk.NullAddr48}
	}
	i.Nlink = uint32(d.Nb)
	return raw{u: d.U, hole: disk.NullAddr32}
}

func (i *Inode) fillExtended(b *[disk.InodeExtendedSize]byte) raw {
	var d disk.InodeExtended
	d.Decode(b)
	i.XattrICount, i.Mode, i.Size, i.Ino = d.XattrICount, d.Mode, int64(d.Size), d.Ino
	i.UID, i.GID, i.Nlink = d.UID, d.GID, d.Nlink
	i.Mtime, i.Nsec = d.Mtime, d.MtimeNsec
	return raw{u: d.U, hi: d.Nb, hole: disk.NullAddr48}
}

// finish checks the inode and interprets what depends on its type.
func (im *Image) finish(i *Inode, r raw) error {
	if i.Size < 0 {
		return i.bad("i_size", uint64(i.Size), "top bit is set")
	}
	switch i.Mode & typeMask {
	case typeDir, typeRegular, typeSymlink:
		i.Start = uint64(r.hi)<<32 | uint64(r.u)
		if i.Layout() == disk.FlatPlain && i.Start == r.hole {
			i.Start = disk.NullAddr48
		}
	case typeChar, typeBlock:
		i.Rdev = r.u
	default:
		if disk.FileTypeOf(uint32(i.Mode)) == disk.FileUnknown {
			return i.bad("i_mode", i.Mode, "not a file type")
		}
	}
	if i.Layout() == disk.ChunkBased {
		if i.Chunk = disk.ChunkFormat(r.u); i.Chunk&^disk.ChunkKnown != 0 {
			return unsupported("inode %d: chunk format %#x", i.NID, uint16(i.Chunk))
		}
	}
	return nil
}
