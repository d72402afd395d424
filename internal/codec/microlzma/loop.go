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
		if c, bit = c.bit(&m.isMatch[st%16%numStates][posState], in); !bit {
			prev := uint32(0)
			if op > 0 {
				prev = uint32(dst[op-1])
			}
			at := (uint32(op)&d.lpMask<<8 + prev) >> (8 - d.lc) * literalSize
			probs := (*[literalSize]uint16)(m.literal[at : at+literalSize])
			if st < litStates {
				c, dst[op] = c.literal(probs, in)
			} else {
				c, dst[op] = c.matchedLiteral(probs, dst[op-int(rep0)-1], in)
			}
			op++
			st = states[st%16].literal
			continue
		}
		var length uint32
		if c, bit = c.bit(&m.isRep[st%16], in); !bit {
			rep3, rep2, rep1 = rep2, rep1, rep0
			c, length = m.matchLen.decode(c, posState, in)
			c, rep0 = m.distance(c, length, in)
			st = states[st%16].match
		} else {
			if c, bit = c.bit(&m.isRepG0[st%16], in); !bit {
				if c, bit = c.bit(&m.isRep0Long[st%16%numStates][posState], in); !bit {
					if int(rep0) >= op {
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
				if c, bit = c.bit(&m.isRepG1[st%16], in); bit {
					dist = rep2
					if c, bit = c.bit(&m.isRepG2[st%16], in); bit {
						dist, rep3 = rep3, rep2
					}
					rep2 = rep1
				}
				rep1, rep0 = rep0, dist
			}
			c, length = m.repLen.decode(c, posState, in)
			st = states[st%16].rep
		}
		if int(rep0) >= op || int(rep0) >= d.dict {
			err = errDistance
			break
		}
		op += copyMatch(dst, op, int(rep0)+1, int(length))
	}
	d.coder, d.op, d.state = c, op, st
	d.rep = [4]uint32{rep0, rep1, rep2, rep3}
	return err
}

// literal decodes the 8 bits of a literal behind a literal.
func (c coder) literal(probs *[literalSize]uint16, in []byte) (coder, byte) {
	m := uint32(1)
	for m < 0x100 {
		c, m = c.node(&probs[m], m, in)
	}
	return c, byte(m)
}

// matchedLiteral decodes a literal behind a match. As long as its bits are those of the byte at rep0, each has
// the probability of that bit's value; from the first other one on they are those of a plain literal.
func (c coder) matchedLiteral(probs *[literalSize]uint16, match byte, in []byte) (coder, byte) {
	m, offset, b := uint32(1), uint32(0x100), uint32(match)
	for m < 0x100 {
		b <<= 1
		bit := b & offset
		c, m = c.node(&probs[offset+bit+m], m, in)
		offset &= bit ^ (m&1 - 1)
	}
	return c, byte(m)
}

// decode decodes a length.
func (l *lenModel) decode(c coder, posState uint32, in []byte) (coder, uint32) {
	var bit bool
	m := uint32(1)
	if c, bit = c.bit(&l.choice, in); !bit {
		for range 3 {
			c, m = c.node(&l.low[posState%posStates][m%lenLow], m, in)
		}
		return c, m - lenLow + minMatch
	}
	if c, bit = c.bit(&l.choice2, in); !bit {
		for range 3 {
			c, m = c.node(&l.mid[posState%posStates][m%lenLow], m, in)
		}
		return c, m + minMatch
	}
	for range 8 {
		c, m = c.node(&l.high[m%lenHigh], m, in)
	}
	return c, m - lenHigh + 2*lenLow + minMatch
}

// distance decodes the distance - 1 of a match.
func (m *model) distance(c coder, length uint32, in []byte) (coder, uint32) {
	tree := &m.slot[min(length-minMatch, lenStates-1)]
	slot := uint32(1)
	for range 6 {
		c, slot = c.node(&tree[slot%slots], slot, in)
	}
	slot -= slots
	if slot < firstSlot {
		return c, slot
	}
	bits := slot/2 - 1
	dist := (2 | slot&1) << bits
	if slot < alignSlot {
		base, n := specialTree(slot, dist), uint32(1)
		for i := range bits {
			c, n = c.node(&m.special[(base+n)%fullDistances], n, in)
			dist += n & 1 << i
		}
		return c, dist
	}
	for range bits - alignBits {
		c = c.normal(in)
		c.rng >>= 1
		c.code -= c.rng
		zero := uint32(int32(c.code) >> 31)
		c.code += c.rng & zero
		dist += (1 + zero) << (bits - 1)
		bits--
	}
	n := uint32(1)
	for i := range alignBits {
		c, n = c.node(&m.align[n%alignSize], n, in)
		dist += n & 1 << i
	}
	return c, dist
}

// copyMatch copies a match to dst[op:], or as much of it as there is room, and returns how much.
func copyMatch(dst []byte, op, distance, length int) int {
	length = min(length, len(dst)-op)
	end := op + length
	if distance >= length {
		copy(dst[op:end], dst[op-distance:])
		return length
	}
	for src := op - distance; op < end; {
		n := copy(dst[op:end], dst[src:op])
		op += n
	}
	return length
}
