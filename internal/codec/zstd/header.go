package zstd

import (
	"encoding/binary"
	"io"
)

const magic = 0xFD2FB528 // RFC 8878, 3.1.1

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
	single := d&(1<<5) != 0
	h.sum = d&(1<<2) != 0
	dict, content := [4]int{0, 1, 2, 4}[d&3], [4]int{0, 2, 4, 8}[d>>6]
	if content == 0 && single {
		content = 1
	}
	h.size = 5 + dict + content
	at := 5
	if !single {
		h.size++
		at++
	}
	if len(b) < h.size {
		return h, io.ErrUnexpectedEOF
	}
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
		h.window = h.content
	} else {
		h.window = 1 << (10 + b[5]>>3)
		h.window += h.window / 8 * uint64(b[5]&7)
	}
	return h, nil
}
