package tartree

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"strings"

	"github.com/laminafs/lamina/internal/codec/deflate"
	"github.com/laminafs/lamina/internal/codec/zstd"
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
	// command without --long. Memory of a Decompress is this at most, plus 2.5 MiB, and a quarter of it while the window
	// grows.
	maxWindow   = 128 << 20
	inputBuffer = 64 << 10
	headSize    = 10 // what recognize looks at
	// gzipWindow makes all that decoding gzip takes, but members side by side, 1 MiB.
	gzipWindow = 112 << 10
)

// Decompress returns the uncompressed form of r, which it recognizes by its first bytes: gzip, of any
// number of members, zstd, of any number of frames, skippable ones included, or anything else as it
// is. The returned reader is a Windower and an io.WriterTo. It decodes, or reads ahead, on a goroutine of
// its own, at most 1.5 MiB; Close ends that and waits for it, but leaves r open.
//
// Gzip takes 1 MiB. From the second member on, members are decoded on as many goroutines as there are processors, up
// to 8, and one more, with up to 6.5 MiB each: deflate.Stream.
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
	return DecompressContext(context.Background(), r, tap)
}

// DecompressContext is DecompressTap, tap may be nil, until ctx is done: then reading returns what it was cancelled
// with, as soon as a read of r that is under way has returned, behind what was decoded before.
func DecompressContext(ctx context.Context, r io.Reader, tap io.Writer) (io.ReadCloser, Compression, error) {
	g, kind, err := startDecoder(r, tap)
	if err != nil {
		return nil, kind, err
	}
	if ctx.Done() == nil {
		return g, kind, nil
	}
	stop := context.AfterFunc(ctx, func() { g.cancel(context.Cause(ctx)) })
	return &cancellable{g, stop}, kind, nil
}

// cancellable is a ring that a context ends.
type cancellable struct {
	*ring
	stop func() bool
}

// Close implements io.Closer.
func (c *cancellable) Close() error {
	c.stop()
	return c.ring.Close()
}

// startDecoder returns the ring in which a goroutine decodes.
func startDecoder(r io.Reader, tap io.Writer) (*ring, Compression, error) {
	in := &input{r: r}
	d := &decoder{br: bufio.NewReaderSize(in, inputBuffer)}
	head, err := d.br.Peek(headSize)
	if err != nil && err != io.EOF {
		return nil, None, d.fail(err)
	}
	kind, why := recognize(head)
	if why != "" {
		return nil, None, &Error{Off: 0, Why: why, Kind: errors.ErrUnsupported}
	}
	d.kind = kind
	size := ringWindow
	if kind == Gzip {
		size = deflate.MinBuffer + gzipWindow
	}
	g := newRing(size, tap)
	in.stop = g.stop
	switch kind {
	case None:
		g.start(d.plain)
	case Gzip:
		d.gz = deflate.NewStream(d.br, runtime.GOMAXPROCS(0))
		g.onStop, g.onClose = d.gz.Cancel, d.gz.Close
		g.start(d.gzip)
	default:
		// one goroutine: the blocks of a frame depend on each other, and more of them cost more than they bring
		d.zr = zstd.NewReader(d.br, maxWindow)
		g.start(d.zstd)
	}
	return g, kind, nil
}

// recognize tells the compression from the first bytes; why is set if it is one that is not supported.
func recognize(b []byte) (c Compression, why string) {
	switch {
	case bytes.HasPrefix(b, []byte{0x1F, 0x8B}):
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

// input is the source. It marks what that fails with, and ends when stop is closed: much that is read may decode to nothing.
type input struct {
	r    io.Reader
	stop <-chan struct{}
}

type sourceError struct{ error }

func (i *input) Read(p []byte) (int, error) {
	select {
	case <-i.stop:
		return 0, &sourceError{errClosed}
	default:
	}
	n, err := i.r.Read(p)
	if err != nil && err != io.EOF {
		err = &sourceError{err}
	}
	return n, err
}

// decoder fills buffers; it runs on the goroutine of a ring.
type decoder struct {
	kind Compression
	br   *bufio.Reader
	gz   *deflate.Stream
	zr   *zstd.Reader
	out  int64 // bytes so far
}

// plain reads once: what a pipe has is parsed at once.
func (d *decoder) plain(b []byte) (data, buffer []byte, err error) {
	n, err := d.br.Read(b)
	d.out += int64(n)
	return b[:n], b, d.fail(err)
}

func (d *decoder) gzip(b []byte) (data, buffer []byte, err error) {
	data, buffer, err = d.gz.Next(b)
	d.out += int64(len(data))
	return data, buffer, d.fail(err)
}

// zstd fills the buffer, but for an error.
func (d *decoder) zstd(b []byte) (data, buffer []byte, err error) {
	n := 0
	for n < len(b) && err == nil {
		var c int
		c, err = d.zr.Read(b[n:])
		n += c
	}
	d.out += int64(n)
	return b[:n], b, d.fail(err)
}

// fail turns an error of a decoder, or of its source, into one of this package; nil and io.EOF stay.
func (d *decoder) fail(err error) error {
	var source *sourceError
	var window *zstd.WindowError
	switch {
	case err == nil || err == io.EOF:
		return err
	case errors.As(err, &source):
		return readError(d.out, source.error)
	case err == io.ErrNoProgress:
		return readError(d.out, err)
	case errors.As(err, &window):
		return &Error{Off: d.out, Why: "zstd: window larger than 128 MiB: not supported", Kind: errors.ErrUnsupported}
	}
	why := strings.Replace(err.Error(), io.ErrUnexpectedEOF.Error(), "compressed data ends early", 1)
	return &Error{Off: d.out, Why: d.kind.String() + ": " + why, Kind: ErrArchive}
}
