package disk

import "encoding/binary"

// LclusterType is what an entry of a compression index is.
type LclusterType uint8

// The types of lclusters (section 7.4).
const (
	LclusterPlain   LclusterType = 0 // head of a stored pcluster
	LclusterHead1   LclusterType = 1 // head of a pcluster of the first algorithm
	LclusterNonhead LclusterType = 2
	LclusterHead2   LclusterType = 3 // head of a pcluster of the second algorithm
)

func (t LclusterType) String() string { return [...]string{"plain", "head1", "nonhead", "head2"}[t&3] }

// Bits of Lcluster.Advise besides the type in bits 0 and 1.
const (
	LclusterTypeMask   = 0x0003
	LclusterHole       = 0x4000 // the extent reads as zeros (Linux 7.2)
	LclusterPartialRef = 0x8000 // the extent uses only the beginning of a shared pcluster
)

// LclusterBlockCount marks Delta[0] of the first NONHEAD after a head as the length of the pcluster in
// blocks (CBLKCNT); LclusterMaxDelta is the largest distance that fits beside it.
const (
	LclusterBlockCount = 1 << 11
	LclusterMaxDelta   = LclusterBlockCount - 1
)

// LclusterSize is the length of an entry of the full index.
const LclusterSize = 8

// FullIndexPad separates the map header and the first entry of the full index: the entries start
// MapHeaderSize + FullIndexPad behind the aligned end of inode and xattrs.
const FullIndexPad = 8

// Lcluster is struct z_erofs_lcluster_index: 00 advise, 02 clusterofs, 04 block, or two deltas of 2
// bytes when the type is NONHEAD.
type Lcluster struct {
	Advise     uint16
	ClusterOfs uint16 // where in the lcluster the extent of a head starts
	Block      uint32 // of the pcluster of a head; for NONHEAD see Delta
}

// Decode fills l from its bytes.
func (l *Lcluster) Decode(b *[LclusterSize]byte) {
	l.Advise = binary.LittleEndian.Uint16(b[0:])
	l.ClusterOfs = binary.LittleEndian.Uint16(b[2:])
	l.Block = binary.LittleEndian.Uint32(b[4:])
}

// Encode writes l.
func (l *Lcluster) Encode(b *[LclusterSize]byte) {
	binary.LittleEndian.PutUint16(b[0:], l.Advise)
	binary.LittleEndian.PutUint16(b[2:], l.ClusterOfs)
	binary.LittleEndian.PutUint32(b[4:], l.Block)
}

// Type returns the type of the entry.
func (l *Lcluster) Type() LclusterType { return LclusterType(l.Advise & LclusterTypeMask) }

// Delta returns the distances to the head before and after a NONHEAD entry; the first may be a block
// count instead (BlockCount).
func (l *Lcluster) Delta() [2]uint16 { return [2]uint16{uint16(l.Block), uint16(l.Block >> 16)} }

// SetDelta is the inverse of Delta.
func (l *Lcluster) SetDelta(d [2]uint16) { l.Block = uint32(d[0]) | uint32(d[1])<<16 }

// BlockCount splits a first delta into the length of the pcluster in blocks, ok = false if it is a distance.
func BlockCount(delta uint16) (blocks uint16, ok bool) {
	if delta&LclusterBlockCount == 0 {
		return 0, false
	}
	return delta &^ LclusterBlockCount, true
}
