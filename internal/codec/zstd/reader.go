package zstd

import (
	"encoding/binary"
	"fmt"
	"io"
)

// DataError says where a Reader found what breaks the format.
type DataError struct {
	In  int64 // where the frame's header, block or checksum begins in the source
	Out int64 // decoded bytes before it, of all frames
	Why error // CorruptError, *WindowError or io.ErrUnexpectedEOF
}

func (e *DataError) Error() string { return fmt.Sprintf("%v, at byte %d of the input", e.Why, e.In) }

// Unwrap returns Why.
func (e *DataError) Unwrap() error { return e.Why }

// WindowError is a frame that needs a larger window than is allowed.
type WindowError struct {
	Window uint64
	Max    int
}

func (e *WindowError) Error() string {
	return fmt.Sprintf("window of %d bytes, %d are allowed", e.Window, e.Max)
}

// Reader decodes Zstandard frames of any number, RFC 8878, and skips skippable ones. Its memory is 416 KiB and the window,
// or the content if that is shorter; it grows with what was decoded.
//
//	ring  | content ...  op |  (room for a block)  | history before content ... old |
//
// Content goes into a ring of the window and a block: what does not fit behind op goes to its start, and what is left behind
// it is the history of that.
type Reader struct {
	r   io.Reader
	max int // window

	d        blockDecoder
	header   header
	inFrame  bool
	checksum checksum
	given    int   // of the ring up to d.loop.op
	full     int   // length that the ring grows to
	content  int64 // of the frame
	at       int64 // of the source
	out      int64
	in       []byte // headroom, then a block
	err      error
}

// NewReader returns a Reader of r for windows of maxWindow bytes at most. It reads in small pieces, too, and not beyond the
// last frame but to see that there is no other one.
func NewReader(r io.Reader, maxWindow int) *Reader {
	return &Reader{r: r, max: maxWindow, in: make([]byte, headroom+maxBlock+copySlack)}
}

// Read implements io.Reader. The error is a *DataError, io.EOF at the end of a frame, or what r returned.
func (z *Reader) Read(p []byte) (n int, err error) {
	for n < len(p) {
		l := &z.d.loop
		if z.given == l.op {
			if z.err != nil {
				break
			}
			z.err = z.step()
			continue
		}
		c := copy(p[n:], l.dst[z.given:l.op])
		z.given += c
		n += c
		z.out += int64(c)
	}
	if n > 0 || len(p) == 0 {
		return n, nil
	}
	return 0, z.err
}

// step goes on by a header, a block or the end of a frame.
func (z *Reader) step() error {
	at := z.at
	err := z.next()
	switch err.(type) {
	case CorruptError, *WindowError:
	default:
		if err != io.ErrUnexpectedEOF {
			return err
		}
	}
	z.d.loop.op = z.given // nothing of a block that is wrong
	return &DataError{In: at, Out: z.out, Why: err}
}

func (z *Reader) next() error {
	if !z.inFrame {
		return z.startFrame()
	}
	b, err := z.read(blockHeader)
	if err != nil {
		return err
	}
	last, kind, n := parseBlock([blockHeader]byte(b))
	size := n
	if kind == oneBlock {
		size = 1
	}
	if n > z.d.limit() {
		return corrupt("length of a block")
	}
	if _, err = z.read(size); err != nil {
		return err
	}
	z.room()
	l := &z.d.loop
	start := l.op
	if err := z.d.block(z.in[:headroom+size], headroom, kind, n); err != nil {
		return err
	}
	z.content += int64(l.op - start)
	if z.header.sum {
		z.checksum.update(l.dst[start:l.op])
	}
	if last || z.header.sized && uint64(z.content) > z.header.content {
		return z.endFrame()
	}
	return nil
}

// read reads n bytes to z.in, behind the headroom.
func (z *Reader) read(n int) ([]byte, error) {
	b := z.in[headroom : headroom+n]
	c, err := io.ReadFull(z.r, b)
	z.at += int64(c)
	if err == io.EOF && n > 0 {
		err = io.ErrUnexpectedEOF
	}
	return b, err
}

// startFrame reads the header of a frame, or skips a skippable one; io.EOF if nothing follows.
func (z *Reader) startFrame() error {
	c, err := io.ReadFull(z.r, z.in[:5])
	z.at += int64(c)
	if err != nil {
		return err // io.EOF, or within the magic
	}
	b := z.in[:5]
	if m := binary.LittleEndian.Uint32(b); m&^0xF == skippable {
		return z.skip()
	} else if m != magic {
		return CorruptError("no frame follows")
	}
	rest := headerLen(b[4]) - len(b)
	c, err = io.ReadFull(z.r, z.in[5:5+rest])
	z.at += int64(c)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return err
	}
	if z.header, err = parseHeader(z.in[:5+rest]); err != nil {
		return err
	}
	if z.header.window > uint64(z.max) {
		return &WindowError{z.header.window, z.max}
	}
	z.begin()
	return nil
}

// begin starts a frame.
func (z *Reader) begin() {
	window := int(z.header.window)
	ring := z.d.loop.dst
	z.d.reset(window)
	z.d.loop.dst = ring
	z.given, z.content, z.inFrame = 0, 0, true
	z.checksum.reset()
	z.full = window + z.d.limit() + 2*copySlack
}

// skip skips a skippable frame, whose magic and first byte of length have been read. RFC 8878, 3.1.2.
func (z *Reader) skip() error {
	first := z.in[4]
	b, err := z.read(3)
	if err != nil {
		return err
	}
	n := int64(first) | int64(b[0])<<8 | int64(b[1])<<16 | int64(b[2])<<24
	c, err := io.CopyN(io.Discard, z.r, n)
	z.at += c
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// endFrame checks what the frame says about its content.
func (z *Reader) endFrame() error {
	z.inFrame = false
	if z.header.sized && uint64(z.content) != z.header.content {
		return corrupt("length of the frame")
	}
	if !z.header.sum {
		return nil
	}
	b, err := z.read(4)
	if err != nil {
		return err
	}
	if uint32(z.checksum.sum()) != binary.LittleEndian.Uint32(b) {
		return corrupt("checksum of the frame")
	}
	return nil
}

// room makes room for a block in the ring: behind what is there, in a larger ring, or at its start. All content has been
// given away.
func (z *Reader) room() {
	l := &z.d.loop
	need := z.d.limit() + copySlack
	if len(l.dst)-l.op >= need {
		return
	}
	if len(l.dst) < z.full {
		ring := make([]byte, min(max(2*len(l.dst), 2*need), z.full))
		copy(ring, l.dst[:l.op])
		l.dst = ring
	}
	if len(l.dst)-l.op < need {
		l.old, l.op, z.given = l.op, 0, 0
	}
}
