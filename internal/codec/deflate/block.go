package deflate

import "encoding/binary"

// order is the one in which the lengths of the code length codes come. RFC 1951, 3.2.7.
var order = [19]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// blockHeader reads the header of a block with its codes.
func (z *Reader) blockHeader() error {
	z.block = z.at()
	if err := z.need(3); err != nil {
		return err
	}
	h := z.take(3)
	z.last = h&1 != 0
	switch h >> 1 {
	case 0:
		return z.storedHeader()
	case 1:
		z.lit, z.dist = &fixedLit, &fixedDist
	case 2:
		if err := z.dynamicHeader(); err != nil {
			return err
		}
		z.lit, z.dist = &z.ownLit, &z.ownDist
	default:
		return corrupt("block of type 3")
	}
	z.state = inCodes
	return nil
}

// storedHeader reads the length of a stored block, which starts at a byte.
func (z *Reader) storedHeader() error {
	z.align()
	var b [4]byte
	if err := z.readBytes(b[:]); err != nil {
		return err
	}
	n := binary.LittleEndian.Uint16(b[:])
	if n != ^binary.LittleEndian.Uint16(b[2:]) {
		return corrupt("length of a stored block")
	}
	z.stored = int(n)
	z.state = inStored
	return nil
}

// dynamicHeader reads the codes of a block.
func (z *Reader) dynamicHeader() error {
	if err := z.need(14); err != nil {
		return err
	}
	nlit, ndist, npre := int(z.take(5))+257, int(z.take(5))+1, int(z.take(4))+4
	if nlit > 286 || ndist > 30 {
		return corrupt("number of codes")
	}
	var pre [19]uint8
	for _, s := range order[:npre] {
		if err := z.need(3); err != nil {
			return err
		}
		pre[s] = uint8(z.take(3))
	}
	var table [1 << preBits]uint32
	if !build(table[:], preBits, pre[:], preEntries) {
		return corrupt("code of the code lengths")
	}
	var lens [286 + 30]uint8
	if err := z.codeLengths(lens[:nlit+ndist], &table); err != nil {
		return err
	}
	if !build(z.ownLit[:], litBits, lens[:nlit], litEntries) {
		return corrupt("code of literals and lengths")
	}
	if !build(z.ownDist[:], distBits, lens[nlit:nlit+ndist], distEntries) {
		return corrupt("code of distances")
	}
	return nil
}

// codeLengths reads the lengths of the codes, which are run-length encoded.
func (z *Reader) codeLengths(lens []uint8, table *[1 << preBits]uint32) error {
	for i := 0; i < len(lens); {
		e, s, err := z.symbol(table[:], preBits)
		if err != nil {
			return err
		}
		if e&isSpecial != 0 {
			return corrupt("code of the code lengths")
		}
		if s < 16 {
			lens[i] = uint8(s)
			i++
			continue
		}
		var value uint8
		extra, run := uint(2), 3
		switch s {
		case 16:
			if i == 0 {
				return corrupt("repeated code length without one before")
			}
			value = lens[i-1]
		case 17:
			extra = 3
		case 18:
			extra, run = 7, 11
		}
		if err := z.need(extra); err != nil {
			return err
		}
		run += int(z.take(extra))
		if run > len(lens)-i {
			return corrupt("more code lengths than codes")
		}
		for range run {
			lens[i] = value
			i++
		}
	}
	return nil
}
