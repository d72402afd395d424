package tartree

import (
	"bytes"
	"encoding/binary"
	"math"
)

// Types of entries (offset 156). The letters are GNU tar's, X is an early form of x (Solaris).
const (
	typeFile       = '0'
	typeFileV7     = 0 // a directory if the name ends in "/"
	typeLink       = '1'
	typeSymlink    = '2'
	typeChar       = '3'
	typeBlock      = '4'
	typeDir        = '5'
	typeFifo       = '6'
	typeContiguous = '7'
	typePax        = 'x'
	typePaxSun     = 'X'
	typeGlobal     = 'g'
	typeGNUDumpDir = 'D' // a directory; its payload lists the names for incremental backups
	typeGNULink    = 'K' // payload is the link name of the next entry
	typeGNUName    = 'L' // payload is the name of the next entry
	typeGNUMulti   = 'M' // a file begun on another volume
	typeGNUSparse  = 'S'
	typeGNUVolume  = 'V' // name of the volume
)

type format uint8

const (
	formatV7 format = iota
	formatUstar
	formatStar // ustar with a shorter prefix, atime and ctime
	formatGNU
)

// formatOf tells which of the header layouts b has: the rules of archive/tar.
func formatOf(b *[blockSize]byte) format {
	switch m := binary.BigEndian.Uint64(b[257:]); {
	case m>>16 == 0x757374617200: // "ustar\0"
		if string(b[508:512]) == "tar\x00" {
			return formatStar
		}
		return formatUstar
	case m == 0x7573746172202000: // "ustar  \0"
		return formatGNU
	}
	return formatV7
}

// cString returns b up to the first NUL.
func cString(b []byte) []byte {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		return b[:i]
	}
	return b
}

// appendName appends the name of the header, with its prefix, to dst.
func appendName(dst []byte, b *[blockSize]byte) []byte {
	if b[345] != 0 {
		if p := prefixOf(b); len(p) > 0 {
			dst = append(append(dst, p...), '/')
		}
	}
	return append(dst, cString(b[:100])...)
}

func prefixOf(b *[blockSize]byte) []byte {
	switch formatOf(b) {
	case formatUstar:
		return cString(b[345:500])
	case formatStar:
		return cString(b[345:476])
	case formatGNU:
		// archive/tar before Go 1.8 wrote a prefix here too (golang.org/issue/12594). Such a header
		// shows by an atime or ctime that is no number.
		if numeric(b[345:357]) && numeric(b[357:369]) {
			return nil
		}
		p := cString(b[345:500])
		for _, c := range p {
			if c >= 0x80 {
				return nil
			}
		}
		return p
	}
	return nil
}

func numeric(b []byte) bool {
	_, ok := number(b)
	return b[0] == 0 || ok
}

// number reads a numeric field: octal digits between spaces and NULs, or, if the first bit is set, a
// big-endian two's complement number whose first bit is dropped (GNU base-256). An empty field is 0.
func number(b []byte) (n int64, ok bool) {
	if b[0]&0x80 != 0 {
		return base256(b)
	}
	i := 0
	for i < len(b) && (b[i] == ' ' || b[i] == 0) {
		i++
	}
	for ; i < len(b) && b[i]-'0' < 8; i++ { // 12 digits at most: 36 bits
		n = n<<3 | int64(b[i]-'0')
	}
	return n, i == len(b) || b[i] == 0 || b[i] == ' '
}

func base256(b []byte) (int64, bool) {
	var inv byte
	if b[0]&0x40 != 0 {
		inv = 0xFF
	}
	var n uint64
	for i, c := range b {
		if c ^= inv; i == 0 {
			c &= 0x7F
		}
		if n >= 1<<55 {
			return 0, false
		}
		n = n<<8 | uint64(c)
	}
	if inv != 0 {
		return ^int64(n), true
	}
	return int64(n), true
}

// octal8 is number for a field of 8 bytes; the usual forms, seven or six digits and a NUL or space,
// without a loop.
func octal8(b *[8]byte) (int64, bool) {
	switch x := binary.BigEndian.Uint64(b[:]); {
	case x&0xF8F8F8F8F8F8F8DF == 0x3030303030303000:
		return packOctal(x >> 8), true
	case x&0xF8F8F8F8F8F8DF00 == 0x3030303030300000:
		return packOctal(x >> 16), true
	}
	return number(b[:])
}

// octal12 is number for a field of 12 bytes; the usual form is eleven digits and a NUL or space.
func octal12(b *[12]byte) (int64, bool) {
	hi, lo := binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint32(b[8:])
	if hi&0xF8F8F8F8F8F8F8F8 != 0x3030303030303030 || lo&0xF8F8F8DF != 0x30303000 {
		return number(b[:])
	}
	return packOctal(hi)<<9 | packOctal(uint64(lo>>8)), true
}

// packOctal takes the low three bits of every byte of x together.
func packOctal(x uint64) int64 {
	x &= 0x0707070707070707
	x = (x | x>>5) & 0x003F003F003F003F
	x = (x | x>>10) & 0x00000FFF00000FFF
	return int64((x | x>>20) & 0xFFFFFF)
}

// checksum reports whether the sum of the header's bytes, its own field taken as spaces, is what the
// field says; some old writers added signed bytes.
func checksum(b *[blockSize]byte) bool {
	want, ok := octal8((*[8]byte)(b[148:156]))
	if !ok {
		return false
	}
	sum := sumBytes(b)
	for _, c := range b[148:156] {
		sum += ' ' - int64(c)
	}
	if sum == want {
		return true
	}
	for i, c := range b {
		if c >= 0x80 && (i < 148 || i >= 156) {
			sum -= 256
		}
	}
	return sum == want
}

// sumBytes adds the bytes of a block, four 16-bit lanes at a time: 128 summands of 255 fit in a lane.
func sumBytes(b *[blockSize]byte) int64 {
	const even = 0x00FF00FF00FF00FF
	var s uint64
	for i := 0; i < blockSize; i += 8 {
		x := binary.LittleEndian.Uint64(b[i : i+8])
		s += x&even + x>>8&even
	}
	s = s&0x0000FFFF0000FFFF + s>>16&0x0000FFFF0000FFFF
	return int64(s&math.MaxUint32 + s>>32)
}

var zeros [blockSize]byte

func isZero(b *[blockSize]byte) bool { return b[0] == 0 && *b == zeros }
