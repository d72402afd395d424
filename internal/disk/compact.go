package disk

import "encoding/binary"

// A compact index (section 7.4) is a row of packs. A pack holds entries of a type and a number, as one
// little-endian string of bits, and then the base block in 4 bytes:
//
//	4-byte pack:  2 entries of 16 bits + base =  8 bytes
//	2-byte pack: 16 entries of 14 bits + base = 32 bytes, only if lclusterbits <= 12
const (
	Compact4Size    = 8
	Compact4Entries = 2
	Compact2Size    = 32
	Compact2Entries = 16

	compact4Bits = 16
	compact2Bits = 14
)

// CompactMaxLclusterBits bounds the lclusters of a compact index, Compact2MaxLclusterBits those with
// 2-byte packs: the number of an entry must fit beside its type.
const (
	CompactMaxLclusterBits  = 14
	Compact2MaxLclusterBits = 12
)

// CompactEntry is an lcluster in a pack. Lo is clusterofs of a head; of NONHEAD the distance to the
// head before it or a block count, but the distance to the next head in the last entry of a pack.
type CompactEntry struct {
	Type LclusterType
	Lo   uint16
}

// Compact4 is a pack of two entries.
type Compact4 struct {
	Entries [Compact4Entries]CompactEntry
	Base    uint32
}

// Compact2 is a pack of sixteen entries.
type Compact2 struct {
	Entries [Compact2Entries]CompactEntry
	Base    uint32
}

// compactLoBits is the width of Lo.
func compactLoBits(lclusterBits uint8) uint { return uint(max(lclusterBits, 12)) }

// Decode fills p from its bytes; lclusterBits is at most CompactMaxLclusterBits.
func (p *Compact4) Decode(b *[Compact4Size]byte, lclusterBits uint8) {
	decodePack(p.Entries[:], b[:Compact4Size-4], compact4Bits, compactLoBits(lclusterBits))
	p.Base = binary.LittleEndian.Uint32(b[Compact4Size-4:])
}

// Encode writes p; lclusterBits is at most CompactMaxLclusterBits.
func (p *Compact4) Encode(b *[Compact4Size]byte, lclusterBits uint8) {
	encodePack(b[:Compact4Size-4], p.Entries[:], compact4Bits, compactLoBits(lclusterBits))
	binary.LittleEndian.PutUint32(b[Compact4Size-4:], p.Base)
}

// Decode fills p from its bytes. The lclusters have at most Compact2MaxLclusterBits.
func (p *Compact2) Decode(b *[Compact2Size]byte) {
	decodePack(p.Entries[:], b[:Compact2Size-4], compact2Bits, Compact2MaxLclusterBits)
	p.Base = binary.LittleEndian.Uint32(b[Compact2Size-4:])
}

// Encode writes p. The lclusters have at most Compact2MaxLclusterBits.
func (p *Compact2) Encode(b *[Compact2Size]byte) {
	encodePack(b[:Compact2Size-4], p.Entries[:], compact2Bits, Compact2MaxLclusterBits)
	binary.LittleEndian.PutUint32(b[Compact2Size-4:], p.Base)
}

// decodePack reads entries of width bits: lo, then the type above it.
func decodePack(es []CompactEntry, b []byte, width, loBits uint) {
	for i := range es {
		v := bitsAt(b, uint(i)*width) & (1<<width - 1)
		es[i] = CompactEntry{Type: LclusterType(v >> loBits & 3), Lo: uint16(v & (1<<loBits - 1))}
	}
}

func encodePack(b []byte, es []CompactEntry, width, loBits uint) {
	clear(b)
	for i, e := range es {
		pos := uint(i) * width
		v := (uint32(e.Type&3)<<loBits | uint32(e.Lo)&(1<<loBits-1)) << (pos & 7)
		for n := pos / 8; v != 0; n++ {
			b[n] |= byte(v)
			v >>= 8
		}
	}
}

// bitsAt returns up to 24 bits from bit pos of the string on; behind its end there are zeros.
func bitsAt(b []byte, pos uint) uint32 {
	var v uint32
	for i := range uint(4) {
		if n := pos/8 + i; n < uint(len(b)) {
			v |= uint32(b[n]) << (8 * i)
		}
	}
	return v >> (pos & 7)
}

// CompactShape is how the entries of a compact index are spread: Head4 of them in 4-byte packs up to a
// multiple of 32 bytes, In2 in 2-byte packs, Tail4 in 4-byte packs.
type CompactShape struct {
	Head4, In2, Tail4 uint64
}

// ShapeCompact returns the shape of an index of total entries whose first pack lies at byte start; two
// tells whether AdviseCompacted2B is set (z_erofs_load_compact_lcluster in fs/erofs/zmap.c).
func ShapeCompact(start int64, total uint64, two bool) CompactShape {
	head := uint64((Compact2Size-start%Compact2Size)/(Compact4Size/Compact4Entries)) & 7
	if !two || head >= total {
		return CompactShape{Tail4: total}
	}
	in2 := (total - head) &^ (Compact2Entries - 1)
	return CompactShape{Head4: head, In2: in2, Tail4: total - head - in2}
}

// Size returns the length of all packs; the last one may hold fewer entries than fit.
func (s CompactShape) Size() int64 {
	packs4 := (s.Head4+1)/Compact4Entries + (s.Tail4+1)/Compact4Entries
	return int64(packs4)*Compact4Size + int64(s.In2/Compact2Entries)*Compact2Size
}

// Pack returns the pack of entry i, below the total: where it lies behind the first pack, its index
// within the pack, and whether the pack is a 2-byte one.
func (s CompactShape) Pack(i uint64) (off int64, index int, two bool) {
	if i < s.Head4 {
		return int64(i/Compact4Entries) * Compact4Size, int(i % Compact4Entries), false
	}
	off = int64(s.Head4/Compact4Entries) * Compact4Size
	if i -= s.Head4; i < s.In2 {
		return off + int64(i/Compact2Entries)*Compact2Size, int(i % Compact2Entries), true
	}
	off += int64(s.In2/Compact2Entries) * Compact2Size
	i -= s.In2
	return off + int64(i/Compact4Entries)*Compact4Size, int(i % Compact4Entries), false
}
