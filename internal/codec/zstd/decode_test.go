package zstd

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// peerFrame returns what the encoder of klauspost/compress makes of data.
func peerFrame(t testing.TB, data []byte, window int) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(window), zstd.WithEncoderLevel(zstd.SpeedBetterCompression))
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll(data, nil)
}

func TestDecodeWhatOthersEncode(t *testing.T) {
	for name, data := range samples(40000) {
		for _, log := range []int{10, 15, 17} {
			in := peerFrame(t, data, 1<<log)
			for _, n := range []int{1, 4096, 20000, len(data)} {
				checkDecode(t, in, data[:n], log)
			}
			if err := Decode(make([]byte, len(data)+1), in, log); err != io.ErrUnexpectedEOF {
				t.Fatalf("%s: one byte more than there is: %v", name, err)
			}
		}
	}
}

func TestDecodeOfEveryTruncation(t *testing.T) {
	data := samples(3000)["text"]
	e := newEncoder(t, Options{})
	in := make([]byte, 3000)
	n, c := e.FitDst(in, data)
	for n := range n {
		if Decode(make([]byte, c), in[:n:n], MaxWindowLog) == nil {
			t.Fatalf("no error with %d bytes", n)
		}
	}
}

func TestDecodeBoundsTheWindow(t *testing.T) {
	data := samples(100000)["text"]
	for log := 11; log <= 17; log++ {
		in := peerFrame(t, data, 1<<log)
		var e CorruptError
		if err := Decode(make([]byte, 100), in, log-1); !errors.As(err, &e) {
			t.Errorf("window of 1<<%d bytes: %v", log, err)
		}
	}
}

// Frames may say anything about their length; it costs no memory.
func TestDecodeOfBombs(t *testing.T) {
	block := []byte{1 | 1<<1, 0, 1 << 4, 'x'} // the last one, 128 KiB of x
	for name, c := range map[string]struct {
		header []byte
		n      int
		ok     bool
	}{
		"a single segment of an exabyte": {[]byte{0x28, 0xB5, 0x2F, 0xFD, 0xE0, 0, 0, 0, 0, 0, 0, 0, 0x10}, 100, false},
		"a window of 3.75 TiB":           {[]byte{0x28, 0xB5, 0x2F, 0xFD, 0x00, 0xFF}, 100, false},
		"content of an exabyte":          {[]byte{0x28, 0xB5, 0x2F, 0xFD, 0xC0, 10 << 3, 0, 0, 0, 0, 0, 0, 0, 0x10}, 100, true},
		"nothing about its length":       {[]byte{0x28, 0xB5, 0x2F, 0xFD, 0x00, 10 << 3}, 128 << 10, true},
		"a dictionary":                   {[]byte{0x28, 0xB5, 0x2F, 0xFD, 0x01, 10 << 3, 7}, 100, false},
	} {
		in := append(bytes.Clone(c.header), block...)
		in[len(c.header)+2] = 0x10 // 128 KiB << 3
		dst := make([]byte, c.n)
		if err := Decode(dst, in, MaxWindowLog); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range 4 {
			_ = Decode(dst, in, MaxWindowLog) // its error is checked above
		}
		runtime.ReadMemStats(&after)
		if n := (after.TotalAlloc - before.TotalAlloc) / 4; n > 4<<20 {
			t.Errorf("%s: %d bytes allocated", name, n)
		}
	}
}
