package microlzma

import "sync"

// MaxDict is the greatest dictionary that EROFS allows, in bytes, and MinDict the least.
const (
	MinDict = 4 << 10
	MaxDict = 8 << 20
)

// CorruptError says what breaks the format.
type CorruptError string

func (e CorruptError) Error() string { return "microlzma: " + string(e) }

const (
	errShort    = CorruptError("stream ends early")
	errLong     = CorruptError("stream goes on behind its content")
	errProps    = CorruptError("properties in the first byte are wrong")
	errRange    = CorruptError("value at the start is not below the range")
	errDistance = CorruptError("distance of a match is beyond the start or the dictionary")
)

const (
	rangeBytes = 5 // that a stream has at least
	// inputMargin is what a symbol may take: each of its bits makes the range smaller by a factor of 66 at most, and
	// the longest symbol has 48 bits, of which 26 are plain; liblzma counts 20 bytes too.
	inputMargin = 20
)

var decoders = sync.Pool{New: func() any { return new(decoder) }}

// Decode decodes the first len(dst) bytes of the stream src, whose matches reach back dictSize bytes at most.
// src may hold more than that, and what is behind it is not looked at. On corrupt input, or if src ends
// before dst is full, it returns a CorruptError, and dst holds anything. dst and src must not overlap.
func Decode(dst, src []byte, dictSize int) error { return decode(dst, src, dictSize, false) }

// DecodeWhole is Decode for a stream of len(dst) bytes: what does not end with them is an error, but for a match that goes on
// behind them and ends the stream.
func DecodeWhole(dst, src []byte, dictSize int) error { return decode(dst, src, dictSize, true) }

func decode(dst, src []byte, dictSize int, whole bool) error {
	if len(src) < rangeBytes {
		return errShort
	}
	d := decoders.Get().(*decoder)
	err := d.decode(dst, src, dictSize)
	if err == nil && whole && !d.coder.ended(src) {
		err = errLong
	}
	d.dst = nil
	decoders.Put(d)
	return err
}

// decoder is the state between two runs of its loop.
type decoder struct {
	model
	coder  coder
	dst    []byte
	op     int // bytes of dst that are there
	dict   int
	state  state
	rep    [4]uint32 // distances - 1
	lc     uint32
	lpMask uint32
	pbMask uint32
	spill  spill
}

func (d *decoder) decode(dst, src []byte, dictSize int) error {
	props := int(^src[0])
	lc, lp, pb := props%9, props/9%5, props/45
	if pb > 4 || lc+lp > maxContext {
		return errProps
	}
	d.reset(lc + lp)
	d.coder = startCoder(src)
	if d.coder.code >= d.coder.rng {
		return errRange
	}
	d.dst, d.op, d.dict = dst, 0, max(dictSize, 0)
	d.state, d.rep = 0, [4]uint32{}
	d.lc, d.lpMask, d.pbMask = uint32(lc), 1<<lp-1, 1<<pb-1

	if err := d.fast(src, len(src)-inputMargin); err != nil {
		return err
	}
	if err := d.run(src, len(src)-inputMargin); err != nil || d.op == len(dst) {
		return err
	}
	// The last bytes are decoded with zeros behind them, so that no symbol runs out of input.
	var end [2*inputMargin + rangeBytes]byte
	n := copy(end[:], src[d.coder.pos:])
	d.coder.pos = 0
	if err := d.run(end[:], n); err != nil {
		return err
	}
	if d.op < len(dst) || d.coder.pos > n {
		return errShort
	}
	d.coder.pos += len(src) - n
	return nil
}
