package deflate

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

const (
	// History is how far back a match may refer.
	History = 32 << 10
	// slack is what decoding may write behind the point where it stops: two literals, a match of 258 bytes,
	// and what copying by 32 bytes writes too much.
	slack = 2 + 258 + 32
	// MinBuffer is the least length of the buffers that Next gets; more than History+slack is for data.
	MinBuffer = History + slack + 1<<10

	inputSize = 64 << 10
	// inputMargin is what one round of the loop in codes may consume, and load, at most. What is nearer to the end of
	// the input is decoded by the careful loop.
	inputMargin = 32

	maxEmpty = 100 // empty reads in a row before io.ErrNoProgress
)

// CorruptError says what breaks the format.
type CorruptError string

func (e CorruptError) Error() string { return string(e) }

func corrupt(what string) error { return CorruptError(what + " is wrong") }

// DataError says where a Reader found what breaks the format.
type DataError struct {
	In  int64 // byte of the source that was looked at, or where the source ends
	Out int64 // decoded bytes before it, of all members
	Why error // a CorruptError, or io.ErrUnexpectedEOF
}

func (e *DataError) Error() string { return fmt.Sprintf("%v, at byte %d of the input", e.Why, e.In) }

// Unwrap returns Why.
func (e *DataError) Unwrap() error { return e.Why }

type state uint8

const (
	atMember  state = iota // at the header of a gzip member
	atBlock                // at the header of a block
	inStored               // z.stored bytes are to be copied
	inCodes                // z.lit and z.dist are to be used
	atTrailer              // behind the last block of a member
	between                // behind a member
)

// Reader decodes gzip data of any number of members; zeros behind the last one are ignored. Its memory is 82 KiB and the
// buffers that Next gets; Read and WriteTo make one.
type Reader struct {
	r      io.Reader
	in     []byte // inputSize bytes, or what Decode was given
	pos    int    // next byte of in that is not in bits
	end    int    // of what in holds
	srcErr error  // what the source ended with, io.EOF too; what in holds comes before it

	base int64 // where in[0] is in the source

	exact *exact // takes and asks for only what is decoded; nil: reads ahead
	bare  bool   // DEFLATE data without header and checksum
	one   bool   // the end of the first member is the end
	stop  int64  // Next returns at the end of a member there; anyEnd: of any member; 0: of none

	bits  uint64 // the next count bits of the input, the first one lowest; 0 above, but in codes
	count uint

	state   state
	last    bool // the block is the last one
	stored  int
	lit     *[litSize]uint32
	dist    *[distSize]uint32
	ownLit  [litSize]uint32
	ownDist [distSize]uint32

	loop loop

	window  []byte // what Next returned last, with its history in front
	history int    // bytes of the current member that a match may refer to, at the end of window
	sum     uint32 // of the member
	size    uint32
	out     int64 // bytes of all members so far
	block   int64 // where the header of the current block is, in bits of the source
	points  *recorder
	err     error

	own  []byte // the buffer of Read
	rest []byte // what Read has not returned of it
}

const anyEnd = -1

// NewReader returns a Reader of r. It reads ahead, also behind the last member.
func NewReader(r io.Reader) *Reader {
	return &Reader{r: r, in: make([]byte, inputSize)}
}

// NewMemberReader returns a Reader of one gzip member. When the Reader has returned io.EOF, the next byte of r is the
// one behind the member, and none behind it was asked for. The buffer of r has 64 bytes or more.
func NewMemberReader(r *bufio.Reader) *Reader {
	return &Reader{exact: &exact{r: r}, one: true, in: make([]byte, inputSize)}
}

// NewRawReader returns a Reader of DEFLATE data without a header, RFC 1951, which end where their last block says so;
// the next byte of r is then the one behind them, and was not asked for. The buffer of r has 64 bytes or more.
func NewRawReader(r *bufio.Reader) *Reader {
	z := NewMemberReader(r)
	z.bare, z.state = true, atBlock
	return z
}

// Next decodes into buf, of MinBuffer bytes or more, and returns the part of it that holds the next bytes of
// the stream. That part, and History bytes before it, must not change until Next returns again; it may then be
// the same buf. At the end err is io.EOF, otherwise *DataError or what the source returned, behind all that could be
// decoded; data that comes with an error is good. Next waits for the source until the buffer is full, whatever an encoder
// has flushed: it is not for conversations. Not to be mixed with Read and WriteTo.
func (z *Reader) Next(buf []byte) (data []byte, err error) {
	if z.err != nil {
		return nil, z.err
	}
	keep := copy(buf, z.window[max(len(z.window)-History, 0):])
	op := keep
	for z.err == nil && op < len(buf)-slack && !z.stopped() {
		start := op
		op, z.err = z.step(buf, op)
		if op > start {
			z.update(buf[start:op])
		}
		if z.points != nil {
			z.points.step(z, buf[:op])
		}
	}
	z.window = buf[:op]
	z.locate()
	return buf[keep:op], z.err
}

// carry puts the history into the buffer that Next gets next; the last one is then the caller's.
func (z *Reader) carry(buf []byte) {
	z.window = buf[:copy(buf, z.window[max(len(z.window)-History, 0):])]
}

// stopped reports whether the Reader is where it is to stop.
func (z *Reader) stopped() bool {
	switch z.state {
	case between:
		return z.stop == anyEnd || z.stop == z.base+int64(z.pos)
	case atMember:
		return z.stop == z.base+int64(z.pos) && z.stop != 0
	}
	return false
}

// locate says where the data break the format, if they do, or why the input ends.
func (z *Reader) locate() {
	switch why := z.err.(type) {
	case CorruptError:
		z.err = &DataError{In: z.at() >> 3, Out: z.out, Why: why}
	case inputEnds:
		if z.err = z.srcErr; z.srcErr == io.EOF {
			z.err = &DataError{In: z.base + int64(z.end), Out: z.out, Why: io.ErrUnexpectedEOF}
		}
	}
}

// inputEnds is the error for bits that are not there.
type inputEnds struct{}

func (inputEnds) Error() string { return io.ErrUnexpectedEOF.Error() }

// step goes on by one state, or as far as there is room.
func (z *Reader) step(buf []byte, op int) (int, error) {
	switch z.state {
	case atMember:
		return op, z.memberHeader()
	case atBlock:
		return op, z.blockHeader()
	case inStored:
		return z.copyStored(buf, op)
	case inCodes:
		return z.decode(buf, op)
	case atTrailer:
		return op, z.trailer()
	default:
		if z.one {
			return op, z.leave()
		}
		return op, z.nextMember()
	}
}

// endBlock is called behind a block.
func (z *Reader) endBlock() {
	z.state = atBlock
	if z.last {
		z.align()
		z.state = atTrailer
		if z.bare {
			z.state = between
		}
	}
}

func (z *Reader) copyStored(buf []byte, op int) (int, error) {
	for z.stored > 0 && op < len(buf)-slack {
		if err := z.fill(); err != nil {
			return op, err
		}
		n := min(z.stored, z.end-z.pos, len(buf)-slack-op)
		copy(buf[op:], z.in[z.pos:z.pos+n])
		z.pos += n
		op += n
		z.stored -= n
	}
	if z.stored == 0 {
		z.endBlock()
	}
	return op, nil
}

// decode runs codes as far as input and room go, and the careful loop where the input ends, so that what is before the end
// of a cut stream is the same whatever the buffers are. So does a Reader that must not ask for more than it needs.
func (z *Reader) decode(buf []byte, op int) (int, error) {
	first := op - z.history
	for op < len(buf)-slack {
		for z.end-z.pos < inputMargin && z.srcErr == nil && z.exact == nil {
			z.more()
		}
		var status error
		if z.end-z.pos < inputMargin {
			op, status = z.careful(buf, op, first, len(buf)-slack)
		} else {
			op, status = z.codes(buf, op, first, z.end-inputMargin)
		}
		if status == errBlockEnd {
			z.endBlock()
			return op, nil
		}
		if status != nil {
			return op, status
		}
	}
	return op, nil
}

// careful decodes symbol by symbol, to the end of the block (errBlockEnd), until op has reached limit, or until the source
// has given enough for codes again. It touches nothing outside of dst and the input: a match that is longer than the rest
// of dst is cut.
func (z *Reader) careful(dst []byte, op, first, limit int) (int, error) {
	for op < limit && (z.exact == nil || z.end-z.pos < inputMargin) {
		e, n, err := z.symbol(z.lit[:], litBits)
		switch {
		case err != nil:
			return op, err
		case e >= isLiteral:
			dst[op] = byte(n)
			op++
			continue
		case e&blockEnd != 0:
			return op, errBlockEnd
		case e&isSpecial != 0:
			return op, statusErrors[badLit]
		}
		e, distance, err := z.symbol(z.dist[:], distBits)
		switch {
		case err != nil:
			return op, err
		case e&isSpecial != 0:
			return op, z.badDistance(e)
		case distance > op-first:
			return op, statusErrors[farMatch]
		}
		for from, end := op-distance, min(op+n, len(dst)); op < end; {
			op += copy(dst[op:end], dst[from:op]) // twice as much each time, if they overlap
		}
	}
	return op, nil
}

// symbol consumes the next symbol with its extra bits and returns its entry and its value. The source is asked for no more
// than that.
func (z *Reader) symbol(table []uint32, tableBits uint) (e uint32, n int, err error) {
	for {
		all := z.gather(48)
		bits, used := z.bits, uint(0)
		e = table[bits&(1<<tableBits-1)]
		if e&(isSpecial|noTable) == isSpecial { // of more bits than tableBits
			bits, used = bits>>tableBits, tableBits
			e = table[sub(e, bits)]
		}
		if used += uint(e & 63); used <= z.count && (all || e&invalid != invalid || e&blockEnd != 0) {
			n = value(e, bits)
			z.take(used)
			return e, n, nil
		}
		if all {
			return 0, 0, inputEnds{}
		}
		z.more()
	}
}

// gather gets n bits into z.bits, n up to 48, without asking the source, and reports whether there are as many or never
// will be.
func (z *Reader) gather(n uint) bool {
	if z.count < n && z.end-z.pos >= 8 {
		z.bits |= binary.LittleEndian.Uint64(z.in[z.pos:]) << z.count
		z.pos += int(63-z.count) >> 3
		z.count |= 56
		z.bits &= 1<<z.count - 1
	}
	for ; z.count < n && z.pos < z.end; z.count += 8 {
		z.bits |= uint64(z.in[z.pos]) << z.count
		z.pos++
	}
	return z.count >= n || z.pos == z.end && z.srcErr != nil
}

// badDistance is the error for an entry that is no distance. Its bits are not read, as in the loop over codes: what is said of the
// place does not depend on which of the two met it.
func (z *Reader) badDistance(e uint32) error {
	z.count += uint(e & 63)
	return statusErrors[badDist]
}

var errBlockEnd = errors.New("end of block")

// more moves the rest of the input to the front, with the bytes before it that may be in z.bits and are
// given back, and reads behind it, once. The last time it sets srcErr.
func (z *Reader) more() {
	back := min(z.pos, 8)
	z.end = copy(z.in[:], z.in[z.pos-back:z.end])
	z.base += int64(z.pos - back)
	z.pos = back
	n := 0
	if z.exact != nil {
		n, z.srcErr = z.exact.peek(z.in[z.end:], z.end-z.pos+int(z.count/8))
	} else {
		n, z.srcErr = readOnce(z.r, z.in[z.end:])
	}
	if z.points != nil {
		z.points.input(z.in[z.end : z.end+n])
	}
	z.end += n
}

// readOnce reads something.
func readOnce(r io.Reader, b []byte) (int, error) {
	for range maxEmpty {
		if n, err := r.Read(b); n > 0 || err != nil {
			return n, err
		}
	}
	return 0, io.ErrNoProgress
}

// fill is more for those who need another byte.
func (z *Reader) fill() error {
	for z.pos == z.end {
		if z.srcErr != nil {
			return inputEnds{}
		}
		z.more()
	}
	return nil
}

// need gets n bits into z.bits, n up to 48.
func (z *Reader) need(n uint) error {
	for z.count < n && !z.gather(n) {
		z.more()
	}
	if z.count < n {
		return inputEnds{}
	}
	return nil
}

// take consumes n bits that need has got.
func (z *Reader) take(n uint) uint64 {
	v := z.bits & (1<<n - 1)
	z.bits >>= n
	z.count -= n
	return v
}

// at is where the next bit is in the source.
func (z *Reader) at() int64 { return 8*(z.base+int64(z.pos)) - int64(z.count) }

// align gives whole bytes back and drops the rest of the current one.
func (z *Reader) align() {
	z.pos -= int(z.count / 8)
	z.bits, z.count = 0, 0
}

// readBytes fills b with the next bytes; the input is aligned.
func (z *Reader) readBytes(b []byte) error {
	for len(b) > 0 {
		if err := z.fill(); err != nil {
			return err
		}
		n := copy(b, z.in[z.pos:z.end])
		z.pos += n
		b = b[n:]
	}
	return nil
}
