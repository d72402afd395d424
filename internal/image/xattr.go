package image

import (
	"encoding/binary"
	"fmt"
	"iter"

	"github.com/laminafs/lamina/internal/disk"
)

// Xattr is an extended attribute as it is stored (section 5). Rest and Value are shared and must not
// be changed or kept.
type Xattr struct {
	Off    int64  // byte address of the entry
	Shared bool   // in the shared area, else behind the inode
	ID     uint32 // of a shared one
	Index  uint8  // e_name_index: a short prefix, or XattrLongPrefix | number of a long one
	Base   uint8  // the short prefix
	Prefix string // the short prefix with the infix of the long one
	Listed bool   // Linux shows it: the prefix exists and is not a hidden one
	Infix  string
	Rest   []byte // what follows the prefix
	Value  []byte
}

// XattrHeader reads the header of the inline area of an inode and where its entries start and end;
// ok = false if the inode has no xattrs (erofs_init_inode_xattrs, fs/erofs/xattr.c).
func (im *Image) XattrHeader(i *Inode) (h disk.XattrHeader, start, end int64, ok bool, err error) {
	area := disk.XattrAreaSize(i.XattrICount)
	if area == 0 {
		return h, 0, 0, false, nil
	}
	if area == disk.XattrHeaderSize {
		return h, 0, 0, false, unsupported("inode %d: i_xattr_icount 1", i.NID)
	}
	w, err := im.Meta(i.NID)
	if err != nil {
		return h, 0, 0, false, err
	}
	off := i.Off + i.HeadSize()
	b, err := w.Read(off, disk.XattrHeaderSize, "xattr header")
	if err != nil {
		return h, 0, 0, false, err
	}
	h.Decode((*[disk.XattrHeaderSize]byte)(b))
	start, end = off+disk.XattrHeaderSize+4*int64(h.SharedCount), off+area
	if start > end {
		return h, 0, 0, false, i.bad("h_shared_count", h.SharedCount, "exceeds the xattr area")
	}
	return h, start, end, true, nil
}

// XattrFilter tells whether the name filter of headers counts.
func (im *Image) XattrFilter() bool {
	return im.Super.Compat&disk.HasXattrFilter != 0 && im.Super.XattrFilterReserved == 0
}

// Xattrs yields the attributes of an inode: inline ones, then shared ones, which is the order in
// which Linux looks for a name. An entry that cannot be read ends it.
func (im *Image) Xattrs(i *Inode) iter.Seq2[Xattr, error] {
	return func(yield func(Xattr, error) bool) {
		h, start, end, ok, err := im.XattrHeader(i)
		if err != nil {
			yield(Xattr{}, err)
		}
		if err != nil || !ok {
			return
		}
		w, err := im.Meta(i.NID)
		if err != nil {
			yield(Xattr{}, err)
			return
		}
		for off := start; off < end; {
			x, size, err := im.xattr(w, off, end-off)
			if err != nil || x.Index != 0 || len(x.Rest) > 0 || len(x.Value) > 0 { // else padding
				if !yield(x, err) || err != nil {
					return
				}
			}
			off += size
		}
		if err := im.sharedArea(); err != nil {
			yield(Xattr{}, err)
			return
		}
		ids := start - 4*int64(h.SharedCount)
		for k := range int64(h.SharedCount) {
			x, err := im.sharedXattr(w, ids+4*k)
			if !yield(x, err) || err != nil {
				return
			}
		}
	}
}

// sharedXattr reads the attribute whose id is at off.
func (im *Image) sharedXattr(w *Window, off int64) (Xattr, error) {
	b, err := w.Read(off, 4, "shared xattr id")
	if err != nil {
		return Xattr{}, err
	}
	return im.SharedXattr(binary.LittleEndian.Uint32(b))
}

// SharedInMetabox tells whether shared attributes lie in the metabox.
func (im *Image) SharedInMetabox() bool { return im.Super.Compat&disk.HasSharedEAInMB != 0 }

// SharedXattrOff returns the byte address of a shared attribute, on the primary device or in the metabox.
func (im *Image) SharedXattrOff(id uint32) int64 {
	return int64(im.Super.XattrBlkAddr)<<im.bits + 4*int64(id)
}

// sharedArea checks that the area of shared attributes exists; Linux wants it for every inode with
// attributes, shared ones or not (erofs_xattr_iter_shared).
func (im *Image) sharedArea() error {
	if im.SharedInMetabox() && im.Super.Incompat&disk.HasMetabox == 0 {
		return super(0x08, "feature_compat", uint32(im.Super.Compat), "shared xattrs in a metabox that the image does not have")
	}
	return nil
}

// SharedXattr reads a shared attribute.
func (im *Image) SharedXattr(id uint32) (Xattr, error) {
	if err := im.sharedArea(); err != nil {
		return Xattr{}, err
	}
	w := im.Devices[0].Window
	if im.SharedInMetabox() {
		if im.noMetabox != nil {
			return Xattr{}, im.noMetabox
		}
		w = im.metabox
	}
	x, _, err := im.xattr(w, im.SharedXattrOff(id), MaxRead)
	x.Shared, x.ID = true, id
	return x, err
}

// xattr reads the entry at off, of which room bytes are left, and returns its padded length.
func (im *Image) xattr(w *Window, off, room int64) (x Xattr, size int64, err error) {
	x.Off = off
	b, err := w.Read(off, disk.XattrEntrySize, "xattr entry")
	if err != nil {
		return x, 0, err
	}
	var e disk.XattrEntry
	e.Decode((*[disk.XattrEntrySize]byte)(b))
	size = e.Size()
	if size > room {
		return x, size, &disk.FormatError{Off: off, Field: "xattr entry", Got: size, Why: fmt.Sprintf("only %d bytes are left in its area", room)}
	}
	n := int64(e.NameLen)
	if b, err = w.Read(off+disk.XattrEntrySize, n+int64(e.ValueSize), "xattr name and value"); err != nil {
		return x, size, err
	}
	x.Index, x.Rest, x.Value = e.NameIndex, b[:n:n], b[n:]
	return x, size, im.prefix(&x)
}

// prefix resolves the name index. An index that Linux does not know leaves Listed false.
func (im *Image) prefix(x *Xattr) error {
	x.Base = x.Index
	if x.Index&disk.XattrLongPrefix != 0 {
		if im.noPrefix != nil {
			return im.noPrefix
		}
		k := int(x.Index & disk.XattrLongPrefixMask)
		if k >= len(im.prefixes) {
			x.Base = disk.XattrIndexNone
			return nil
		}
		x.Base, x.Infix = im.prefixes[k].BaseIndex, im.prefixes[k].Infix
	}
	x.Prefix, x.Listed = disk.XattrPrefix(x.Base)
	if x.Listed && x.Infix != "" {
		x.Prefix += x.Infix
	}
	return nil
}
