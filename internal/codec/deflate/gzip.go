package deflate

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io"
)

// Flags of a member's header. RFC 1952, 2.3.1.
const (
	flagHeaderSum = 1 << 1
	flagExtra     = 1 << 2
	flagName      = 1 << 3
	flagComment   = 1 << 4
	flagsReserved = 7 << 5
)

// memberHeader reads the header of a member.
func (z *Reader) memberHeader() error {
	var b [10]byte
	var sum uint32
	if err := z.headerBytes(b[:], &sum); err != nil {
		return err
	}
	if b[0] != 0x1F || b[1] != 0x8B || b[2] != 8 {
		return corrupt("header of a member")
	}
	flags := b[3]
	if flags&flagsReserved != 0 {
		return corrupt("reserved flag of a member's header")
	}
	if flags&flagExtra != 0 {
		if err := z.headerBytes(b[:2], &sum); err != nil {
			return err
		}
		if err := z.skipHeader(int(binary.LittleEndian.Uint16(b[:])), &sum); err != nil {
			return err
		}
	}
	for _, f := range [...]byte{flagName, flagComment} {
		if f&flags != 0 {
			if err := z.skipHeader(-1, &sum); err != nil {
				return err
			}
		}
	}
	if want := uint16(sum); flags&flagHeaderSum != 0 {
		if err := z.headerBytes(b[:2], &sum); err != nil {
			return err
		}
		if binary.LittleEndian.Uint16(b[:]) != want {
			return corrupt("checksum of a member's header")
		}
	}
	z.sum, z.size, z.history, z.state = 0, 0, 0, atBlock
	return nil
}

// headerBytes fills b with bytes of the header, which sum is of.
func (z *Reader) headerBytes(b []byte, sum *uint32) error {
	err := z.readBytes(b)
	*sum = crc32.Update(*sum, crc32.IEEETable, b)
	return err
}

// skipHeader skips n bytes of the header; below 0: to a zero and that, too.
func (z *Reader) skipHeader(n int, sum *uint32) error {
	for n != 0 {
		if err := z.fill(); err != nil {
			return err
		}
		b := z.in[z.pos:z.end]
		if n > 0 {
			b = b[:min(n, len(b))]
			n -= len(b)
		} else if i := bytes.IndexByte(b, 0); i >= 0 {
			b = b[:i+1]
			n = 0
		}
		*sum = crc32.Update(*sum, crc32.IEEETable, b)
		z.pos += len(b)
	}
	return nil
}

// update takes data of the member in.
func (z *Reader) update(data []byte) {
	if !z.bare {
		z.sum = crc32.Update(z.sum, crc32.IEEETable, data)
	}
	z.size += uint32(len(data))
	z.out += int64(len(data))
	z.history = min(z.history+len(data), History)
}

// trailer checks what the member says about its data.
func (z *Reader) trailer() error {
	var b [8]byte
	if err := z.readBytes(b[:]); err != nil {
		return err
	}
	if binary.LittleEndian.Uint32(b[:]) != z.sum {
		return corrupt("checksum of the data")
	}
	if binary.LittleEndian.Uint32(b[4:]) != z.size {
		return corrupt("length of the data")
	}
	z.state = between
	return nil
}

// nextMember goes to the header behind a member; io.EOF if nothing follows but zeros. What is behind zeros, another member
// too, is garbage for containerd and cut off by gzip(1).
func (z *Reader) nextMember() error {
	for padded := false; ; padded = true {
		if err := z.fill(); err != nil {
			if z.srcErr == io.EOF {
				return io.EOF
			}
			return err
		}
		if !padded && z.in[z.pos] == 0x1F {
			z.state = atMember
			return nil
		}
		b := z.in[z.pos:z.end]
		n := len(b) - len(bytes.TrimLeft(b, "\x00"))
		z.pos += n
		if n < len(b) {
			return CorruptError("garbage behind the compressed data")
		}
	}
}
