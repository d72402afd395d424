package zstd

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/zstd"

	"github.com/laminafs/lamina/internal/oracle"
)

// peerStream returns a frame of unknown length, as it is written to a pipe.
func peerStream(t testing.TB, data []byte, o ...zstd.EOption) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b, append(o, zstd.WithEncoderConcurrency(1))...)
	if err == nil {
		_, err = w.Write(data)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// skippableFrame returns a skippable frame of n bytes.
func skippableFrame(n int) []byte {
	b := binary.LittleEndian.AppendUint32(nil, skippable+7)
	return append(binary.LittleEndian.AppendUint32(b, uint32(n)), make([]byte, n)...)
}

// readAll reads what NewReader makes of r.
func readAll(r io.Reader, maxWindow int) ([]byte, error) { return io.ReadAll(NewReader(r, maxWindow)) }

// checkReader decodes by several sources, with the twin of the loops too.
func checkReader(t testing.TB, name string, in, want []byte) {
	t.Helper()
	check := func() {
		t.Helper()
		for _, r := range []io.Reader{bytes.NewReader(in), iotest.HalfReader(bytes.NewReader(in)), iotest.DataErrReader(bytes.NewReader(in)), &idle{r: bytes.NewReader(in)}} {
			if got, err := readAll(r, 128<<20); err != nil || !bytes.Equal(got, want) {
				t.Fatalf("%s: %d bytes of %d, %v", name, len(got), len(want), err)
			}
		}
	}
	check()
	twin(check)
}

// idle returns nothing each other time.
type idle struct {
	r    io.Reader
	even bool
}

func (i *idle) Read(p []byte) (int, error) {
	if i.even = !i.even; i.even {
		return 0, nil
	}
	return i.r.Read(p)
}

func TestReaderReadsWhatOthersEncode(t *testing.T) {
	levels := []zstd.EncoderLevel{zstd.SpeedFastest, zstd.SpeedDefault, zstd.SpeedBetterCompression, zstd.SpeedBestCompression}
	for name, data := range samples(300000) {
		for i, window := range []int{1 << 10, 1 << 12, 1 << 16, 1 << 17, 1 << 20} {
			level := levels[i%len(levels)]
			checkReader(t, name, peerStream(t, data, zstd.WithWindowSize(window), zstd.WithEncoderLevel(level), zstd.WithEncoderCRC(i != 2)), data)
		}
		two := append(append(peerStream(t, data[:1000]), skippableFrame(100)...), peerFrame(t, data[1000:], 1<<14)...)
		checkReader(t, name, append(append(skippableFrame(0), two...), peerStream(t, nil)...), data)
	}
	checkReader(t, "nothing", nil, nil)
}

// Content whose length is near a window, a block, or both, fills the ring to its last byte or not.
func TestReaderWrapsItsRing(t *testing.T) {
	for name, data := range samples(20000) {
		for _, n := range []int{1, 1023, 1024, 1025, 2047, 2048, 2049, 2048 + 2*copySlack - 1, 2048 + 2*copySlack, 3100, 4096, 10000, 20000} {
			checkReader(t, name, peerStream(t, data[:n], zstd.WithWindowSize(1<<10)), data[:n])
		}
	}
	large := samples(3 << 20)
	for _, name := range []string{"text", "any distance", "mixed"} {
		checkReader(t, name, peerStream(t, large[name], zstd.WithWindowSize(1<<18), zstd.WithEncoderLevel(zstd.SpeedBestCompression)), large[name])
	}
}

func TestReaderReadsWhatTheCommandWrites(t *testing.T) {
	path := oracle.Need(t, "zstd")
	for name, data := range samples(300000) {
		if testing.Short() && name != "mixed" || strings.HasPrefix(name, "distance") {
			continue
		}
		for _, args := range []string{"--fast=5 --no-check", "-1", "-3", "-9", "-13", "-19", "--ultra -22 --long=27", "-3 --long=17", "--zstd=wlog=10,strat=5"} {
			cmd := exec.Command(path, append(strings.Fields(args), "-q", "-c", "--single-thread")...)
			cmd.Stdin = bytes.NewReader(data)
			in, err := cmd.Output()
			if err != nil {
				t.Fatal(args, err)
			}
			if got, err := readAll(bytes.NewReader(in), 128<<20); err != nil || !bytes.Equal(got, data) {
				t.Fatalf("%s, %s: %d bytes, %v", name, args, len(got), err)
			}
			twin(func() {
				if got, err := readAll(iotest.HalfReader(bytes.NewReader(in)), 128<<20); err != nil || !bytes.Equal(got, data) {
					t.Fatalf("%s, %s: %d bytes, %v", name, args, len(got), err)
				}
			})
		}
	}
}

// Whatever a source does, its error is passed on as it is, behind all that was decoded.
func TestReaderPassesFailuresOfItsSourceOn(t *testing.T) {
	data := samples(300000)["text"]
	in := append(skippableFrame(10), peerStream(t, data, zstd.WithWindowSize(1<<12))...)
	for _, broken := range []error{errors.New("broken"), io.ErrUnexpectedEOF, CorruptError("its own"), fmt.Errorf("wrapped: %w", io.EOF)} {
		before := 0
		for n := 0; n <= len(in); n += 1 + len(in)/97 {
			got, err := readAll(io.MultiReader(bytes.NewReader(in[:n]), iotest.ErrReader(broken)), 1<<20)
			if err != broken || !bytes.HasPrefix(data, got) || len(got) < before {
				t.Fatalf("after %d bytes: %d bytes, %v", n, len(got), err)
			}
			before = len(got)
		}
		if before < len(data)*9/10 {
			t.Errorf("%d bytes of %d are given", before, len(data))
		}
		last := &lastGasp{in, broken}
		if got, err := readAll(last, 1<<20); err != broken || !bytes.Equal(got, data) {
			t.Errorf("with the last bytes: %d bytes, %v", len(got), err)
		}
	}
	small := peerStream(t, data[:3000], zstd.WithWindowSize(1<<12))
	broken := errors.New("broken")
	if got, err := readAll(io.MultiReader(bytes.NewReader(small[:len(small)-2]), iotest.ErrReader(broken)), 1<<20); err != broken || len(got) > 0 {
		t.Errorf("within the checksum: %d bytes are given, %v", len(got), err)
	}
	if _, err := readAll(io.MultiReader(bytes.NewReader(in[:50]), stalled{}), 1<<20); err != io.ErrNoProgress {
		t.Errorf("a source that returns nothing: %v", err)
	}
}

type stalled struct{}

func (stalled) Read([]byte) (int, error) { return 0, nil }

// lastGasp returns all that it has with an error, once.
type lastGasp struct {
	b   []byte
	err error
}

func (l *lastGasp) Read(p []byte) (int, error) {
	n := copy(p, l.b)
	if l.b = l.b[n:]; len(l.b) > 0 {
		return n, nil
	}
	return n, l.err
}

func TestReaderOfEveryTruncation(t *testing.T) {
	data := samples(3000)["mixed"]
	first := peerStream(t, data[:2000], zstd.WithWindowSize(1<<10))
	in := append(append(bytes.Clone(first), skippableFrame(9)...), peerFrame(t, data[2000:], 1<<10)...)
	for n := range len(in) {
		got, err := readAll(bytes.NewReader(in[:n]), 1<<20)
		whole := n == 0 || n == len(first) || n == len(first)+17
		var e *DataError
		if !bytes.HasPrefix(data, got) || (err == nil) != whole || !whole && (!errors.As(err, &e) || e.Why != io.ErrUnexpectedEOF || e.In > int64(n) || e.Out != int64(len(got))) {
			t.Fatalf("cut at %d: %d bytes, %v", n, len(got), err)
		}
	}
}

func TestReaderSaysWhatIsWrong(t *testing.T) {
	data := samples(50000)["text"]
	stream := peerStream(t, data, zstd.WithWindowSize(1<<12))
	sum := bytes.Clone(stream)
	sum[len(sum)-1] ^= 1
	lying := func(n uint32) []byte { // one block of three bytes
		b := append(binary.LittleEndian.AppendUint32(nil, magic), 0x80, 0)
		return append(binary.LittleEndian.AppendUint32(b, n), 3<<3|1, 0, 0, 'a', 'b', 'c')
	}
	checkReader(t, "its length is right", lying(3), []byte("abc"))
	for name, c := range map[string]struct {
		in   []byte
		at   int
		want string
	}{
		"checksum":     {sum, len(sum) - 4, "checksum of the frame is wrong"},
		"garbage":      {append(bytes.Clone(stream), "garbage"...), len(stream), "no frame follows"},
		"zeros":        {append(bytes.Clone(stream), 0, 0, 0, 0, 0, 0), len(stream), "no frame follows"},
		"too short":    {lying(4), 10, "length of the frame is wrong"},
		"too long":     {lying(2), 10, "length of the frame is wrong"},
		"no content":   {lying(0), 10, "length of the frame is wrong"},
		"block type":   {append(stream[:6:6], 7, 0, 0), 6, "type of a block is wrong"},
		"block length": {append(stream[:6:6], 1, 0, 1), 6, "length of a block is wrong"},
		"reserved bit": {append(stream[:4:4], 8, 0, 0), 0, "reserved bit of the frame header is set"},
		"dictionary":   {append(stream[:4:4], 1, 0, 1), 0, "frame needs a dictionary"},
	} {
		_, err := readAll(bytes.NewReader(c.in), 1<<20)
		var e *DataError
		if !errors.As(err, &e) || e.Why != CorruptError(c.want) || e.In != int64(c.at) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q at %d", name, err, c.want, c.at)
		}
	}
}

func TestReaderBoundsTheWindow(t *testing.T) {
	data := samples(300000)["text"]
	in := peerStream(t, data, zstd.WithWindowSize(1<<18))
	for max, ok := range map[int]bool{1 << 18: true, 1<<18 - 1: false, 0: false} {
		got, err := readAll(bytes.NewReader(in), max)
		var e *WindowError
		if ok && (err != nil || !bytes.Equal(got, data)) || !ok && (!errors.As(err, &e) || e.Window != 1<<18 || e.Max != max) {
			t.Errorf("at most %d: %v", max, err)
		}
	}
}

// A frame may announce a window of any size; memory comes with content.
func TestReaderAllocatesWithContent(t *testing.T) {
	head := append(binary.LittleEndian.AppendUint32(nil, magic), 0, (27-10)<<3)
	one := []byte{1 << 1, 0, 0x10, 'x'}                                                                 // 128 KiB of x
	for blocks, most := range map[int]uint64{1: 1 << 20, 10: 4 << 20, 100: 44 << 20, 1100: 173 << 20} { // a third more than the ring
		in := append(bytes.Clone(head), bytes.Repeat(one, blocks)...)
		in = append(in, 1, 0, 0)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		n, err := io.Copy(io.Discard, struct{ io.Reader }{NewReader(bytes.NewReader(in), 128<<20)})
		runtime.ReadMemStats(&after)
		if err != nil || n != int64(blocks)<<17 {
			t.Fatalf("%d bytes, %v", n, err)
		}
		if a := after.TotalAlloc - before.TotalAlloc; a > most {
			t.Errorf("%d blocks: %d bytes allocated", blocks, a)
		}
	}
}

// Flipped bits are found by the checksum; without one, both loops say the same.
func TestReaderOfDamage(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for name, data := range samples(30000) {
		for _, sum := range []bool{true, false} {
			in := peerStream(t, data, zstd.WithWindowSize(1<<12), zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithEncoderCRC(sum))
			for range 100 {
				bad := bytes.Clone(in)
				bad[r.IntN(len(bad))] ^= 1 << r.IntN(8)
				got, err := readAll(bytes.NewReader(bad), 1<<20)
				if sum && err == nil && !bytes.Equal(got, data) {
					t.Fatalf("%s: other data", name)
				}
				twin(func() {
					got2, err2 := readAll(bytes.NewReader(bad), 1<<20)
					if !bytes.Equal(got, got2) || fmt.Sprint(err) != fmt.Sprint(err2) {
						t.Fatalf("%s: %d bytes, %v; its twin %d, %v", name, len(got), err, len(got2), err2)
					}
				})
			}
		}
	}
}

func TestChecksum(t *testing.T) {
	// from the description of xxHash, and of its command
	for in, want := range map[string]uint64{"": 0xEF46DB3751D8E999, "a": 0xD24EC4F1A98C6E5B, "abc": 0x44BC2CF5AD770999, strings.Repeat("a", 32) + "b": 0} {
		var c checksum
		c.reset()
		c.update([]byte(in))
		if got := c.sum(); want != 0 && got != want {
			t.Errorf("%q: %#x, want %#x", in, got, want)
		}
	}
	data := samples(1000)["random"]
	r := rand.New(rand.NewPCG(1, 2))
	for n := range len(data) {
		sum := func() uint64 {
			var c checksum
			c.reset()
			for b := data[:n]; len(b) > 0; {
				k := 1 + r.IntN(len(b))
				c.update(b[:k])
				b = b[k:]
			}
			return c.sum()
		}
		var c checksum
		c.reset()
		c.update(data[:n])
		if want := c.sum(); sum() != want {
			t.Fatalf("%d bytes: pieces give another sum", n)
		}
		want := c.sum()
		twin(func() {
			if sum() != want {
				t.Fatalf("%d bytes: the twin gives another sum", n)
			}
		})
	}
}
