package zstd

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/zstd"
)

// most is how much of a stream is compared: four bytes may be 128 KiB.
const most = 4 << 20

// readMost decodes up to most bytes.
func readMost(z *Reader) ([]byte, error) { return io.ReadAll(io.LimitReader(z, most)) }

// peerMost decodes up to most bytes with the decoder of klauspost/compress.
func peerMost(t testing.TB, in []byte, window int) ([]byte, error) {
	t.Helper()
	d, err := zstd.NewReader(bytes.NewReader(in), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(uint64(window)))
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return io.ReadAll(io.LimitReader(d, most))
}

// known tells why one of the two decoders takes what the other one does not, if that is known.
func known(z *Reader, err, peer error) bool {
	if err == nil {
		// klauspost/compress refuses some descriptions of Huffman codes: with 255 weights, and those whose last bits end
		// a weight. libzstd takes them.
		return strings.HasPrefix(peer.Error(), "fse decompress returned")
	}
	// The last distance less 1 is 0: wrong by the description of the format and libzstd 1.5.6; klauspost/compress makes it 1, as
	// libzstd did.
	return errors.Is(err, corrupt("distance of a match")) && z.d.loop.dist <= 0
}

func FuzzReader(f *testing.F) {
	for _, data := range samples(3000) {
		// without a checksum, or it is all that is found wrong
		for _, level := range []zstd.EncoderLevel{zstd.SpeedFastest, zstd.SpeedBestCompression} {
			f.Add(peerStream(f, data, zstd.WithWindowSize(1<<10), zstd.WithEncoderLevel(level), zstd.WithEncoderCRC(false)), uint8(0))
		}
		f.Add(peerStream(f, data, zstd.WithWindowSize(1<<10), zstd.WithEncoderLevel(zstd.SpeedBestCompression)), uint8(0))
		f.Add(append(append(peerFrame(f, data[:700], 1<<12), skippableFrame(3)...), peerStream(f, data[:2000], zstd.WithWindowSize(1<<11))...), uint8(2))
	}
	f.Fuzz(func(t *testing.T, in []byte, log uint8) {
		if len(in) > 1<<16 {
			return
		}
		window := 1 << (MinWindowLog + log%8)
		z := NewReader(bytes.NewReader(in), window)
		got, err := readMost(z)
		var e *DataError
		if err != nil && (!errors.As(err, &e) || e.Out != int64(len(got)) || e.In > int64(len(in))) {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
		twin(func() {
			got2, err2 := readMost(NewReader(iotest.HalfReader(bytes.NewReader(in)), window))
			if !bytes.Equal(got, got2) || fmt.Sprint(err) != fmt.Sprint(err2) {
				t.Fatalf("%d bytes, %v; its twin %d, %v", len(got), err, len(got2), err2)
			}
		})
		want, perr := peerMost(t, in, window)
		n := min(len(got), len(want))
		if !bytes.Equal(got[:n], want[:n]) || err == nil && perr == nil && len(got) != len(want) {
			t.Fatalf("%d bytes, %v; klauspost/compress has %d others, %v", len(got), err, len(want), perr)
		}
		if (err == nil) != (perr == nil) && len(got) < most && len(want) < most && !known(z, err, perr) {
			t.Fatalf("%d bytes, %v; klauspost/compress: %d, %v", len(got), err, len(want), perr)
		}
	})
}

func FuzzDecode(f *testing.F) {
	e := newEncoder(f, Options{WindowLog: 12})
	for _, data := range samples(600) {
		f.Add(peerFrame(f, data, 1<<12), uint16(600))
		dst := make([]byte, 600)
		if n, c := e.FitDst(dst, data); n > 0 {
			f.Add(dst[:n], uint16(c))
		}
	}
	f.Fuzz(func(t *testing.T, in []byte, size uint16) {
		if size == 0 {
			return
		}
		got, twins := make([]byte, size), make([]byte, size)
		err := Decode(got, in, 12)
		twin(func() {
			if err2 := Decode(twins, in, 12); fmt.Sprint(err) != fmt.Sprint(err2) || err == nil && !bytes.Equal(got, twins) {
				t.Fatalf("%v; its twin %v", err, err2)
			}
		})
		if whole := DecodeWhole(twins, in, 12); whole == nil && (err != nil || !bytes.Equal(got, twins)) {
			t.Fatalf("the whole: %v; a part: %v", whole, err)
		}
		if err != nil {
			return
		}
		// as a stream, whose other frames may have less, or be wrong
		stream, _ := readMost(NewReader(bytes.NewReader(in), 1<<12))
		peer, _ := peerMost(t, in, 1<<12)
		for _, want := range [][]byte{stream, peer} {
			if n := min(len(want), len(got)); !bytes.Equal(got[:n], want[:n]) {
				t.Fatalf("%d bytes are others than those of a stream", n)
			}
		}
	})
}
