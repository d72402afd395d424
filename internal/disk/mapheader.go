package disk

import "encoding/binary"

// MapHeaderSize is the length of the header of a compressed inode; it is also its alignment.
const MapHeaderSize = 8

// Advise is h_advise. Bits 0 to 2 mean different things in the two layouts (section 7.3).
type Advise uint16

// Bits of Advise.
const (
	AdviseCompacted2B  Advise = 0x01 // CompressedCompact: packs of 2-byte entries occur
	AdviseExtents      Advise = 0x01 // CompressedFull with 48BIT: encoded extents instead of lclusters
	AdviseBigPcluster1 Advise = 0x02 // HEAD1 pclusters may have several blocks
	AdviseBigPcluster2 Advise = 0x04 // HEAD2 and PLAIN pclusters may have several blocks
	AdviseInline       Advise = 0x08 // the last pcluster lies behind the index (ztailpacking)
	AdviseInterlaced   Advise = 0x10 // stored data wraps around in its block
	AdviseFragment     Advise = 0x20 // the tail lies in the packed inode

	AdviseKnown Advise = 0x3F
)

// UsesExtents tells whether encoded extents describe the file (section 7.4).
func (a Advise) UsesExtents(l Layout) bool { return l == CompressedFull && a&AdviseExtents != 0 }

// RecordSize returns the length of an encoded extent: 4, 8, 16 or 32 bytes. Only with UsesExtents.
func (a Advise) RecordSize() int64 { return 4 << (a >> 1 & 3) }

// AdviseRecordSize is the inverse of RecordSize, with AdviseExtents set; ok = false for other sizes.
func AdviseRecordSize(size int) (a Advise, ok bool) {
	exp, ok := Log2(size)
	if !ok || exp < 2 || exp > 5 {
		return 0, false
	}
	return AdviseExtents | Advise(exp-2)<<1, true
}

// MapHeader is struct z_erofs_map_header (section 7.3), behind inode and xattrs.
//
//	00 fragmentoff, or reserved (2) and idata_size (2), or the low word of the extent count
//	04 advise (2)   06 algorithmtype   07 clusterbits   06 also: the high 2 bytes of the extent count
//
// With bit 63 set, the 8 bytes are one number: the offset of the whole file in the packed inode.
type MapHeader struct {
	Word      uint32 // FragmentOff, IdataSize or the low word of ExtentCount
	Advise    Advise
	Algorithm uint8 // low nibble HEAD1, high nibble HEAD2
	Cluster   uint8 // bits 0-3 lclusterbits-blkszbits, bit 7 whole file in the packed inode
}

const clusterWholeFragment = 0x80

// Decode fills h from its bytes.
func (h *MapHeader) Decode(b *[MapHeaderSize]byte) {
	h.Word = binary.LittleEndian.Uint32(b[0:])
	h.Advise = Advise(binary.LittleEndian.Uint16(b[4:]))
	h.Algorithm, h.Cluster = b[6], b[7]
}

// Encode writes h.
func (h *MapHeader) Encode(b *[MapHeaderSize]byte) {
	binary.LittleEndian.PutUint32(b[0:], h.Word)
	binary.LittleEndian.PutUint16(b[4:], uint16(h.Advise))
	b[6], b[7] = h.Algorithm, h.Cluster
}

// WholeFragment returns the offset of the file in the packed inode, ok = false if the file is not
// stored there as a whole. With ok, no other field of the header has a meaning.
func (h *MapHeader) WholeFragment() (off uint64, ok bool) {
	if h.Cluster&clusterWholeFragment == 0 {
		return 0, false
	}
	return uint64(h.Word) | uint64(h.Advise)<<32 | uint64(h.Algorithm)<<48 |
		uint64(h.Cluster&^clusterWholeFragment)<<56, true
}

// WholeFragmentHeader returns the header of a file that lies at off of the packed inode, below 1<<63.
func WholeFragmentHeader(off uint64) MapHeader {
	return MapHeader{
		Word: uint32(off), Advise: Advise(off >> 32), Algorithm: uint8(off >> 48),
		Cluster: uint8(off>>56) | clusterWholeFragment,
	}
}

// FragmentOff returns the low 32 bits of the offset of the tail in the packed inode (AdviseFragment).
func (h *MapHeader) FragmentOff() uint32 { return h.Word }

// IdataSize returns the encoded length of the inline pcluster (AdviseInline).
func (h *MapHeader) IdataSize() uint16 { return uint16(h.Word >> 16) }

// SetIdataSize is the inverse of IdataSize.
func (h *MapHeader) SetIdataSize(n uint16) { h.Word = uint32(n) << 16 }

// Head1 returns the algorithm of HEAD1 lclusters.
func (h *MapHeader) Head1() Algorithm { return Algorithm(h.Algorithm & 0xF) }

// Head2 returns the algorithm of HEAD2 lclusters.
func (h *MapHeader) Head2() Algorithm { return Algorithm(h.Algorithm >> 4) }

// LclusterBits returns log2 of the bytes of an lcluster, at most blockBits+15.
func (h *MapHeader) LclusterBits(blockBits uint8) uint8 { return blockBits + h.Cluster&0xF }

// ExtentCount returns how many encoded extents of 16 or 32 bytes follow; with smaller ones there is one
// extent for each lcluster. The count takes the place of Algorithm and Cluster.
func (h *MapHeader) ExtentCount() uint64 {
	return uint64(h.Word) | uint64(h.Algorithm)<<32 | uint64(h.Cluster)<<40
}

// SetExtentCount is the inverse of ExtentCount for n below 1<<47.
func (h *MapHeader) SetExtentCount(n uint64) {
	h.Word, h.Algorithm, h.Cluster = uint32(n), uint8(n>>32), uint8(n>>40)
}
