package mkfs

import (
	"fmt"
	"strings"

	"github.com/laminafs/lamina/internal/disk"
	"github.com/laminafs/lamina/tree"
)

// xattrs plans the extended attributes of the whole image: which are stored once and where.
type xattrs struct {
	prefixes []disk.LongPrefix
	shared   map[tree.Xattr]uint32 // attribute → id, in units of 4 bytes from the start of the shared area
	order    []tree.Xattr          // shared ones in the order of their ids
	size     int64                 // of the shared area
	dropped  int                   // attributes in namespaces that EROFS does not have
	used     bool                  // any attribute at all
}

func parsePrefixes(names []string) []disk.LongPrefix {
	var p []disk.LongPrefix
	for _, n := range names {
		index, rest, _ := disk.SplitXattr(n) // Validate saw that it splits
		p = append(p, disk.LongPrefix{BaseIndex: index, Infix: rest})
	}
	return p
}

// share counts the attributes of all inodes and gives an id to those which at least min of them have.
func (x *xattrs) share(inodes []*tree.Node, min int) {
	if min < 0 {
		return
	}
	count := make(map[tree.Xattr]int)
	for _, n := range inodes {
		for _, a := range n.Xattrs {
			count[a]++
		}
	}
	x.shared = make(map[tree.Xattr]uint32)
	for _, n := range inodes {
		for _, a := range n.Xattrs {
			if count[a] < max(min, 2) {
				continue
			}
			if _, ok := x.shared[a]; ok {
				continue
			}
			e, _, ok := x.entry(a)
			if !ok {
				continue
			}
			x.shared[a] = uint32(x.size / disk.XattrAlign)
			x.order = append(x.order, a)
			x.size += e.Size()
		}
	}
}

// entry splits the name of an attribute: the longest long prefix that fits, else a short one.
func (x *xattrs) entry(a tree.Xattr) (e disk.XattrEntry, rest string, ok bool) {
	index, rest, ok := disk.SplitXattr(a.Name)
	if !ok {
		return e, "", false
	}
	base, best := rest, -1
	for i, p := range x.prefixes {
		if p.BaseIndex == index && strings.HasPrefix(base, p.Infix) && len(base)-len(p.Infix) < len(rest) {
			best, rest = i, base[len(p.Infix):]
		}
	}
	e = disk.XattrEntry{NameLen: uint8(len(rest)), NameIndex: index, ValueSize: uint16(len(a.Value))}
	if best >= 0 {
		e.NameIndex = disk.XattrLongPrefix | uint8(best)
	}
	return e, rest, len(rest) <= 255 && len(a.Value) <= 1<<16-1
}

// fits refuses what the format cannot hold; stored is false for attributes of namespaces that it does not
// have.
func (x *xattrs) fits(a tree.Xattr) (stored bool, err error) {
	_, rest, known := disk.SplitXattr(a.Name)
	switch {
	case !known:
		return false, nil
	case len(a.Value) > 1<<16-1:
		return false, fmt.Errorf("xattr %q: %d bytes: a value has at most 65535", a.Name, len(a.Value))
	case len(rest) > 255:
		return false, fmt.Errorf("xattr %.40q…: name of %d bytes: more than 255 behind the prefix", a.Name, len(rest))
	}
	return true, nil
}

// countDropped counts the attributes that will not be stored.
func (x *xattrs) countDropped(list []tree.Xattr) {
	for _, a := range list {
		if stored, err := x.fits(a); !stored && err == nil {
			x.dropped++
		}
	}
}

// append appends one entry with name, value and padding.
func (x *xattrs) append(b []byte, a tree.Xattr) []byte {
	e, rest, _ := x.entry(a)
	start := len(b)
	b = append(b, 0, 0, 0, 0)
	e.Encode((*[disk.XattrEntrySize]byte)(b[start:]))
	b = append(b, rest...)
	b = append(b, a.Value...)
	for (len(b)-start)%disk.XattrAlign != 0 {
		b = append(b, 0)
	}
	return b
}

// area appends the inline area of an inode to b: header, shared ids, entries. The ids count from base.
func (x *xattrs) area(b []byte, list []tree.Xattr, print *fingerprint, base uint32) ([]byte, error) {
	start := len(b)
	h := disk.XattrHeader{NameFilter: 1<<32 - 1}
	b = append(b, make([]byte, disk.XattrHeaderSize)...)
	inline := make([]tree.Xattr, 0, 8)
	kept := 0
	for _, a := range list {
		if stored, err := x.fits(a); err != nil {
			return b[:start], err
		} else if !stored {
			continue
		}
		kept++
		index, rest, _ := disk.SplitXattr(a.Name)
		h.NameFilter &^= disk.XattrFilterBit(index, rest)
		if id, ok := x.shared[a]; ok && h.SharedCount < disk.XattrMaxShared {
			h.SharedCount++
			id += base
			b = append(b, byte(id), byte(id>>8), byte(id>>16), byte(id>>24))
		} else {
			inline = append(inline, a)
		}
	}
	if kept == 0 && print == nil {
		return b[:start], nil
	}
	if print != nil {
		h.NameFilter &^= disk.XattrFilterBit(disk.XattrIndexNone, disk.FingerprintName)
		b = x.appendFingerprint(b, print)
	}
	for _, a := range inline {
		b = x.append(b, a)
	}
	h.Encode((*[disk.XattrHeaderSize]byte)(b[start:]))
	if n := len(b) - start; n > disk.XattrMaxArea {
		return b[:start], fmt.Errorf("xattrs: %d bytes: an inode has at most %d", n, disk.XattrMaxArea)
	}
	x.used = true
	return b, nil
}
