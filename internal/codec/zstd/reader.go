package zstd

import (
	"encoding/binary"
	"fmt"
	"io"
)

// DataError says where a Reader found what breaks the format.
type DataError struct {
	In  int64 // where the frame, the block or the checksum begins in the source, or where that ends
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

// Reader decodes Zstandard frames of any number, RFC 8878, and skips skippable ones. Its memory is 0.5 MiB and the window, or
// the content if that is shorter: it grows, four times as much each time, with what was decoded. While it grows there is a
// quarter more.
//
//	ring  | content ...  op |  (room for a block)  | history before content ... old |
//
// Content goes into a ring of the window and a block: what does not fit behind op goes to its start, and what is left behind
// it is the history of that. Copying writes copySlack bytes too much, at most. The ring has twice copySlack more than the
// window and a block, so when content begins at its start again, old is more than a window and copySlack: what matches may
// refer to, the last bytes of a window before op, is never nearer behind op than that.
type Reader struct {
	src source
	max int // window

	d        blockDecoder
	header   header
	inFrame  bool
	checksum checksum
	given    int   // of the ring up to d.loop.op
	full     int   // length that the ring grows to
	content  int64 // of the frame
	out      int64
	in       []byte // headroom, then a block
	err      error
}

// NewReader returns a Reader of r for windows of maxWindow bytes at most. It reads in small pieces, too, and not beyond the
// last frame but to see that there is no other one.
func NewReader(r io.Reader, maxWindow int) *Reader {
	return &Reader{src: source{r: r}, max: maxWindow, in: make([]byte, headroom+maxBlock)}
}

// Read implements io.Reader. The error is a *DataError, io.EOF at the end of a frame, or what r returned. A block is given when
// all of it is decoded, the last one of a frame when its checksum was right.
func (z *Reader) Read(p []byte) (n int, err error) {
	l := &z.d.loop
	for n < len(p) {
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

// step goes on by a header, or by a block and what ends the frame behind it.
func (z *Reader) step() error {
	at := z.src.at
	err := z.next(&at)
	if err == nil || err == io.EOF {
		return err
	}
	z.d.loop.op = z.given // nothing of a block that is wrong, or not known to be right
	if s, ok := err.(*sourceError); ok {
		return s.error
	}
	if err == errCut {
		at, err = z.src.at, io.ErrUnexpectedEOF
	}
	return &DataError{In: at, Out: z.out, Why: err}
}

// next is step; at becomes where the checksum is.
func (z *Reader) next(at *int64) error {
	if !z.inFrame {
		return z.startFrame()
	}
	last, err := z.block()
	if err != nil {
		return err
	}
	if z.header.sized && (uint64(z.content) > z.header.content || last && uint64(z.content) < z.header.content) {
		return corrupt("length of the frame")
	}
	if !last {
		return nil
	}
	z.inFrame = false
	if !z.header.sum {
		return nil
	}
	*at = z.src.at
	b := z.in[:4]
	if err := z.src.more(b); err != nil {
		return err
	}
	if uint32(z.checksum.sum()) != binary.LittleEndian.Uint32(b) {
		return corrupt("checksum of the frame")
	}
	return nil
}

// block decodes a block.
func (z *Reader) block() (last bool, err error) {
	b := z.in[headroom:]
	if err := z.src.more(b[:blockHeader]); err != nil {
		return false, err
	}
	last, kind, n := parseBlock([blockHeader]byte(b))
	if n > z.d.limit() {
		return false, corrupt("length of a block")
	}
	size := n
	if kind == oneBlock {
		size = 1
	}
	if err := z.src.more(b[:size]); err != nil {
		return false, err
	}
	z.room()
	l := &z.d.loop
	start := l.op
	if err := z.d.block(z.in[:headroom+size], headroom, kind, n); err != nil {
		return false, err
	}
	z.content += int64(l.op - start)
	if z.header.sum {
		z.checksum.update(l.dst[start:l.op])
	}
	return last, nil
}

// startFrame reads the header of a frame, or skips a skippable one; io.EOF if nothing follows.
func (z *Reader) startFrame() error {
	b := z.in[:5]
	if err := z.src.read(b); err != nil {
		return err
	}
	switch m := binary.LittleEndian.Uint32(b); {
	case m&^0xF == skippable: // RFC 8878, 3.1.2
		if err := z.src.more(z.in[5:8]); err != nil {
			return err
		}
		return z.src.skip(int64(binary.LittleEndian.Uint32(z.in[4:])), z.in)
	case m != magic:
		return CorruptError("no frame follows")
	}
	n := headerLen(b[4])
	err := z.src.more(z.in[5:n])
	if err == nil {
		z.header, err = parseHeader(z.in[:n])
	}
	if err != nil {
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
	h := &z.header
	z.d.reset(int(h.window))
	z.given, z.content, z.inFrame = 0, 0, true
	z.checksum.reset()
	z.full = int(h.window)
	if h.sized {
		z.full = int(min(h.window, h.content))
	}
	z.full += z.d.limit() + 2*copySlack
	if n := len(z.d.loop.dst); n < z.full && n > z.full/4 {
		z.d.loop.dst = nil // it would stay while a larger one is filled
	}
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
		size := z.full
		for ; size/4 >= max(2*need, l.op+need); size /= 4 {
		}
		ring := make([]byte, size)
		copy(ring, l.dst[:l.op])
		l.dst = ring
	}
	if len(l.dst)-l.op < need {
		l.old, l.op, z.given = l.op, 0, 0
	}
}
