package zstd

import (
	"encoding/binary"
	"fmt"
	"io"
	"sync"
)

// Windows of the frames that Decode reads: 1 KiB, as RFC 8878, 3.1.1.1.2 has it, to 1 MiB, the most that an
// EROFS image may ask for.
const (
	MinWindowLog = 10
	MaxWindowLog = 20
)

// CorruptError says what breaks the format.
type CorruptError string

func (e CorruptError) Error() string { return string(e) }

const errLong = CorruptError("the frame has more bytes than it should")

// decoders holds decoders for Decode: 149 KiB that are not worth clearing.
var decoders = sync.Pool{New: func() any { return new(blockDecoder) }}

// Decode decodes the first len(dst) bytes of the frame src, whose window may have up to 1<<maxWindowLog bytes;
// maxWindowLog is MinWindowLog to MaxWindowLog. What src holds beyond them is not looked at if it is more.
// dst and src do not overlap. It may be called concurrently and allocates nothing of a size that src says.
// The error is a CorruptError, also for a window that is too large, io.ErrUnexpectedEOF if there are fewer bytes, or about
// maxWindowLog; dst is then of no meaning. Without a byte in dst nothing is looked at.
func Decode(dst, src []byte, maxWindowLog int) error { return decode(dst, src, maxWindowLog, false) }

// DecodeWhole is Decode for a frame of len(dst) bytes; more are an error.
func DecodeWhole(dst, src []byte, maxWindowLog int) error {
	return decode(dst, src, maxWindowLog, true)
}

func decode(dst, src []byte, maxWindowLog int, whole bool) error {
	if maxWindowLog < MinWindowLog || maxWindowLog > MaxWindowLog {
		return fmt.Errorf("zstd: window log %d: it is %d to %d", maxWindowLog, MinWindowLog, MaxWindowLog)
	}
	if len(dst) == 0 {
		return nil
	}
	h, err := parseHeader(src)
	if err != nil {
		return err
	}
	switch n := uint64(len(dst)); {
	case h.window > 1<<maxWindowLog:
		return CorruptError(fmt.Sprintf("window of %d bytes, %d are allowed", h.window, 1<<maxWindowLog))
	case h.sized && h.content < n:
		return io.ErrUnexpectedEOF
	case h.sized && h.content > n && whole:
		return errLong
	case h.sized && h.content == n:
		whole = true
	}
	d := decoders.Get().(*blockDecoder)
	defer decoders.Put(d)
	d.reset(int(h.window))
	d.loop.dst = dst
	err = d.frame(src, h, whole)
	d.loop.dst, d.loop.src, d.loop.lit = nil, nil, nil
	return err
}

// frame decodes the blocks of a frame, whose header has been read, until dst is full; whole: to the end of the frame, which
// must be that of dst.
func (d *blockDecoder) frame(src []byte, h header, whole bool) error {
	l := &d.loop
	at := h.size
	for last := false; !last; {
		if !whole && l.op == len(l.dst) {
			return nil
		}
		if len(src)-at < blockHeader {
			return io.ErrUnexpectedEOF
		}
		var kind, n int
		last, kind, n = parseBlock([3]byte(src[at:]))
		at += blockHeader
		size := n
		if kind == oneBlock {
			size = 1
		}
		switch {
		case n > d.limit():
			return corrupt("length of a block")
		case size > len(src)-at:
			return io.ErrUnexpectedEOF
		}
		err := d.block(src[:at+size], at, kind, n)
		if err == errFull {
			if whole {
				return errLong
			}
			return nil
		}
		if err != nil {
			return err
		}
		at += size
	}
	if l.op < len(l.dst) {
		return io.ErrUnexpectedEOF
	}
	if h.sum && whole {
		return verify(l.dst, src[at:])
	}
	return nil
}

// block decodes the block src[at:]; errFull if dst does not hold it.
func (d *blockDecoder) block(src []byte, at, kind, n int) error {
	l := &d.loop
	switch kind {
	case rawBlock:
		if copy(l.dst[l.op:], src[at:]) < n {
			return errFull
		}
		l.op += n
	case oneBlock:
		fill(l.dst[l.op:min(l.op+n, len(l.dst))], src[at])
		if n > len(l.dst)-l.op {
			return errFull
		}
		l.op += n
	case compressedBlock:
		return d.compressed(src, at)
	default:
		return corrupt("type of a block")
	}
	return nil
}

// verify compares the checksum b starts with.
func verify(content, b []byte) error {
	if len(b) < 4 {
		return io.ErrUnexpectedEOF
	}
	var c checksum
	c.reset()
	c.update(content)
	if uint32(c.sum()) != binary.LittleEndian.Uint32(b) {
		return corrupt("checksum of the frame")
	}
	return nil
}
