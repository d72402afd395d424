package zstd

import (
	"encoding/binary"
	"io"
)

const (
	magic     = 0xFD2FB528 // RFC 8878, 3.1.1
	skippable = 0x184D2A50 // and the 15 behind it: RFC 8878, 3.1.2
)

// header is what the header of a frame says. RFC 8878, 3.1.1.1.
type header struct {
	size    int    // bytes
	window  uint64 // bytes
	content uint64 // bytes; only if sized
	sized   bool
	sum     bool // a checksum follows the last block
}

// parseHeader reads the header at the start of b.
func parseHeader(b []byte) (h header, err error) {
	if len(b) < 5 {
		return h, io.ErrUnexpectedEOF
	}
	if binary.LittleEndian.Uint32(b) != magic {
		return h, CorruptError("not a frame")
	}
	d := b[4]
	if d&(1<<3) != 0 {
		return h, CorruptError("reserved bit of the frame header is set")
	}
	h.sum = d&(1<<2) != 0
	single, dict, content := fields(d)
	if h.size = headerLen(d); len(b) < h.size {
		return h, io.ErrUnexpectedEOF
	}
	at := h.size - dict - content
	for _, c := range b[at : at+dict] {
		if c != 0 {
			return h, CorruptError("frame needs a dictionary")
		}
	}
	h.sized = content > 0
	for i := content; i > 0; i-- {
		h.content = h.content<<8 | uint64(b[at+dict+i-1])
	}
	if content == 2 {
		h.content += 256
	}
	if single {
		h.window = max(h.content, 1<<MinWindowLog)
	} else {
		h.window = 1 << (10 + b[5]>>3)
		h.window += h.window / 8 * uint64(b[5]&7)
	}
	return h, nil
}

// fields returns the lengths of the fields that the byte of flags d tells of. RFC 8878, 3.1.1.1.1.
func fields(d byte) (single bool, dict, content int) {
	single, dict, content = d&(1<<5) != 0, [4]int{0, 1, 2, 4}[d&3], [4]int{0, 2, 4, 8}[d>>6]
	if content == 0 && single {
		content = 1
	}
	return single, dict, content
}

// headerLen is the length of a header with these flags.
func headerLen(d byte) int {
	single, dict, content := fields(d)
	if single {
		return 5 + dict + content
	}
	return 6 + dict + content
}

// parseBlock reads the header of a block; n is its length, or for a oneBlock that of its content. RFC 8878, 3.1.1.2.
func parseBlock(b [blockHeader]byte) (last bool, kind, n int) {
	h := int(b[0]) | int(b[1])<<8 | int(b[2])<<16
	return h&1 != 0, h >> 1 & 3, h >> 3
}
