package convert

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/laminafs/lamina/internal/disk"
	"github.com/laminafs/lamina/mkfs"
	"github.com/laminafs/lamina/tartree"
	"github.com/laminafs/lamina/tree"
)

var errTest = errors.New("from the test")

// forms are all conversions of one layer.
var forms = map[string]func(in io.Reader, out *os.File, o Options) (Result, error){
	"layer":  func(in io.Reader, out *os.File, o Options) (Result, error) { return Layer(in, out, o) },
	"index":  func(in io.Reader, out *os.File, o Options) (Result, error) { return Index(in, out, o) },
	"single": IndexedTar,
	"both": func(in io.Reader, out *os.File, o Options) (Result, error) {
		return IndexAndTar(in, out, io.Discard, o)
	},
}

// noneLeft wants no more goroutines than before. They may end a moment after those who waited for them.
func noneLeft(t *testing.T, before int) {
	t.Helper()
	for range 100 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	buf := make([]byte, 1<<16)
	t.Errorf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
}

func TestErrorsOfEditArePassedOnAndLeaveNothing(t *testing.T) {
	plain := archive(t)
	before := runtime.NumGoroutine()
	for name, convert := range forms {
		for compression, layer := range compressed(t, plain) {
			o := Options{Edit: func(*tree.Tree) error { return errTest }}
			o.Mkfs.TempDir = t.TempDir()
			if _, err := convert(bytes.NewReader(layer), temp(t), o); !errors.Is(err, errTest) {
				t.Errorf("%s of %s: %v", name, compression, err)
			}
			if list, _ := os.ReadDir(o.Mkfs.TempDir); len(list) != 0 {
				t.Errorf("%s of %s: left: %v", name, compression, list)
			}
		}
	}
	noneLeft(t, before)
}

// failing is a writer that fails after n bytes.
type failing struct{ n int }

func (f *failing) Write(p []byte) (int, error) {
	if f.n -= len(p); f.n < 0 {
		return 0, errTest
	}
	return len(p), nil
}

func TestErrorsOfTheTarBesideAnIndexArePassedOn(t *testing.T) {
	plain := archive(t)
	before := runtime.NumGoroutine()
	for name, layer := range compressed(t, plain) {
		for _, after := range []int{0, 1000, len(plain) - 1} { // the last one only if the tail is written too
			_, err := IndexAndTar(bytes.NewReader(layer), temp(t), &failing{after}, Options{})
			if !errors.Is(err, errTest) {
				t.Errorf("%s, after %d of %d bytes: %v", name, after, len(plain), err)
			}
		}
	}
	noneLeft(t, before)
}

func TestIndexAndTarWritesEveryByteOfTheTar(t *testing.T) {
	plain := archive(t)
	var want []byte
	for name, layer := range compressed(t, plain) {
		var out bytes.Buffer
		f, g := temp(t), temp(t)
		if _, err := IndexAndTar(bytes.NewReader(layer), f, &out, Options{}); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !bytes.Equal(out.Bytes(), plain) {
			t.Errorf("%s: %d bytes of %d, or other ones", name, out.Len(), len(plain))
		}
		if _, err := Index(bytes.NewReader(plain), g, Options{}); err != nil {
			t.Fatal(err)
		}
		got, _ := os.ReadFile(f.Name())
		if want, _ = os.ReadFile(g.Name()); !bytes.Equal(got, want) {
			t.Errorf("%s: another index than Index makes", name)
		}
	}
}

func TestOneLevelOfCompressionIsTheRule(t *testing.T) {
	once := compressed(t, archive(t))
	var twice bytes.Buffer
	w := gzip.NewWriter(&twice)
	_, _ = w.Write(once["gzip"])
	_ = w.Close()
	for name, convert := range forms {
		if r, err := convert(bytes.NewReader(twice.Bytes()), temp(t), Options{}); !errors.Is(err, tartree.ErrArchive) {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}

func TestDigestIsThatOfTheUncompressedTar(t *testing.T) {
	for name, convert := range forms {
		for compression, layer := range compressed(t, archive(t)) {
			r, err := convert(bytes.NewReader(layer), temp(t), Options{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := convert(bytes.NewReader(layer), temp(t), Options{DiffID: r.DiffID}); err != nil {
				t.Errorf("%s of %s: %v", name, compression, err)
			}
			var wrong *DigestError
			_, err = convert(bytes.NewReader(layer), temp(t), Options{DiffID: "sha256:00"})
			if !errors.As(err, &wrong) || wrong.Got != r.DiffID {
				t.Errorf("%s of %s: %v", name, compression, err)
			}
		}
	}
}

func TestStreamsThatLostTheirEndAreTold(t *testing.T) {
	plain := archive(t)
	whole := plain[:len(plain)-7*512]
	for name, c := range map[string]struct {
		in   []byte
		gzip bool
		warn bool
		fail bool
	}{
		"nothing":          {in: nil, fail: true},
		"nothing, gzip":    {in: nil, gzip: true, fail: true},
		"no end mark":      {in: noise(t)[:512+100_352], warn: true},
		"half an end mark": {in: noise(t)[:512+100_352+512]},
		"zeros at the cut": {in: append(noise(t)[:512+100_352-2048:512+100_352-2048], make([]byte, 2048)...), warn: true},
		"an end mark":      {in: whole},
		"a tail":           {in: plain},
		"an empty archive": {in: make([]byte, 1024)},
	} {
		in := c.in
		if c.gzip {
			in = compressed(t, c.in)["gzip"]
		}
		var said []string
		o := Options{Tar: tartree.Options{Warn: func(w tartree.Warning) { said = append(said, w.Text) }}}
		_, err := Layer(bytes.NewReader(in), temp(t), o)
		if c.fail != errors.Is(err, tartree.ErrArchive) || !c.fail && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := strings.Contains(strings.Join(said, ""), "no end mark"); got != c.warn {
			t.Errorf("%s: warnings %q", name, said)
		}
	}
}

// dropped is an output that loses what is written at an offset.
type dropped struct {
	mkfs.File
	at int64
}

func (d *dropped) WriteAt(p []byte, off int64) (int, error) {
	if off <= d.at && d.at < off+int64(len(p)) {
		p = bytes.Clone(p)
		clear(p)
	}
	return d.File.WriteAt(p, off)
}

func TestReadBackSeesWhatTheOutputLost(t *testing.T) {
	good := temp(t)
	r, err := Layer(bytes.NewReader(archive(t)), good, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := ReadBack(good); err != nil {
		t.Fatal(err)
	}
	im, err := os.ReadFile(good.Name())
	if err != nil {
		t.Fatal(err)
	}
	var sb disk.Superblock
	sb.Decode((*[disk.SuperSize]byte)(im[disk.SuperOffset:]))
	root := int64(sb.MetaBlkAddr)<<sb.BlockBits + int64(sb.RootNID())*32
	for name, at := range map[string]int64{"superblock": disk.SuperOffset, "root directory": root} {
		bad := temp(t)
		if _, err := Layer(bytes.NewReader(archive(t)), &dropped{bad, at}, Options{}); err != nil {
			t.Fatal(err)
		}
		if err := ReadBack(bad); err == nil {
			t.Errorf("the %s is lost, nobody says so (image of %d bytes)", name, r.Size)
		}
	}
}
