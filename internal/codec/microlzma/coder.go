package microlzma

import "encoding/binary"

// coder is the range decoder: a value that the loop keeps in registers. Its methods are small enough to be inlined,
// so normal is to be called before bit and node. All numbers are of 32 bits, but differences have a sign.
type coder struct {
	rng, code int64
	pos       int // next byte of the input
}

// startCoder takes the first bytes of a stream of rangeBytes or more.
func startCoder(src []byte) coder {
	return coder{rng: 1<<32 - 1, code: int64(binary.BigEndian.Uint32(src[1:])), pos: rangeBytes}
}

// normal makes the range large enough for a bit.
func (c coder) normal(in []byte) coder {
	if c.rng < topValue {
		c.rng <<= 8
		c.code = c.code<<8 | int64(in[c.pos])
		c.pos++
	}
	return c
}

// ended tells whether the stream src ends here: all of it is read, and nothing is left in the coder (rc_is_finished of Linux).
func (c coder) ended(src []byte) bool {
	if c.rng < topValue && c.pos < len(src) {
		c = c.normal(src)
	}
	return c.code == 0 && c.rng >= topValue && c.pos == len(src)
}

// bit decodes a bit of probability p. It suits bits that can be foretold.
func (c coder) bit(p *uint16) (coder, bool) {
	v := int64(*p)
	bound := c.rng >> probBits * v
	if c.code < bound {
		*p = uint16(v + (1<<probBits-v)>>probMove)
		c.rng = bound
		return c, false
	}
	*p = uint16(v - v>>probMove)
	c.rng -= bound
	c.code -= bound
	return c, true
}

// node decodes a bit of probability p into a tree's node: 2*m or 2*m+1. It has no branches on the bit, since those of
// literals and lengths cannot be foretold.
func (c coder) node(p *uint16, m int64) (coder, int64) {
	v := int64(*p)
	bound := c.rng >> probBits * v
	c.code -= bound
	zero := c.code >> 63 // all ones if the bit is 0
	c.code += bound & zero
	c.rng = bound + (c.rng-2*bound)&^zero
	*p = uint16(v - (v-zero&(1<<probBits-1<<probMove+1))>>probMove)
	return c, m<<1 + 1 + zero
}
