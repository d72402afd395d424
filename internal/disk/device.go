package disk

import "encoding/binary"

// DeviceSize is the length of a device slot and the unit of devt_slotoff.
const DeviceSize = 128

// Device is struct erofs_deviceslot (section 6): 00 tag (64), 40 blocks_lo, 44 uniaddr_lo, 48
// blocks_hi (2), 4A uniaddr_hi (2), 4C reserved (52). The high halves count with 48BIT only.
type Device struct {
	Tag       [64]byte
	BlocksLo  uint32
	UniAddrLo uint32
	BlocksHi  uint16
	UniAddrHi uint16
	Reserved  [52]byte
}

// Decode fills d from its bytes.
func (d *Device) Decode(b *[DeviceSize]byte) {
	le := binary.LittleEndian
	copy(d.Tag[:], b[0x00:])
	d.BlocksLo = le.Uint32(b[0x40:])
	d.UniAddrLo = le.Uint32(b[0x44:])
	d.BlocksHi = le.Uint16(b[0x48:])
	d.UniAddrHi = le.Uint16(b[0x4A:])
	copy(d.Reserved[:], b[0x4C:])
}

// Encode writes d.
func (d *Device) Encode(b *[DeviceSize]byte) {
	le := binary.LittleEndian
	copy(b[0x00:0x40], d.Tag[:])
	le.PutUint32(b[0x40:], d.BlocksLo)
	le.PutUint32(b[0x44:], d.UniAddrLo)
	le.PutUint16(b[0x48:], d.BlocksHi)
	le.PutUint16(b[0x4A:], d.UniAddrHi)
	copy(b[0x4C:0x80], d.Reserved[:])
}

// Blocks returns the length of the device in blocks.
func (d *Device) Blocks(in Incompat) uint64 { return wide(d.BlocksLo, d.BlocksHi, in) }

// UniAddr returns the first block of the device in the unified address space, 0 if it has no place there.
func (d *Device) UniAddr(in Incompat) uint64 { return wide(d.UniAddrLo, d.UniAddrHi, in) }

func wide(lo uint32, hi uint16, in Incompat) uint64 {
	if in&Has48Bit != 0 {
		return uint64(hi)<<32 | uint64(lo)
	}
	return uint64(lo)
}
