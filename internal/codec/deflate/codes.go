package deflate

import "encoding/binary"

// loop is the state of the loop over codes. It decodes while the next byte of the input is at limit or before,
// and op is below room.
type loop struct {
	in     []byte
	pos    int // behind what is in bits
	limit  int
	buf    []byte
	op     int
	room   int // slack before the end of buf
	first  int // the first byte of buf that a match may refer to
	bits   uint64
	count  uint // of bits
	lit    *[litSize]uint32
	dist   *[distSize]uint32
	status int
}

// Why a loop ended.
const (
	outOfRoom = iota // or at limit
	blockIsOver
	badLit
	badDist
	farMatch
)

var statusErrors = [...]error{
	blockIsOver: errBlockEnd,
	badLit:      corrupt("code of a literal or length"),
	badDist:     corrupt("code of a distance"),
	farMatch:    corrupt("distance of a match"),
}

// codes runs the loop from op. Matches may refer to buf[first:]. It returns errBlockEnd at the end of the
// block.
func (z *Reader) codes(buf []byte, op, first, limit int) (int, error) {
	l := &z.loop
	*l = loop{in: z.in, pos: z.pos, limit: limit, buf: buf, op: op, room: len(buf) - slack, first: first, bits: z.bits, count: z.count, lit: z.lit, dist: z.dist}
	l.run()
	// whole bytes go back to the input
	z.pos = l.pos - int(l.count>>3)
	z.count = l.count & 7
	z.bits = l.bits & (1<<z.count - 1)
	l.buf, l.in = nil, nil
	return l.op, statusErrors[l.status]
}

// generic is the loop in Go.
func (l *loop) generic() {
	in, buf, lit, dist := l.in, l.buf, l.lit, l.dist
	pos, op, bits, count := l.pos, l.op, l.bits, l.count
loop:
	for pos <= l.limit && op < l.room {
		bits |= binary.LittleEndian.Uint64(in[pos:]) << (count & 63)
		pos += int(63-count) >> 3
		count |= 56
		e := lit[bits&litMask]
		for n := 0; e >= isLiteral; n++ { // up to three of up to 11 bits
			buf[op] = byte(e >> 16)
			op++
			bits >>= e & 63
			count -= uint(e & 63)
			if n == 2 {
				continue loop
			}
			e = lit[bits&litMask]
		}
		if e&isSpecial != 0 {
			if e&noTable == 0 {
				bits >>= litBits
				count -= litBits
				e = lit[sub(e, bits)&(litSize-1)]
			}
			if e&isSpecial != 0 || e >= isLiteral {
				bits >>= e & 63
				count -= uint(e & 63)
				switch {
				case e >= isLiteral:
					buf[op] = byte(e >> 16)
					op++
					continue
				case e&blockEnd != 0:
					l.status = blockIsOver
				default:
					l.status = badLit
				}
				break
			}
		}
		length := value(e, bits)
		bits >>= e & 63
		count -= uint(e & 63)

		bits |= binary.LittleEndian.Uint64(in[pos:]) << (count & 63)
		pos += int(63-count) >> 3
		count |= 56
		e = dist[bits&(1<<distBits-1)]
		if e&(isSpecial|noTable) == isSpecial {
			bits >>= distBits
			count -= distBits
			e = dist[sub(e, bits)&(distSize-1)]
		}
		if e&isSpecial != 0 {
			l.status = badDist
			break
		}
		distance := value(e, bits)
		bits >>= e & 63
		count -= uint(e & 63)
		if distance > op-l.first {
			l.status = farMatch
			break
		}
		match(buf, op, distance, length)
		op += length
	}
	l.pos, l.op, l.bits, l.count = pos, op, bits, count
}

// value returns the value of an entry with its extra bits.
func value(e uint32, bits uint64) int { return int(e>>16) + int(bits&(1<<(e&63)-1)>>(e>>8&31)) }

// sub returns where the entry is that a pointer to a subtable leads to.
func sub(e uint32, bits uint64) uint64 { return uint64(e>>16) + bits&(1<<(e>>8&31)-1) }

// match copies length bytes from distance before op, and up to 15 more.
func match(buf []byte, op, distance, length int) {
	src, end := op-distance, op+length
	switch {
	case distance >= 16:
		for {
			*(*[16]byte)(buf[op:]) = *(*[16]byte)(buf[src:])
			if op += 16; op >= end {
				return
			}
			src += 16
		}
	case distance >= 8:
		for op < end {
			*(*[8]byte)(buf[op:]) = *(*[8]byte)(buf[src:])
			op += 8
			src += 8
		}
	case distance == 1:
		v := uint64(buf[src]) * 0x0101010101010101
		for op < end {
			binary.LittleEndian.PutUint64(buf[op:], v)
			op += 8
		}
	default: // 8 bytes, of which the first ones are right, one pattern further each time
		for op < end {
			*(*[8]byte)(buf[op:]) = *(*[8]byte)(buf[src:])
			op += distance
			src += distance
		}
	}
}
