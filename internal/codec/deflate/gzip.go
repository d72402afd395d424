package deflate

import (
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
)

// memberHeader reads the header of a member.
func (z *Reader) memberHeader() error {
	var b [10]byte
	if err := z.readBytes(b[:]); err != nil {
		return err
	}
	if b[0] != 0x1F || b[1] != 0x8B || b[2] != 8 {
		return corrupt("header of a member")
	}
	sum, flags := crc32.ChecksumIEEE(b[:]), b[3]
	if flags&flagExtra != 0 {
		if err := z.readBytes(b[:2]); err != nil {
			return err
		}
		sum = crc32.Update(sum, crc32.IEEETable, b[:2])
		for range binary.LittleEndian.Uint16(b[:]) {
			if _, err := z.headerByte(&sum); err != nil {
				return err
			}
		}
	}
	for _, f := range [...]byte{flagName, flagComment} {
		for c := f & flags; c != 0; {
			var err error
			if c, err = z.headerByte(&sum); err != nil {
				return err
			}
		}
	}
	if flags&flagHeaderSum != 0 {
		if err := z.readBytes(b[:2]); err != nil {
			return err
		}
		if binary.LittleEndian.Uint16(b[:]) != uint16(sum) {
			return corrupt("checksum of a member's header")
		}
	}
	z.sum, z.size, z.history, z.state = 0, 0, 0, atBlock
	return nil
}

func (z *Reader) headerByte(sum *uint32) (byte, error) {
	var b [1]byte
	err := z.readBytes(b[:])
	*sum = crc32.Update(*sum, crc32.IEEETable, b[:])
	return b[0], err
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

// nextMember skips zeros behind a member; io.EOF if nothing follows.
func (z *Reader) nextMember() error {
	for {
		if err := z.fill(); err == io.ErrUnexpectedEOF {
			return io.EOF
		} else if err != nil {
			return err
		}
		switch z.in[z.pos] {
		case 0:
			z.pos++
		case 0x1F:
			z.state = atMember
			return nil
		default:
			return CorruptError("garbage behind the compressed data")
		}
	}
}
