package tartree

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Compression is how a stream is compressed.
type Compression uint8

// What Decompress knows.
const (
	None Compression = iota
	Gzip
	Zstd
)

// String returns the name that media types have as suffix, "none" for None.
func (c Compression) String() string {
	switch c {
	case Gzip:
		return "gzip"
	case Zstd:
		return "zstd"
	}
	return "none"
}

const (
	// maxWindow bounds what a zstd frame may make the decoder remember; it is the limit of the zstd
	// command without --long. Memory of a Decompress is this at most, plus 2 MiB.
	maxWindow   = 128 << 20
	inputBuffer = 64 << 10
)

// Decompress returns the uncompressed form of r, which it recognizes by its first bytes: gzip, of any
// number of members, zstd, of any number of frames, skippable ones included, or anything else as it
// is. The returned reader is a Windower and an io.WriterTo. It decodes, or reads ahead, on a goroutine of
// its own, at most 1.5 MiB; Close ends that and waits for it, but leaves r open.
//
// Zeros behind the last gzip member are ignored; other trailing garbage is an error, as in containerd. What is
// wrong with the compressed data is an *Error whose offset counts uncompressed bytes; xz, bzip2 and lz4 match
// errors.ErrUnsupported. Errors of r are wrapped.
func Decompress(r io.Reader) (io.ReadCloser, Compression, error) {
	return DecompressTap(r, nil)
}

// DecompressTap is Decompress, with tap being written the whole uncompressed stream on another goroutine,
// from the same buffers: the way to a digest. io.EOF comes after the last write; an error of tap comes
// instead of io.EOF. After Close without io.EOF tap has got a part of the stream.
func DecompressTap(r io.Reader, tap io.Writer) (io.ReadCloser, Compression, error) {
	in := &input{r: r}
	br := bufio.NewReaderSize(in, inputBuffer)
	head, err := br.Peek(16)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, None, readError(0, err)
	}
	d := &decoder{in: in, br: br}
	kind, why := recognize(head)
	if why != "" {
		return nil, None, &Error{Off: 0, Why: why, Kind: errors.ErrUnsupported}
	}
	d.kind = kind
	switch kind {
	case None:
		return newRing(d.plain, tap), kind, nil
	case Gzip:
		return newRing(d.gzip, tap), kind, nil
	default:
		z, err := zstd.NewReader(br, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, None, d.fail(err)
		}
		d.zr = z
		return newRing(d.zstd, tap), kind, nil
	}
}

// recognize tells the compression from the first bytes; why is set if it is one that is not supported.
func recognize(b []byte) (c Compression, why string) {
	switch {
	case bytes.HasPrefix(b, []byte{0x1F, 0x8B, 8}):
		return Gzip, ""
	case len(b) >= 4 && binary.LittleEndian.Uint32(b) == 0xFD2FB528, // RFC 8878, 3.1.1
		len(b) >= 4 && binary.LittleEndian.Uint32(b)&^0xF == 0x184D2A50: // 3.1.2
		return Zstd, ""
	case bytes.HasPrefix(b, []byte("\xFD7zXZ\x00")):
		return None, "xz compression: not supported"
	case len(b) >= 10 && string(b[:3]) == "BZh" && string(b[4:10]) == "1AY&SY":
		return None, "bzip2 compression: not supported"
	case bytes.HasPrefix(b, []byte{0x04, 0x22, 0x4D, 0x18}):
		return None, "lz4 compression: not supported"
	}
	return None, ""
}

// input remembers whether it was the source that failed.
type input struct {
	r   io.Reader
	err error
}

func (i *input) Read(p []byte) (int, error) {
	n, err := i.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		i.err = err
	}
	return n, err
}

// decoder fills buffers; it runs on the goroutine of a ring.
type decoder struct {
	kind     Compression
	in       *input
	br       *bufio.Reader
	gz       *gzip.Reader
	inMember bool
	zr       *zstd.Decoder
	out      int64 // bytes so far
}

// readFull reads until b is full or the stream ends.
func (d *decoder) readFull(r io.Reader, b []byte) (n int, err error) {
	for empty := 0; n < len(b) && err == nil; {
		var c int
		c, err = r.Read(b[n:])
		n += c
		d.out += int64(c)
		if empty++; c > 0 {
			empty = 0
		}
		if empty > maxEmpty && err == nil {
			err = io.ErrNoProgress
		}
	}
	return n, err
}

// plain reads once: what a pipe has is parsed at once.
func (d *decoder) plain(b []byte) (int, error) {
	n, err := d.br.Read(b)
	d.out += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		err = readError(d.out, err)
	}
	return n, err
}

func (d *decoder) zstd(b []byte) (int, error) {
	n, err := d.readFull(d.zr, b)
	if err != nil {
		d.zr.Close()
	}
	return n, d.fail(err)
}

// gzip decodes member after member (RFC 1952, 2.2).
func (d *decoder) gzip(b []byte) (n int, err error) {
	for n < len(b) {
		if !d.inMember {
			if err = d.member(); err != nil {
				return n, err
			}
		}
		c, err := d.readFull(d.gz, b[n:])
		n += c
		if err == nil {
			return n, nil
		}
		if !errors.Is(err, io.EOF) {
			return n, d.fail(err)
		}
		if more, err := d.moreGzip(); !more {
			return n, err
		}
		d.inMember = false
	}
	return n, nil
}

// member reads the header of a member, of which there is a first byte.
func (d *decoder) member() (err error) {
	if d.gz == nil {
		d.gz, err = gzip.NewReader(d.br)
	} else {
		err = d.gz.Reset(d.br)
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return d.fail(err)
	}
	d.gz.Multistream(false)
	d.inMember = true
	return nil
}

// moreGzip reports whether another member follows; err is io.EOF if there is nothing but zeros.
func (d *decoder) moreGzip() (bool, error) {
	for {
		b, err := d.br.Peek(1)
		switch {
		case errors.Is(err, io.EOF):
			return false, io.EOF
		case err != nil:
			return false, d.fail(err)
		case b[0] == 0:
			if _, err := d.br.Discard(1); err != nil {
				return false, d.fail(err)
			}
		case b[0] != 0x1F:
			return false, &Error{Off: d.out, Why: "gzip: garbage behind the compressed data", Kind: ErrArchive}
		default:
			return true, nil
		}
	}
}

// fail turns an error of a decoder into one of this package; nil and io.EOF stay.
func (d *decoder) fail(err error) error {
	switch {
	case err == nil || err == io.EOF:
		return err
	case d.in.err != nil:
		return readError(d.out, d.in.err)
	case errors.Is(err, zstd.ErrWindowSizeExceeded):
		return &Error{Off: d.out, Why: "zstd: window larger than 128 MiB: not supported", Kind: errors.ErrUnsupported}
	case errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF):
		return &Error{Off: d.out, Why: d.kind.String() + ": compressed data ends early", Kind: ErrArchive}
	}
	return &Error{Off: d.out, Why: d.kind.String() + ": " + err.Error(), Kind: ErrArchive}
}
