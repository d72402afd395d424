package zstd

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/zstd"
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

const (
	// overrun is what the decoder may write behind the end of a block if it is to copy by 16 bytes; that makes it
	// faster by a third.
	overrun = 16
	// maxCopied is up to which length decoding into a longer buffer and copying pays: behind that, the end of
	// the last block matters less.
	maxCopied = 4 * 128 << 10
)

// decoder is a decoder for one window.
type decoder struct {
	*zstd.Decoder
	buf []byte // up to maxCopied+overrun
}

// decoders holds decoders by the logarithm of the window that they allow.
var decoders [MaxWindowLog + 1]sync.Pool

// Decode decodes the first len(dst) bytes of the frame src, whose window may have up to 1<<maxWindowLog bytes;
// maxWindowLog is MinWindowLog to MaxWindowLog. What src holds beyond them is not looked at if it is more.
// dst and src do not overlap. It may be called concurrently and allocates no more than the window and a
// block of 128 KiB need. The error is a CorruptError, or io.ErrUnexpectedEOF if there are fewer bytes; dst
// is then of no meaning.
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
	if h.window > 1<<maxWindowLog {
		return CorruptError(fmt.Sprintf("window of %d bytes, %d are allowed", h.window, 1<<maxWindowLog))
	}
	pool := &decoders[maxWindowLog]
	d, _ := pool.Get().(*decoder)
	if d == nil {
		z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(1<<maxWindowLog))
		if err != nil {
			return err
		}
		d = &decoder{Decoder: z}
	}
	defer pool.Put(d)
	if h.sized && h.content == uint64(len(dst)) {
		return d.whole(dst, src)
	}
	if h.sized && h.content < uint64(len(dst)) {
		return io.ErrUnexpectedEOF
	}
	if whole && h.sized {
		return errLong
	}
	return d.prefix(dst, src, whole)
}

// whole decodes a frame that says that it fills dst.
func (d *decoder) whole(dst, src []byte) error {
	out := dst[:0:len(dst)]
	if len(dst) <= maxCopied {
		if cap(d.buf) < len(dst)+overrun {
			d.buf = make([]byte, 0, len(dst)+overrun)
		}
		out = d.buf[:0]
	}
	got, err := d.DecodeAll(src, out)
	switch {
	case err != nil:
		return decodeError(err)
	case len(got) < len(dst):
		return io.ErrUnexpectedEOF
	case &got[0] != &dst[0]:
		copy(dst, got)
	}
	return nil
}

// prefix decodes a frame as far as dst goes; whole: it ends there.
func (d *decoder) prefix(dst, src []byte, whole bool) error {
	if err := d.Reset(bytes.NewReader(src)); err != nil {
		return decodeError(err)
	}
	_, err := io.ReadFull(d, dst)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if err == nil && whole {
		var more [1]byte
		if n, e := io.ReadFull(d, more[:]); n > 0 {
			err = errLong
		} else if e != io.EOF {
			err = e
		}
	}
	if e := d.Reset(nil); e != nil && err == nil { // lets src go
		err = e
	}
	return decodeError(err)
}

// decodeError tells the end of the input from what is wrong in it.
func decodeError(err error) error {
	if err == nil || errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	return CorruptError(err.Error())
}
