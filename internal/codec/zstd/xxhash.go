package zstd

import (
	"encoding/binary"
	"math/bits"
)

// checksum is XXH64 with the seed 0, the lower half of which follows the last block of a frame. RFC 8878, 3.1.1; xxHash, the
// description of its algorithm, version 0.1.1.
type checksum struct {
	lanes [4]uint64
	total uint64
	rest  [32]byte // total%32 bytes that are not in lanes
}

const (
	prime1 uint64 = 0x9E3779B185EBCA87
	prime2 uint64 = 0xC2B2AE3D27D4EB4F
	prime3 uint64 = 0x165667B19E3779F9
	prime4 uint64 = 0x85EBCA77C2B2AE63
	prime5 uint64 = 0x27D4EB2F165667C5
)

func (c *checksum) reset() {
	p1, p2 := prime1, prime2
	*c = checksum{lanes: [4]uint64{p1 + p2, p2, 0, -p1}}
}

func lane(acc, v uint64) uint64 { return bits.RotateLeft64(acc+v*prime2, 31) * prime1 }

// update takes b in.
func (c *checksum) update(b []byte) {
	n := int(c.total % 32)
	c.total += uint64(len(b))
	if n > 0 {
		k := copy(c.rest[n:], b)
		b = b[k:]
		if n+k < 32 {
			return
		}
		c.blocks(c.rest[:])
	}
	whole := len(b) &^ 31
	c.blocks(b[:whole])
	copy(c.rest[:], b[whole:])
}

// generic is blocks, which takes blocks of 32 bytes in, in Go.
func (c *checksum) generic(b []byte) {
	v0, v1, v2, v3 := c.lanes[0], c.lanes[1], c.lanes[2], c.lanes[3]
	for len(b) >= 32 {
		x := (*[32]byte)(b)
		v0 = lane(v0, binary.LittleEndian.Uint64(x[:]))
		v1 = lane(v1, binary.LittleEndian.Uint64(x[8:]))
		v2 = lane(v2, binary.LittleEndian.Uint64(x[16:]))
		v3 = lane(v3, binary.LittleEndian.Uint64(x[24:]))
		b = b[32:]
	}
	c.lanes = [4]uint64{v0, v1, v2, v3}
}

// sum returns the checksum of what was taken in.
func (c *checksum) sum() uint64 {
	h := prime5
	if l := c.lanes; c.total >= 32 {
		h = bits.RotateLeft64(l[0], 1) + bits.RotateLeft64(l[1], 7) + bits.RotateLeft64(l[2], 12) + bits.RotateLeft64(l[3], 18)
		for _, v := range l {
			h = (h^lane(0, v))*prime1 + prime4
		}
	}
	h += c.total
	b := c.rest[:c.total%32]
	for ; len(b) >= 8; b = b[8:] {
		h = bits.RotateLeft64(h^lane(0, binary.LittleEndian.Uint64(b)), 27)*prime1 + prime4
	}
	if len(b) >= 4 {
		h = bits.RotateLeft64(h^uint64(binary.LittleEndian.Uint32(b))*prime1, 23)*prime2 + prime3
		b = b[4:]
	}
	for _, v := range b {
		h = bits.RotateLeft64(h^uint64(v)*prime5, 11) * prime1
	}
	h = (h ^ h>>33) * prime2
	h = (h ^ h>>29) * prime3
	return h ^ h>>32
}
