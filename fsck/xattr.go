package fsck

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/laminafs/lamina/internal/disk"
	"github.com/laminafs/lamina/internal/image"
)

// xattrSet is the names of the attributes of one inode, to find duplicates: base index, infix and rest,
// back to back in buf.
type xattrSet struct {
	buf   []byte
	names []xattrName
}

type xattrName struct {
	start, end int // of buf
	off        int64
}

func (s *xattrSet) reset() { s.buf, s.names = s.buf[:0], s.names[:0] }

func (s *xattrSet) add(off int64, base uint8, infix string, rest []byte) {
	start := len(s.buf)
	s.buf = append(append(append(s.buf, base), infix...), rest...)
	s.names = append(s.names, xattrName{start, len(s.buf), off})
}

func (s *xattrSet) name(n xattrName) []byte { return s.buf[n.start:n.end] }

// xattrArea checks the extended attributes of an inode (section 5). Shared ones are claimed by the
// first inode that has them.
func (c *checker) xattrArea(in *image.Inode) {
	area := disk.XattrAreaSize(in.XattrICount)
	if area == 0 {
		return
	}
	off := in.Off + in.HeadSize()
	if area == disk.XattrHeaderSize {
		c.add(XattrBounds, in.Off+2, in.XattrICount, "an i_xattr_icount of 1 is undefined: EOPNOTSUPP")
		return
	}
	d := c.meta(in.NID)
	if !c.within(d, off, area) {
		c.add(XattrBounds, in.Off+2, in.XattrICount, "the xattr area ends at %d, the image at %d", off+area, c.space[d].size)
		return
	}
	if !c.claimMeta(d, off, area, KindXattrs) {
		return
	}
	b := c.read(d, off, area, "xattr area")
	if b == nil {
		return
	}
	var h disk.XattrHeader
	h.Decode((*[disk.XattrHeaderSize]byte)(b))
	if !isZero(h.Reserved[:]) {
		c.add(XattrReserved, off+5, nil, "reserved bytes of the xattr header")
	}
	entries := disk.XattrHeaderSize + 4*int64(h.SharedCount)
	if entries > area {
		c.add(XattrBounds, off+4, h.SharedCount, "h_shared_count exceeds the area of %d bytes", area)
		return
	}
	c.xattrs.reset()
	c.inlineXattrs(off+entries, b[entries:])
	for k := int64(disk.XattrHeaderSize); k < entries && c.err == nil; k += 4 {
		c.sharedXattr(off+k, binary.LittleEndian.Uint32(b[k:]))
	}
	c.xattrNames(off, h.NameFilter)
}

// inlineXattrs checks the entries behind an inode; b is the whole rest of the area.
func (c *checker) inlineXattrs(off int64, b []byte) {
	for len(b) > 0 {
		var e disk.XattrEntry
		e.Decode((*[disk.XattrEntrySize]byte)(b)) // areas are multiples of 4
		size := e.Size()
		if size > int64(len(b)) {
			c.add(XattrBounds, off, size, "an xattr entry of this length; its area has %d bytes left", len(b))
			return
		}
		if e != (disk.XattrEntry{}) { // zeros are padding
			rest := b[disk.XattrEntrySize : disk.XattrEntrySize+int(e.NameLen)]
			value := b[disk.XattrEntrySize+int(e.NameLen):][:e.ValueSize]
			c.xattr(off, e.NameIndex, rest, value)
		}
		off, b = off+size, b[size:]
	}
}

// sharedXattr checks the entry of a shared id, which is at place.
func (c *checker) sharedXattr(place int64, id uint32) {
	d := 0
	if c.im.SharedInMetabox() {
		switch d = c.box; {
		case c.sb.Incompat&disk.HasMetabox == 0:
			c.add(XattrShared, place, id, "shared xattr in a metabox that the image lacks: EUCLEAN")
			return
		case d == 0: // reported with the metabox itself
			c.missed.metabox++
			return
		}
	}
	off := c.im.SharedXattrOff(id)
	if !c.within(d, off, disk.XattrEntrySize) {
		c.add(XattrShared, place, id, "shared xattr at %d; the image ends at %d", off, c.space[d].size)
		return
	}
	b := c.read(d, off, disk.XattrEntrySize, "shared xattr")
	if b == nil {
		return
	}
	var e disk.XattrEntry
	e.Decode((*[disk.XattrEntrySize]byte)(b))
	if !c.within(d, off, e.Size()) {
		c.add(XattrShared, place, id, "shared xattr of %d bytes at %d; the image ends at %d", e.Size(), off, c.space[d].size)
		return
	}
	if c.space[d].entries.add(uint64(off) / granule) {
		c.claimMeta(d, off, e.Size(), KindSharedXattrs)
		c.rep.Stats.SharedXattr++
	}
	if b = c.read(d, off+disk.XattrEntrySize, int64(e.NameLen)+int64(e.ValueSize), "shared xattr"); b != nil || e.Size() == disk.XattrEntrySize {
		c.xattr(off, e.NameIndex, b[:e.NameLen], b[e.NameLen:])
	}
}

// xattr checks one attribute: prefix, name and value.
func (c *checker) xattr(off int64, index uint8, rest, value []byte) {
	c.rep.Stats.Xattrs++
	base, infix, ok := c.resolve(off, index)
	if !ok {
		return
	}
	c.xattrs.add(off, base, infix, rest)
	switch base {
	case disk.XattrIndexNone: // hidden: fingerprints have an empty name
		return
	case disk.XattrIndexACLAccess, disk.XattrIndexACLDefault:
		if len(infix)+len(rest) > 0 {
			c.add(XattrName, off, rest, "an ACL has no name behind its prefix")
		} else if !validACL(value) {
			c.add(XattrValue, off, len(value), "bytes of an ACL: a header of version 2 and entries of 8 bytes")
		}
		return
	}
	if base == disk.XattrIndexSecurity && infix+string(rest) == "capability" && !validCapability(value) {
		c.add(XattrValue, off, len(value), "bytes of a capability: revision 2 has 20 bytes, revision 3 has 24")
	}
	if len(infix)+len(rest) == 0 {
		c.add(XattrName, off, nil, "no name behind the prefix")
	} else if bytes.IndexByte(rest, 0) >= 0 {
		c.add(XattrName, off, rest, "a NUL in a name")
	} else if prefix, _ := disk.XattrPrefix(base); len(prefix)+len(infix)+len(rest) > maxXattrName {
		c.add(XattrName, off, rest, "a name of more than %d bytes with its prefix", maxXattrName)
	}
}

// maxXattrName is XATTR_NAME_MAX of Linux: listxattr shows longer names, getxattr refuses them.
const maxXattrName = 255

// validACL tells whether Linux can parse an ACL (posix_acl_from_xattr): a version and whole entries.
func validACL(b []byte) bool {
	return len(b) >= 4 && binary.LittleEndian.Uint32(b) == 2 && (len(b)-4)%8 == 0
}

// validCapability tells whether Linux takes a value for file capabilities (cap_inode_getsecurity):
// the revision in the highest byte, the effective bit in the lowest.
func validCapability(b []byte) bool {
	if len(b) < 4 {
		return false
	}
	revision := binary.LittleEndian.Uint32(b) &^ 1
	return revision == 0x02000000 && len(b) == 20 || revision == 0x03000000 && len(b) == 24
}

// resolve finds out what an e_name_index means, ok = false if that is unknown.
func (c *checker) resolve(off int64, index uint8) (base uint8, infix string, ok bool) {
	base = index
	if index&disk.XattrLongPrefix != 0 {
		k, prefixes := int(index&disk.XattrLongPrefixMask), c.im.LongPrefixes()
		if k >= int(c.sb.XattrPrefixCount) {
			c.add(XattrPrefix, off+1, index, "long prefix %d; the image has %d", k, c.sb.XattrPrefixCount)
			return 0, "", false
		}
		if k >= len(prefixes) { // damaged or not readable here, which was said once
			return 0, "", false
		}
		base, infix = prefixes[k].BaseIndex, prefixes[k].Infix
		if base == disk.XattrIndexNone {
			return base, infix, true
		}
	}
	if _, known := disk.XattrPrefix(base); !known && base != disk.XattrIndexNone {
		c.add(XattrPrefix, off+1, index, "no such prefix")
		return 0, "", false
	}
	return base, infix, true
}

// xattrNames looks for duplicates and checks the name filter of an inode, whose area is at off.
func (c *checker) xattrNames(off int64, filter uint32) {
	s := &c.xattrs
	slices.SortFunc(s.names, func(a, b xattrName) int { return bytes.Compare(s.name(a), s.name(b)) })
	for i, n := range s.names {
		name := s.name(n)
		if i > 0 && bytes.Equal(name, s.name(s.names[i-1])) && name[0] != disk.XattrIndexNone {
			c.add(XattrDuplicate, max(n.off, s.names[i-1].off), name[1:], "this inode has the attribute already")
		}
		if name[0] != disk.XattrIndexNone && c.im.XattrFilter() && filter&disk.XattrFilterBit(name[0], string(name[1:])) != 0 {
			c.add(XattrFilter, off, name[1:], "h_name_filter %#x says that the attribute is not there", filter)
		}
	}
}
