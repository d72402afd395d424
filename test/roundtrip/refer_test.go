package roundtrip

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/laminafs/lamina/erofs"
	"github.com/laminafs/lamina/internal/convert"
	"github.com/laminafs/lamina/internal/oracle"
	"github.com/laminafs/lamina/mkfs"
	"github.com/laminafs/lamina/tree"
)

// layerOf makes a tree of a seed, the same one every time.
func layerOf(seed uint64, i, n int) *tree.Tree {
	return randomTree(rand.New(rand.NewPCG(seed, uint64(i))), n)
}

// merged dumps what the layers of a seed are together.
func mergedLayers(t *testing.T, seed uint64, layers, n int) string {
	t.Helper()
	var all []*tree.Tree
	for i := range layers {
		all = append(all, layerOf(seed, i, n))
	}
	tr, err := tree.Squash(all...)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := tree.Dump(&b, tr); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// sourceOptions draws those of an image that another one refers to.
func sourceOptions(t *testing.T, rnd *rand.Rand) mkfs.Options {
	for {
		o, blob := options(t, rnd)
		if blob != nil {
			continue
		}
		if o.ChunkSize == 0 && o.LargeAlign == 0 && rnd.IntN(4) == 0 {
			o.Compression = &mkfs.Compression{Tails: []mkfs.Tails{mkfs.TailBlocks, mkfs.TailInline, mkfs.TailFragments}[rnd.IntN(3)]}
			if o.Large {
				o.Compression.Index = mkfs.IndexExtents
			}
			if o.Validate() != nil {
				continue
			}
		}
		return o
	}
}

// stored writes the image of a tree to a file.
func stored(t *testing.T, tr *tree.Tree, o mkfs.Options) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "image"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	grown(t, f, tr, o)
	return f
}

// grown writes an image into a file.
func grown(t *testing.T, f *os.File, tr *tree.Tree, o mkfs.Options) mkfs.Summary {
	t.Helper()
	w, err := mkfs.New(f, o)
	if err != nil {
		t.Fatalf("%+v: %v", o, err)
	}
	sum, err := w.Finish(tr)
	if err != nil {
		t.Fatalf("%+v: %v", o, err)
	}
	return sum
}

// locatedTree is the tree of an image with its contents on a device.
func locatedTree(t *testing.T, f io.ReaderAt, device int) (*tree.Tree, erofs.Superblock) {
	t.Helper()
	im, err := erofs.Open(f)
	if err != nil {
		t.Fatal(err)
	}
	tr, err := im.Tree()
	if err != nil {
		t.Fatal(err)
	}
	convert.Locate(context.Background(), tr, device, false)
	return tr, im.Superblock()
}

func sizeOf(t *testing.T, f *os.File) int64 {
	t.Helper()
	fi, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	return fi.Size()
}

// FuzzRefer makes images of random layers and of random forms, an index that refers to them, and then an image that
// grows by the layers, one after the other.
func FuzzRefer(f *testing.F) {
	for i := range uint64(45) {
		f.Add(i, uint16(5+i*i/4))
	}
	f.Fuzz(func(t *testing.T, seed uint64, size uint16) {
		rnd := rand.New(rand.NewPCG(seed, uint64(size)))
		layers, n := 1+rnd.IntN(3), int(size)%1000
		want := mergedLayers(t, seed, layers, n)
		refers(t, rnd, seed, layers, n, want)
		grows(t, rnd, seed, layers, n, want)
	})
}

func refers(t *testing.T, rnd *rand.Rand, seed uint64, layers, n int, want string) {
	var trees []*tree.Tree
	var devices []io.ReaderAt
	o := sourceOptions(t, rnd)
	o.Compression, o.Keep = nil, 0
	for i := range layers {
		source := stored(t, layerOf(seed, i, n), sourceOptions(t, rnd))
		tr, sb := locatedTree(t, source, i+1)
		trees, devices = append(trees, tr), append(devices, source)
		o.Devices = append(o.Devices, mkfs.Device{Data: source, Size: sizeOf(t, source), Tag: fmt.Sprint(i)})
		if i == 0 || int(sb.BlockSize()) < o.BlockSize {
			o.BlockSize = int(sb.BlockSize())
		}
	}
	o.ChunkSize, o.LargeAlign, o.XattrPrefixes = 0, 0, nil
	name := fmt.Sprintf("seed %d: %d layers: %+v", seed, layers, o)
	all, err := tree.Squash(trees...)
	if err != nil {
		t.Fatal(err)
	}
	index, err := write(t, all, o)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	readsBack(t, name, index, devices, want)
	isClean(t, name, index, devices)
	var flat bytes.Buffer
	flat.Write(index)
	for _, d := range devices {
		f := d.(*os.File)
		if _, err := io.Copy(&flat, io.NewSectionReader(f, 0, sizeOf(t, f))); err != nil {
			t.Fatal(err)
		}
		flat.Write(make([]byte, -flat.Len()&(o.BlockSize-1)))
	}
	readsBack(t, name+": flattened", flat.Bytes(), nil, want)
}

func grows(t *testing.T, rnd *rand.Rand, seed uint64, layers, n int, want string) {
	o := sourceOptions(t, rnd)
	f := stored(t, layerOf(seed, 0, n), o)
	for i := 1; i < layers; i++ {
		before, err := os.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		old, sb := locatedTree(t, bytes.NewReader(before), 0)
		next := sourceOptions(t, rnd)
		next.BlockSize, next.Keep, next.XattrPrefixes = int(sb.BlockSize()), int64(len(before)), nil
		next.Large = next.Large || next.Compression != nil && next.Compression.Index == mkfs.IndexExtents
		if next.Validate() != nil {
			next = mkfs.Options{BlockSize: next.BlockSize, Keep: next.Keep}
		}
		all, err := tree.Squash(old, layerOf(seed, i, n))
		if err != nil {
			t.Fatal(err)
		}
		name := fmt.Sprintf("seed %d: grown with %+v: %+v", seed, next, next.Compression)
		sum := grown(t, f, all, next)
		after, err := os.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		const header = 4096 // longer than any superblock here, or its block
		if !bytes.Equal(before[min(len(before), header):], after[min(len(before), header):len(before)]) || sum.Size != int64(len(after)) {
			t.Errorf("%s: what was there has changed", name)
		}
		isClean(t, name, after, nil)
	}
	b, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	readsBack(t, fmt.Sprintf("seed %d: grown", seed), b, nil, want)
}

// The kernel shows what an index of images of many forms refers to, through files and through one device.
func TestKernelReadsWhatAnIndexRefersTo(t *testing.T) {
	source := compressibleTree
	for name, o := range map[string]mkfs.Options{
		"tails": {}, "blocks": {Inline: mkfs.InlineNone}, "512": {BlockSize: 512}, "chunks": {ChunkSize: 8192},
		"long-tails": {InlineMax: 4096}, "48bit": {Large: true}, "compressed": {Compression: &mkfs.Compression{}},
	} {
		for _, inline := range []mkfs.Inline{mkfs.InlineTails, mkfs.InlineNone} {
			t.Run(fmt.Sprintf("%s-%d", name, inline), func(t *testing.T) {
				image := stored(t, source(), o)
				tr, sb := locatedTree(t, image, 1)
				index := stored(t, tr, mkfs.Options{
					BlockSize: int(sb.BlockSize()), Inline: inline,
					Devices: []mkfs.Device{{Data: image, Size: sizeOf(t, image)}},
				})
				judgeMounted(t, oracle.MountImage(t, index.Name(), image.Name()), source())
				judgeMounted(t, oracle.MountLoop(t, index.Name(), image.Name()), source())
				if o.Compression == nil && sizeOf(t, index) > sizeOf(t, image)/4 {
					t.Errorf("the index has %d bytes, the image %d", sizeOf(t, index), sizeOf(t, image))
				}
				if _, err := io.Copy(io.NewOffsetWriter(index, sizeOf(t, index)), io.NewSectionReader(image, 0, sizeOf(t, image))); err != nil {
					t.Fatal(err)
				}
				judgeMounted(t, oracle.MountImage(t, index.Name()), source())
			})
		}
	}
}

// What cannot be there, or would be overwritten, is an error, not an image.
func TestReferringToWhatIsNotThereFails(t *testing.T) {
	at := func(device int, pieces ...mkfs.Piece) *tree.Tree {
		tr := tree.New()
		tr.Root.Add("f", &tree.Node{Mode: tree.TypeRegular | 0o644, Size: 8192, Content: pieced{tree.Bytes(make([]byte, 8192)), device, pieces}})
		return tr
	}
	data := bytes.NewReader(make([]byte, 65536))
	devices := []mkfs.Device{{Data: data, Size: data.Size()}}
	for name, c := range map[string]struct {
		tr   *tree.Tree
		o    mkfs.Options
		want string
	}{
		"no device":     {at(2, mkfs.Piece{Len: 8192}), mkfs.Options{Devices: devices}, "device 2: there is none"},
		"nothing kept":  {at(0, mkfs.Piece{Len: 8192}), mkfs.Options{Devices: devices}, "device 0: there is none"},
		"behind":        {at(1, mkfs.Piece{Len: 8192, Pos: 61440}), mkfs.Options{Devices: devices}, "not in its 65536 bytes"},
		"longer":        {at(1, mkfs.Piece{Len: 12288}), mkfs.Options{Devices: devices}, "not in its"},
		"backwards":     {at(1, mkfs.Piece{Off: 4096, Len: 4096}, mkfs.Piece{Len: 4096}), mkfs.Options{Devices: devices}, "not in its"},
		"under a table": {at(0, mkfs.Piece{Len: 8192, Pos: 0}), mkfs.Options{Keep: 65536}, "it has data at 0"},
		"both":          {at(1), mkfs.Options{Devices: devices, ChunkSize: 4096, DataDevice: &memory{}}, "do not go with"},
		"tag":           {at(1), mkfs.Options{Devices: []mkfs.Device{{Tag: strings.Repeat("x", 65)}}}, "64 bytes of tag"},
	} {
		f := &memory{b: make([]byte, 65536)}
		w, err := mkfs.New(f, c.o)
		if err == nil {
			_, err = w.Finish(c.tr)
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if !bytes.Equal(f.b[:4096], make([]byte, 4096)) {
			t.Errorf("%s: there is a superblock", name)
		}
	}
}

// pieced is a mkfs.Located that says anything.
type pieced struct {
	tree.Bytes
	device int
	pieces []mkfs.Piece
}

func (p pieced) Located() (mkfs.Location, error) {
	return mkfs.Location{Device: p.device, Pieces: p.pieces}, nil
}

// A build time counts from the time of most files, or is it.
func TestBuildTimeIsWhatReadersCompute(t *testing.T) {
	for _, c := range []struct{ files, build int64 }{{1000, 5000}, {5000, 1000}, {-7, 9}, {1700000000, 1700000001}, {5, 1 << 33}} {
		tr := tree.New()
		tr.Root.Mtime = c.files
		b, err := write(t, tr, mkfs.Options{BuildTime: c.build})
		if c.build-c.files > 1<<32-1 {
			if err == nil {
				t.Errorf("%+v: no error", c)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		im, err := erofs.Open(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		s := im.Superblock()
		if got := s.Epoch + int64(s.BuildTime); got != c.build || im.Root().Mtime != c.files {
			t.Errorf("%+v: built at %d, root of %d", c, got, im.Root().Mtime)
		}
	}
}
