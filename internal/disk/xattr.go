package disk

import (
	"encoding/binary"
	"math/bits"
)

// Lengths of the parts of an xattr area (section 5).
const (
	XattrHeaderSize = 12 // then 4 bytes for each shared id, then the entries
	XattrEntrySize  = 4  // then name and value, padded to XattrAlign
	XattrAlign      = 4
	XattrMaxArea    = XattrHeaderSize + 4*(1<<16-2) // what i_xattr_icount can express
	XattrMaxShared  = 255
)

// XattrHeader is struct erofs_xattr_ibody_header: 00 name_filter, 04 shared_count, 05 reserved (7).
type XattrHeader struct {
	NameFilter  uint32
	SharedCount uint8
	Reserved    [7]byte
}

// Decode fills h from its bytes.
func (h *XattrHeader) Decode(b *[XattrHeaderSize]byte) {
	h.NameFilter = binary.LittleEndian.Uint32(b[0:])
	h.SharedCount = b[4]
	copy(h.Reserved[:], b[5:])
}

// Encode writes h.
func (h *XattrHeader) Encode(b *[XattrHeaderSize]byte) {
	binary.LittleEndian.PutUint32(b[0:], h.NameFilter)
	b[4] = h.SharedCount
	copy(b[5:], h.Reserved[:])
}

// XattrEntry is struct erofs_xattr_entry: 00 name_len, 01 name_index, 02 value_size.
type XattrEntry struct {
	NameLen   uint8
	NameIndex uint8 // prefix; with XattrLongPrefix the number of a long prefix
	ValueSize uint16
}

// Decode fills e from its bytes.
func (e *XattrEntry) Decode(b *[XattrEntrySize]byte) {
	e.NameLen, e.NameIndex = b[0], b[1]
	e.ValueSize = binary.LittleEndian.Uint16(b[2:])
}

// Encode writes e.
func (e *XattrEntry) Encode(b *[XattrEntrySize]byte) {
	b[0], b[1] = e.NameLen, e.NameIndex
	binary.LittleEndian.PutUint16(b[2:], e.ValueSize)
}

// Size returns the length of the entry with name, value and padding.
func (e *XattrEntry) Size() int64 {
	return Align(XattrEntrySize+int64(e.NameLen)+int64(e.ValueSize), XattrAlign)
}

// XattrAreaSize returns the length of the inline area that i_xattr_icount describes. A count of 1 is
// undefined; the kernel fails with EOPNOTSUPP on it.
func XattrAreaSize(icount uint16) int64 {
	if icount == 0 {
		return 0
	}
	return XattrHeaderSize + 4*(int64(icount)-1)
}

// XattrICount is the inverse of XattrAreaSize for a length that is 0 or a multiple of 4 from 16 to
// XattrMaxArea.
func XattrICount(area int64) uint16 {
	if area == 0 {
		return 0
	}
	return uint16((area-XattrHeaderSize)/4 + 1)
}

// The short prefixes of xattr names: what XattrEntry.NameIndex says.
const (
	XattrIndexNone       = 0 // hidden: never listed
	XattrIndexUser       = 1
	XattrIndexACLAccess  = 2
	XattrIndexACLDefault = 3
	XattrIndexTrusted    = 4
	XattrIndexLustre     = 5 // reserved, ignored by Linux
	XattrIndexSecurity   = 6

	XattrLongPrefix     = 0x80 // bit of NameIndex
	XattrLongPrefixMask = 0x7F
)

var xattrPrefixes = [...]string{
	XattrIndexUser:       "user.",
	XattrIndexACLAccess:  "system.posix_acl_access",
	XattrIndexACLDefault: "system.posix_acl_default",
	XattrIndexTrusted:    "trusted.",
	XattrIndexSecurity:   "security.",
}

// XattrPrefix returns the prefix of a short index, ok = false if Linux knows no such index.
func XattrPrefix(index uint8) (prefix string, ok bool) {
	if int(index) < len(xattrPrefixes) && xattrPrefixes[index] != "" {
		return xattrPrefixes[index], true
	}
	return "", false
}

// SplitXattr cuts a full name into the index of its short prefix and the rest; ok = false if no prefix
// fits, which means that EROFS cannot store the attribute. ACL names leave an empty rest.
func SplitXattr(name string) (index uint8, rest string, ok bool) {
	for i, p := range xattrPrefixes {
		if p == "" || len(name) < len(p) || name[:len(p)] != p {
			continue
		}
		if rest = name[len(p):]; (i == XattrIndexACLAccess || i == XattrIndexACLDefault) != (rest == "") {
			continue
		}
		return uint8(i), rest, true
	}
	return 0, "", false
}

// FingerprintName is the long prefix, without a short one, under which mkfs.erofs stores fingerprints of files for
// sharing the page cache (section 5.6), FingerprintSHA256 what stands before the 32 bytes of the digest.
const (
	FingerprintName   = "erofs.fingerprint.v1"
	FingerprintSHA256 = "sha256:"
)

const xattrFilterSeed = 0x25BBE08F

// XattrFilterBit returns the bit of the name filter that an attribute clears: its name after the short
// prefix, hashed by xxh32 (erofs_xattr_filter_bit in fs/erofs/xattr.c, Linux 6.6).
func XattrFilterBit(index uint8, rest string) uint32 {
	return 1 << (xxh32(rest, xattrFilterSeed+uint32(index)) & 31)
}

// LongPrefix is an entry of the table of long prefixes: u16 size, u8 base_index, infix of size-1
// bytes, padded to 4. The full name is the short prefix base_index + infix + the rest.
type LongPrefix struct {
	BaseIndex uint8
	Infix     string
}

// LongPrefixMax bounds the table, LongPrefixMaxInfix an infix.
const (
	LongPrefixMax      = 128
	LongPrefixMaxInfix = 255
)

// Decode fills p from the bytes of an entry behind its size: 1 to 1+LongPrefixMaxInfix of them.
func (p *LongPrefix) Decode(b []byte) { p.BaseIndex, p.Infix = b[0], string(b[1:]) }

// Append appends the encoded entry to b.
func (p *LongPrefix) Append(b []byte) []byte {
	start := len(b)
	b = binary.LittleEndian.AppendUint16(b, uint16(1+len(p.Infix)))
	b = append(b, p.BaseIndex)
	b = append(b, p.Infix...)
	for (len(b)-start)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

// xxh32 is the 32-bit xxHash (https://github.com/Cyan4973/xxHash, doc/xxhash_spec.md).
func xxh32(s string, seed uint32) uint32 {
	const p1, p2, p3, p4, p5 = 2654435761, 2246822519, 3266489917, 668265263, 374761393
	word := func(i int) uint32 {
		return uint32(s[i]) | uint32(s[i+1])<<8 | uint32(s[i+2])<<16 | uint32(s[i+3])<<24
	}
	h, i := seed+p5, 0
	if len(s) >= 16 {
		v := [4]uint32{seed + p1, seed, seed, seed}
		v[0] += p2
		v[1] += p2
		v[3] -= p1
		for ; i+16 <= len(s); i += 16 {
			for l := range v {
				v[l] = bits.RotateLeft32(v[l]+word(i+4*l)*p2, 13) * p1
			}
		}
		h = bits.RotateLeft32(v[0], 1) + bits.RotateLeft32(v[1], 7) + bits.RotateLeft32(v[2], 12) + bits.RotateLeft32(v[3], 18)
	}
	h += uint32(len(s))
	for ; i+4 <= len(s); i += 4 {
		h = bits.RotateLeft32(h+word(i)*p3, 17) * p4
	}
	for ; i < len(s); i++ {
		h = bits.RotateLeft32(h+uint32(s[i])*p5, 11) * p1
	}
	h = (h ^ h>>15) * p2
	h = (h ^ h>>13) * p3
	return h ^ h>>16
}
