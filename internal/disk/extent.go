package disk

import "encoding/binary"

// Lengths of the four forms of an encoded extent (section 7.4): how much of it is stored. An array of
// records of r bytes starts at a multiple of r behind the map header; with r = 4 the base address
// precedes it in 8 bytes.
const (
	Extent4Size  = 4
	Extent8Size  = 8
	Extent16Size = 16
	Extent32Size = 32

	ExtentBaseSize = 8
)

// Plen is the encoded length of an extent in bytes, with flags: bits 0-20 length, bit 27 partial
// reference, bits 28-31 format (0 stored, n+1 algorithm n). Length 0 is a hole.
type Plen uint32

// Parts of Plen.
const (
	PlenMask       Plen = 1<<21 - 1
	PlenPartialRef Plen = 1 << 27
	plenFormatBit       = 28
)

// MakePlen returns the plen of n bytes compressed by a.
func MakePlen(n uint32, a Algorithm) Plen { return Plen(n)&PlenMask | Plen(a+1)<<plenFormatBit }

// Len returns the encoded length in bytes, 0 for a hole.
func (p Plen) Len() uint32 { return uint32(p & PlenMask) }

// Algorithm returns how the bytes are compressed, ok = false if they are stored.
func (p Plen) Algorithm() (a Algorithm, ok bool) {
	f := p >> plenFormatBit
	return Algorithm(f - 1), f != 0
}

// Extent is struct z_erofs_extent: 00 plen, 04 pstart_lo, 08 pstart_hi, 0C lstart_lo, 10 lstart_hi,
// 14 reserved (12). The record sizes 4, 8, 16 and 32 are prefixes of it.
type Extent struct {
	Plen     Plen
	Pstart   uint64 // byte address of the data
	Lstart   uint64 // offset in the file
	Reserved [12]byte
}

// FragmentOff returns where the tail of the file lies in the packed inode: what the last extent says
// when the map header has AdviseFragment.
func (e *Extent) FragmentOff() uint64 { return uint64(e.Plen) | e.Pstart<<32 }

// Decode8 fills Plen and a 32-bit Pstart.
func (e *Extent) Decode8(b *[Extent8Size]byte) {
	e.Plen = Plen(binary.LittleEndian.Uint32(b[0:]))
	e.Pstart = uint64(binary.LittleEndian.Uint32(b[4:]))
}

// Encode8 writes Plen and the low word of Pstart.
func (e *Extent) Encode8(b *[Extent8Size]byte) {
	binary.LittleEndian.PutUint32(b[0:], uint32(e.Plen))
	binary.LittleEndian.PutUint32(b[4:], uint32(e.Pstart))
}

// Decode16 fills Plen, Pstart and a 32-bit Lstart.
func (e *Extent) Decode16(b *[Extent16Size]byte) {
	e.Plen = Plen(binary.LittleEndian.Uint32(b[0:]))
	e.Pstart = binary.LittleEndian.Uint64(b[4:])
	e.Lstart = uint64(binary.LittleEndian.Uint32(b[12:]))
}

// Encode16 writes Plen, Pstart and the low word of Lstart.
func (e *Extent) Encode16(b *[Extent16Size]byte) {
	binary.LittleEndian.PutUint32(b[0:], uint32(e.Plen))
	binary.LittleEndian.PutUint64(b[4:], e.Pstart)
	binary.LittleEndian.PutUint32(b[12:], uint32(e.Lstart))
}

// Decode32 fills e.
func (e *Extent) Decode32(b *[Extent32Size]byte) {
	e.Plen = Plen(binary.LittleEndian.Uint32(b[0:]))
	e.Pstart = binary.LittleEndian.Uint64(b[4:])
	e.Lstart = binary.LittleEndian.Uint64(b[12:])
	copy(e.Reserved[:], b[20:])
}

// Encode32 writes e.
func (e *Extent) Encode32(b *[Extent32Size]byte) {
	binary.LittleEndian.PutUint32(b[0:], uint32(e.Plen))
	binary.LittleEndian.PutUint64(b[4:], e.Pstart)
	binary.LittleEndian.PutUint64(b[12:], e.Lstart)
	copy(b[20:], e.Reserved[:])
}
