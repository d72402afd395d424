package microlzma

// run decodes symbols while the next byte of the input is at limit or before and dst is not full. Behind
// limit there are inputMargin bytes.
func (d *decoder) run(in []byte, limit int) error {
	c, op, st := d.coder, d.op, d.state
	rep0, rep1, rep2, rep3 := d.rep[0], d.rep[1], d.rep[2], d.rep[3]
	dst, pbMask, m := d.dst, d.pbMask, &d.model
	var err error
	for op < len(dst) && c.pos <= limit {
		var bit bool
		posState := uint32(op) & pbMask & (posStates - 1)
		c = c.normal(in)
		if c, bit = c.bit(&m.isMatch[st%16%numStates][posState]); !bit {
			prev := uint32(0)
			if op > 0 {
				prev = uint32(dst[op-1])
			}
			at := (uint32(op)&d.lpMask<<8 + prev) >> (8 - d.lc) * literalSize
			probs := (*[literalSize]uint16)(m.literal[at : at+literalSize])
			if st < litStates {
				m := int64(1)
				for range 8 {
					c = c.normal(in)
					c, m = c.node(&probs[m&0xff], m)
				}
				dst[op] = byte(m)
			} else {
				c, dst[op] = c.matchedLiteral(probs, dst[op-int(rep0)-1], in)
			}
			op++
			st = states[st%16].literal
			continue
		}
		var length uint32
		c = c.normal(in)
		if c, bit = c.bit(&m.isRep[st%16]); !bit {
			rep3, rep2, rep1 = rep2, rep1, rep0
			c, length = m.matchLen.decode(c, posState, in)
			c, rep0 = m.distance(c, length, in)
			st = states[st%16].match
		} else {
			c = c.normal(in)
			if c, bit = c.bit(&m.isRepG0[st%16]); !bit {
				c = c.normal(in)
				if c, bit = c.bit(&m.isRep0Long[st%16%numStates][posState]); !bit {
					if uint(rep0) >= uint(op) {
						err = errDistance
						break
					}
					dst[op] = dst[op-int(rep0)-1]
					op++
					st = states[st%16].shortRep
					continue
				}
			} else {
				dist := rep1
				c = c.normal(in)
				if c, bit = c.bit(&m.isRepG1[st%16]); bit {
					dist = rep2
					c = c.normal(in)
					if c, bit = c.bit(&m.isRepG2[st%16]); bit {
						dist, rep3 = rep3, rep2
					}
					rep2 = rep1
				}
				rep1, rep0 = rep0, dist
			}
			c, length = m.repLen.decode(c, posState, in)
			st = states[st%16].rep
		}
		if uint(rep0) >= uint(min(op, d.dict)) {
			err = errDistance
			break
		}
		op += copyMatch(dst, op, int(rep0)+1, int(length))
	}
	d.coder, d.op, d.state = c, op, st
	d.rep = [4]uint32{rep0, rep1, rep2, rep3}
	return err
}

// matchedLiteral decodes a literal behind a match. As long as its bits are those of the byte at rep0, each has
// the probability of that bit's value; from the first other one on they are those of a plain literal.
func (c coder) matchedLiteral(probs *[literalSize]uint16, match byte, in []byte) (coder, byte) {
	m, offset, b := int64(1), int64(0x100), int64(match)
	for m < 0x100 {
		b <<= 1
		bit := b & offset
		c = c.normal(in)
		c, m = c.node(&probs[offset+bit+m], m)
		offset &= bit ^ (m&1 - 1)
	}
	return c, byte(m)
}

// decode decodes a length.
func (l *lenModel) decode(c coder, posState uint32, in []byte) (coder, uint32) {
	var bit bool
	m := int64(1)
	c = c.normal(in)
	if c, bit = c.bit(&l.choice); !bit {
		for range 3 {
			c = c.normal(in)
			c, m = c.node(&l.low[posState%posStates][m%lenLow], m)
		}
		return c, uint32(m - lenLow + minMatch)
	}
	c = c.normal(in)
	if c, bit = c.bit(&l.choice2); !bit {
		for range 3 {
			c = c.normal(in)
			c, m = c.node(&l.mid[posState%posStates][m%lenLow], m)
		}
		return c, uint32(m + minMatch)
	}
	for range 8 {
		c = c.normal(in)
		c, m = c.node(&l.high[m%lenHigh], m)
	}
	return c, uint32(m - lenHigh + 2*lenLow + minMatch)
}

// distance decodes the distance - 1 of a match.
func (m *model) distance(c coder, length uint32, in []byte) (coder, uint32) {
	tree := &m.slot[min(length-minMatch, lenStates-1)]
	slot := int64(1)
	for range 6 {
		c = c.normal(in)
		c, slot = c.node(&tree[slot%slots], slot)
	}
	slot -= slots
	if slot < firstSlot {
		return c, uint32(slot)
	}
	bits := slot/2 - 1
	dist := (2 | slot&1) << bits
	if slot < alignSlot {
		base, n := int64(specialTree(uint32(slot), uint32(dist))), int64(1)
		for i := range bits {
			c = c.normal(in)
			c, n = c.node(&m.special[(base+n)%fullDistances], n)
			dist += n & 1 << i
		}
		return c, uint32(dist)
	}
	for range bits - alignBits {
		c = c.normal(in)
		c.rng >>= 1
		c.code -= c.rng
		zero := c.code >> 63
		c.code += c.rng & zero
		dist += (1 + zero) << (bits - 1)
		bits--
	}
	n := int64(1)
	for i := range alignBits {
		c = c.normal(in)
		c, n = c.node(&m.align[n%alignSize], n)
		dist += n & 1 << i
	}
	return c, uint32(dist)
}

// copyMatch copies a match to dst[op:], or as much of it as there is room, and returns how much. It may write
// further than that.
func copyMatch(dst []byte, op, distance, length int) int {
	src, end := op-distance, op+length
	if end > len(dst)-16 || distance < 8 {
		return copyNear(dst, op, distance, length)
	}
	if distance >= 16 {
		for ; op < end; op, src = op+16, src+16 {
			*(*[16]byte)(dst[op:]) = *(*[16]byte)(dst[src:])
		}
		return length
	}
	for ; op < end; op, src = op+8, src+8 {
		*(*[8]byte)(dst[op:]) = *(*[8]byte)(dst[src:])
	}
	return length
}

// copyNear is copyMatch where the match repeats itself at once, or ends near the end of dst.
func copyNear(dst []byte, op, distance, length int) int {
	length = min(length, len(dst)-op)
	for src, end := op-distance, op+length; op < end; {
		op += copy(dst[op:end], dst[src:op])
	}
	return length
}
