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

// decoders holds decoders by the logarithm of the window that they allow.
var decoders [MaxWindowLog + 1]sync.Pool

// Decode decodes the first len(dst) bytes of the frame src, whose window may have up to 1<<maxWindowLog bytes;
// maxWindowLog is MinWindowLog to MaxWindowLog. What src holds beyond them is not looked at if it is more.
// dst and src do not overlap. It may be called concurrently and allocates no more than the window and a
// block of 128 KiB need. The error is a CorruptError, or io.ErrUnexpectedEOF if there are fewer bytes; dst
// is then of no meaning.
func Decode(dst, src []byte, maxWindowLog int) error {
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
	d, _ := pool.Get().(*zstd.Decoder)
	if d == nil {
		d, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(1<<maxWindowLog))
		if err != nil {
			return err
		}
	}
	defer pool.Put(d)
	if h.sized && h.content == uint64(len(dst)) {
		return whole(d, dst, src)
	}
	if h.sized && h.content < uint64(len(dst)) {
		return io.ErrUnexpectedEOF
	}
	return prefix(d, dst, src)
}

// whole decodes a frame that says that it fills dst.
func whole(d *zstd.Decoder, dst, src []byte) error {
	got, err := d.DecodeAll(src, dst[:0:len(dst)])
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

// prefix decodes a frame as far as dst goes.
func prefix(d *zstd.Decoder, dst, src []byte) error {
	if err := d.Reset(bytes.NewReader(src)); err != nil {
		return decodeError(err)
	}
	_, err := io.ReadFull(d, dst)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
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
