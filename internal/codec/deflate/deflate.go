package deflate

import (
	"encoding/binary"
	"errors"
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
	// inputPad is what loads may touch behind the end of the input.
	inputPad = 64
	// inputMargin is what one round of the loop in codes may consume, and load, at most.
	inputMargin = 32

	maxEmpty = 100 // empty reads in a row before io.ErrNoProgress
)

// CorruptError says what breaks the format.
type CorruptError string

func (e CorruptError) Error() string { return string(e) }

func corrupt(what string) error { return CorruptError(what + " is wrong") }

type state uint8

const (
	atMember  state = iota // at the header of a gzip member
	atBlock                // at the header of a block
	inStored               // z.stored bytes are to be copied
	inCodes                // z.lit and z.dist are to be used
	atTrailer              // behind the last block of a member
	between                // behind a member
)

// Reader decodes gzip data of any number of members; zeros behind the last one are ignored.
type Reader struct {
	r   io.Reader
	in  []byte // inputPad longer than what may be read into it, or what Decode was given
	pos int    // next byte of in that is not in bits
	end int    // of what in holds
	eof bool

	base int64 // where in[0] is in the source

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
}

// NewReader returns a Reader of r. It reads ahead, also behind the last member.
func NewReader(r io.Reader) *Reader {
	return &Reader{r: r, in: make([]byte, inputSize+inputPad)}
}

// Next decodes into buf, of MinBuffer bytes or more, and returns the part of it that holds the next bytes of
// the stream. That part, and History bytes before it, must not change until Next returns again; it may then be
// the same buf. At the end err is io.EOF, otherwise *CorruptError, io.ErrUnexpectedEOF or what the source
// returned; data that comes with an error is good.
func (z *Reader) Next(buf []byte) (data []byte, err error) {
	if z.err != nil {
		return nil, z.err
	}
	keep := copy(buf, z.window[max(len(z.window)-History, 0):])
	op := keep
	for z.err == nil && op < len(buf)-slack {
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
	return buf[keep:op], z.err
}

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
		return op, z.nextMember()
	}
}

// endBlock is called behind a block.
func (z *Reader) endBlock() {
	z.state = atBlock
	if z.last {
		z.align()
		z.state = atTrailer
	}
}

func (z *Reader) copyStored(buf []byte, op int) (int, error) {
	for z.stored > 0 && op < len(buf)-slack {
		if z.pos == z.end {
			if err := z.fill(); err != nil {
				return op, err
			}
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

// decode runs codes as far as input and room go. At the end of the input it goes by single rounds, on zeros,
// and takes back the round that consumed any.
func (z *Reader) decode(buf []byte, op int) (int, error) {
	first := op - z.history
	for op < len(buf)-slack {
		for z.end-z.pos < inputMargin && !z.eof {
			if err := z.more(); err != nil {
				return op, err
			}
		}
		start, limit := op, z.end-inputMargin
		if limit < z.pos {
			limit = z.pos
		}
		var status error
		op, status = z.codes(buf, op, first, limit)
		if z.pos > z.end {
			return start, io.ErrUnexpectedEOF
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

var errBlockEnd = errors.New("end of block")

// more moves the rest of the input to the front, with the bytes before it that may be in z.bits and are
// given back, and reads behind it, once. At the end of the source it sets eof and puts zeros there.
func (z *Reader) more() error {
	back := min(z.pos, 8)
	z.end = copy(z.in[:], z.in[z.pos-back:z.end])
	z.base += int64(z.pos - back)
	z.pos = back
	for range maxEmpty {
		n, err := z.r.Read(z.in[z.end:inputSize])
		if z.points != nil {
			z.points.input(z.in[z.end : z.end+n])
		}
		z.end += n
		if err == io.EOF {
			z.eof = true
			clear(z.in[z.end : z.end+inputPad])
			return nil
		}
		if err != nil || n > 0 {
			return err
		}
	}
	return io.ErrNoProgress
}

// fill is more for those who need another byte.
func (z *Reader) fill() error {
	for z.pos == z.end {
		if z.eof {
			return io.ErrUnexpectedEOF
		}
		if err := z.more(); err != nil {
			return err
		}
	}
	return nil
}

// peek gets n bits into z.bits, n up to 48, or as many as there are.
func (z *Reader) peek(n uint) error {
	if z.count < n && z.end-z.pos >= 8 {
		z.bits |= binary.LittleEndian.Uint64(z.in[z.pos:]) << z.count
		z.pos += int(63-z.count) >> 3
		z.count |= 56
		z.bits &= 1<<z.count - 1
		return nil
	}
	for z.count < n {
		if err := z.fill(); err == io.ErrUnexpectedEOF {
			return nil
		} else if err != nil {
			return err
		}
		z.bits |= uint64(z.in[z.pos]) << z.count
		z.pos++
		z.count += 8
	}
	return nil
}

// need is peek for bits that must be there.
func (z *Reader) need(n uint) error {
	if z.count >= n {
		return nil
	}
	if err := z.peek(n); err != nil {
		return err
	}
	if z.count < n {
		return io.ErrUnexpectedEOF
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
