package tartree

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	stdgzip "compress/gzip"

	"github.com/klauspost/compress/zstd"
)

func gz(t testing.TB, s string) string {
	t.Helper()
	var b bytes.Buffer
	w := stdgzip.NewWriter(&b)
	if _, err := io.WriteString(w, s); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func zst(t testing.TB, s string) string {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return string(w.EncodeAll([]byte(s), nil))
}

// skippable returns a skippable frame of zstd.
func skippable(n byte, s string) string {
	b := []byte{0x50 + n, 0x2A, 0x4D, 0x18}
	return string(binary.LittleEndian.AppendUint32(b, uint32(len(s)))) + s
}

// text returns n bytes, up to 5 MiB, that compress a little.
func text(n int) string { return someText()[:n] }

var someText = sync.OnceValue(func() string {
	r := rand.New(rand.NewPCG(3, 4))
	b := make([]byte, 5<<20)
	for i := range b {
		b[i] = "etaoin shrdlu\n0123456789"[r.IntN(24)]
	}
	return string(b)
})

func decompress(in io.Reader) (string, Compression, error) {
	var tap bytes.Buffer
	d, c, err := DecompressTap(in, &tap)
	if err != nil {
		return "", c, err
	}
	b, err := io.ReadAll(d)
	if err == nil && tap.String() != string(b) {
		err = errors.New("tap got something else")
	}
	return string(b), c, errors.Join(err, d.Close())
}

func TestDecompress(t *testing.T) {
	a, b := text(1<<20+7), text(700000)[5:]
	for _, c := range []struct {
		name, in, want string
		kind           Compression
	}{
		{"plain", a, a, None},
		{"nothing", "", "", None},
		{"short", "x", "x", None},
		{"gzip", gz(t, a), a, Gzip},
		{"gzip of nothing", gz(t, ""), "", Gzip},
		{"gzip members", gz(t, a) + gz(t, "") + gz(t, b) + gz(t, "x"), a + b + "x", Gzip},
		{"gzip with zeros behind", gz(t, a) + strings.Repeat("\x00", 100000), a, Gzip},
		{"gzip header with everything", gzipHeader(t, "x"), "x", Gzip},
		{"zstd", zst(t, a), a, Zstd},
		{"zstd of nothing", zst(t, ""), "", Zstd},
		{"zstd frames", zst(t, a) + zst(t, "") + zst(t, b), a + b, Zstd},
		{"skippable frames", skippable(0, "skip") + skippable(15, "") + zst(t, a) + skippable(7, text(100000)) + zst(t, b) + skippable(3, "x"), a + b, Zstd},
		{"only a skippable frame", skippable(1, "skip"), "", Zstd},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, in := range []io.Reader{strings.NewReader(c.in), iotest.HalfReader(strings.NewReader(c.in)), iotest.DataErrReader(strings.NewReader(c.in))} {
				got, kind, err := decompress(in)
				if err != nil || kind != c.kind || got != c.want {
					t.Fatalf("got %d bytes, %v, %v; want %d bytes, %v", len(got), kind, err, len(c.want), c.kind)
				}
			}
		})
	}
}

// gzipHeader returns a member with extra field, name, comment and header checksum (RFC 1952, 2.3).
func gzipHeader(t *testing.T, s string) string {
	h := "\x1f\x8b\x08\x1f\x01\x02\x03\x04\x00\x03" + "\x04\x00abcd" + "name\x00" + "comment\x00"
	h += string(binary.LittleEndian.AppendUint16(nil, uint16(crc32.ChecksumIEEE([]byte(h)))))
	return h + gz(t, s)[10:]
}

func TestBadCompressedData(t *testing.T) {
	a := text(300000)
	g, z := gz(t, a), zst(t, a)
	flip := func(s string, at int) string {
		b := []byte(s)
		b[(at+len(b))%len(b)] ^= 0x10
		return string(b)
	}
	for _, c := range []struct{ name, in, want string }{
		{"gzip cut", g[:len(g)-9], fmt.Sprintf("gzip: compressed data ends early, at byte %d of the input", len(g)-9)},
		{"gzip cut in the header", g[:8], "gzip: compressed data ends early, at byte 8 of the input"},
		{"gzip cut in the magic", g[:2], "gzip: compressed data ends early, at byte 2 of the input"},
		{"gzip cut in the extra field", "\x1f\x8b\x08\x04\x00\x00\x00\x00\x00\xff", "gzip: compressed data ends early"},
		{"gzip checksum", flip(g, -6), "gzip: "},
		{"gzip length", flip(g, -2), "gzip: "},
		{"gzip data", flip(g, 500), "gzip: "},
		{"gzip with garbage", g + "garbage", "offset 300000: gzip: garbage behind the compressed data"},
		{"gzip behind zeros", g + "\x00\x00" + g, "offset 300000: gzip: garbage behind the compressed data"},
		{"gzip with a reserved flag", g[:3] + "\x20" + g[4:], "gzip: reserved flag of a member's header is wrong"},
		{"another method", "\x1f\x8b\x07" + g[3:], "gzip: header of a member is wrong"},
		{"gzip with half a header", g + "\x1f\x8b\x08", "gzip: compressed data ends early"},
		{"gzip with another method", g + "\x1f\x8b\x07\x00\x00\x00\x00\x00\x00\x00", "gzip: "},
		{"zstd cut", z[:len(z)-9], fmt.Sprintf("zstd: compressed data ends early, at byte %d of the input", len(z)-9)},
		{"zstd checksum", flip(z, -1), "zstd: "},
		{"zstd with garbage", z + "garbage!", "zstd: "},
		{"skippable frame cut", z + skippable(0, "skip")[:9], "zstd: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := decompress(strings.NewReader(c.in))
			var e *Error
			if !errors.As(err, &e) || !errors.Is(err, ErrArchive) || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "tartree: offset ") {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

func TestEveryTruncationOfCompressedData(t *testing.T) {
	want := text(3000)
	for _, whole := range []string{gz(t, want[:1000]) + gz(t, want[1000:]), skippable(0, "s") + zst(t, want[:1000]) + zst(t, want[1000:])} {
		for n := 4; n < len(whole); n++ {
			got, _, err := decompress(strings.NewReader(whole[:n]))
			if !strings.HasPrefix(want, got) || err == nil && len(got) != 0 && len(got) != 1000 {
				t.Fatalf("cut at %d: %d bytes, %v", n, len(got), err)
			}
		}
	}
}

func TestUnsupportedCompression(t *testing.T) {
	wide := []byte{0x28, 0xB5, 0x2F, 0xFD, 0x00, (28 - 10) << 3, 1, 0, 0} // a window of 256 MiB
	for name, in := range map[string]string{
		"xz": "\xFD7zXZ\x00\x00\x00\x00\x00", "bzip2": "BZh91AY&SY\x00\x00", "lz4": "\x04\x22\x4D\x18\x00\x00", "wide zstd": string(wide),
	} {
		if _, _, err := decompress(strings.NewReader(in)); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, c, err := decompress(strings.NewReader("BZh9 is the name of a file")); err != nil || c != None {
		t.Errorf("got %v, %v", c, err)
	}
}

func TestDecompressPassesFailuresOfTheSourceOn(t *testing.T) {
	broken := errors.New("broken")
	a := text(300000)
	for _, in := range []string{a, gz(t, a), zst(t, a)} {
		for _, n := range []int{0, 2, 100, len(in) / 2} {
			_, _, err := decompress(io.MultiReader(strings.NewReader(in[:n]), brokenReader{broken}))
			if !errors.Is(err, broken) || errors.Is(err, ErrArchive) {
				t.Errorf("after %d bytes: got %v", n, err)
			}
		}
	}
	if _, _, err := decompress(io.MultiReader(strings.NewReader(gz(t, a)), brokenReader{broken})); !errors.Is(err, broken) {
		t.Errorf("behind the last member: got %v", err)
	}
	if _, _, err := decompress(io.MultiReader(strings.NewReader(a), stalled{})); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("got %v", err)
	}
}

func TestTapFailureEndsTheStream(t *testing.T) {
	broken := errors.New("broken")
	d, _, err := DecompressTap(strings.NewReader(text(5<<20)), brokenWriter{broken})
	if err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, struct{ io.Reader }{d})
	if n != 5<<20 || !errors.Is(err, broken) {
		t.Errorf("got %d bytes, %v", n, err)
	}
}

func TestCloseEndsTheGoroutines(t *testing.T) {
	before := runtime.NumGoroutine()
	in := gz(t, text(4<<20))
	for _, read := range []int{0, 1, 3 << 20} {
		for _, tap := range []io.Writer{nil, io.Discard} {
			d, _, err := DecompressTap(strings.NewReader(in), tap)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.CopyN(io.Discard, struct{ io.Reader }{d}, int64(read)); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if err := d.Close(); err != nil {
					t.Error(err)
				}
			}
			if _, err := d.Read(make([]byte, 1)); err == nil {
				t.Error("read after Close")
			}
		}
	}
	for range 100 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d goroutines, %d before", runtime.NumGoroutine(), before)
}

func TestReadOfACompressedLayer(t *testing.T) {
	archive := everything() + text(1000)
	want := dump(t, read(t, archive, Options{}))
	for _, in := range []string{archive, gz(t, archive), zst(t, archive)} {
		var tap bytes.Buffer
		d, _, err := DecompressTap(strings.NewReader(in), &tap)
		if err != nil {
			t.Fatal(err)
		}
		tr, err := Read(d, spool{1}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got := dump(t, tr); got != want {
			t.Errorf("got %s", got)
		}
		if _, err := io.Copy(io.Discard, d); err != nil || tap.String() != archive {
			t.Errorf("tap got %d bytes of %d, %v", tap.Len(), len(archive), err)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
}

// manyMembers returns gzip data whose members are decoded side by side.
func manyMembers(t testing.TB) (in, want string) {
	t.Helper()
	want = text(5 << 20)
	var b strings.Builder
	for i := 0; i < len(want); i += 100000 {
		b.WriteString(gz(t, want[i:min(i+100000, len(want))]))
	}
	return b.String(), want
}

func TestMembersSideBySide(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4))
	in, want := manyMembers(t)
	if got, kind, err := decompress(iotest.HalfReader(strings.NewReader(in))); err != nil || kind != Gzip || got != want {
		t.Fatalf("%d bytes, %v, %v", len(got), kind, err)
	}
	bad := []byte(in)
	bad[len(bad)/2] ^= 4
	_, _, err := decompress(bytes.NewReader(bad))
	runtime.GOMAXPROCS(1)
	_, _, alone := decompress(bytes.NewReader(bad))
	if !errors.Is(err, ErrArchive) || alone == nil || err.Error() != alone.Error() {
		t.Errorf("side by side: %v; alone: %v", err, alone)
	}
	runtime.GOMAXPROCS(4)
	broken := errors.New("broken")
	if _, _, err := decompress(io.MultiReader(strings.NewReader(in[:len(in)-1000]), iotest.ErrReader(broken))); !errors.Is(err, broken) || errors.Is(err, ErrArchive) {
		t.Errorf("source fails: %v", err)
	}
}

// A context, or Close, ends all goroutines, wherever they are.
func TestContextEndsDecompress(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4))
	in, want := manyMembers(t)
	single := gz(t, want+want)
	for _, in := range []string{in, single, want, zst(t, want)} {
		before := runtime.NumGoroutine()
		ctx, cancel := context.WithCancelCause(t.Context())
		r, _, err := DecompressContext(ctx, strings.NewReader(in+in), io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(r, make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
		why := errors.New("enough")
		cancel(why)
		n, err := io.Copy(io.Discard, struct{ io.Reader }{r})
		if !errors.Is(err, why) || n > 5<<20 {
			t.Errorf("%d more bytes, %v", n, err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		r, _, err = DecompressContext(t.Context(), strings.NewReader(in), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(r, make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		for i := 0; runtime.NumGoroutine() > before; i++ {
			if time.Sleep(time.Millisecond); i > 2000 {
				t.Fatalf("%d goroutines more than before", runtime.NumGoroutine()-before)
			}
		}
	}
}

// All that decoding one member allocates is 1 MiB.
func TestGzipTakesOneMiB(t *testing.T) {
	in := gz(t, text(5<<20)+text(5<<20))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r, _, err := DecompressTap(strings.NewReader(in), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, r)
	runtime.ReadMemStats(&after)
	if err := errors.Join(err, r.Close()); n != 10<<20 || err != nil {
		t.Fatalf("%d bytes, %v", n, err)
	}
	if got := after.TotalAlloc - before.TotalAlloc; got > 1<<20+64<<10 { // goroutines, and what the runtime rounds up to
		t.Errorf("%d KiB", got>>10)
	}
}

// endless gives itself over and over.
type endless string

func (e endless) Read(p []byte) (n int, err error) {
	for len(p)-n >= len(e) {
		n += copy(p[n:], e)
	}
	return n, nil
}

func TestContextEndsWhatDecodesToNothing(t *testing.T) {
	header := "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
	for _, procs := range []int{1, 4} {
		func() {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
			for name, source := range map[string]struct {
				head string
				loop endless
			}{
				"blocks": {header, "\x00\x00\x00\xff\xff"}, "members": {gz(t, "x"), endless(gz(t, ""))}, "zeros": {gz(t, "x"), "\x00"},
				"skippable frames": {zst(t, "x"), "\x50\x2a\x4d\x18\x00\x00\x00\x00"},
			} {
				ctx, cancel := context.WithCancelCause(t.Context())
				r, _, err := DecompressContext(ctx, io.MultiReader(strings.NewReader(source.head), source.loop), io.Discard)
				if err != nil {
					t.Fatal(err)
				}
				why := errors.New("enough")
				time.AfterFunc(20*time.Millisecond, func() { cancel(why) })
				if _, err := io.Copy(io.Discard, struct{ io.Reader }{r}); !errors.Is(err, why) { // or the test takes for ever
					t.Errorf("%s: %v", name, err)
				}
				if err := r.Close(); err != nil {
					t.Error(err)
				}
			}
		}()
	}
}

// partial takes left bytes, then it fails, or only says how many it took.
type partial struct {
	left int
	err  error
}

func (w *partial) Write(p []byte) (int, error) {
	n := min(len(p), w.left)
	if w.left -= n; n < len(p) {
		return n, w.err
	}
	return n, nil
}

func TestWriteToLosesNothing(t *testing.T) {
	want := text(1 << 20)
	for _, full := range []error{errors.New("full"), nil} {
		for _, in := range []string{want, gz(t, want), zst(t, want)} {
			r, _, err := Decompress(strings.NewReader(in))
			if err != nil {
				t.Fatal(err)
			}
			n, err := r.(io.WriterTo).WriteTo(&partial{5000, full})
			if n != 5000 || full != nil && err != full || full == nil && err != io.ErrShortWrite {
				t.Errorf("%d bytes, %v", n, err)
			}
			if rest, err := io.ReadAll(r); err != nil || string(rest) != want[5000:] {
				t.Errorf("%d of %d bytes are left, %v", len(rest), len(want)-5000, err)
			}
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	r, _, err := DecompressTap(strings.NewReader(gz(t, want)), &partial{5000, nil})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, r); err != io.ErrShortWrite {
		t.Errorf("a tap that takes less: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}
