package roundtrip

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/laminafs/lamina/fsck"
	"github.com/laminafs/lamina/internal/oracle"
	"github.com/laminafs/lamina/mkfs"
	"github.com/laminafs/lamina/tree"
)

// add gives a tree a file of the bytes b.
func add(t *tree.Tree, name string, b []byte) {
	t.Root.Add(name, &tree.Node{Mode: tree.TypeRegular | 0o644, Size: int64(len(b)), Content: tree.Bytes(b)})
}

// files of the base, and of images made on it: what they have in common, and how.
func baseTree() *tree.Tree {
	rnd := rand.New(rand.NewPCG(1, 2))
	t := tree.New()
	for i, n := range []int{1, 100, 4095, 4096, 4097, 5000, 9000, 40000, 65536, 300_001, 1 << 20} {
		add(t, fmt.Sprintf("file-%d", i), noise(rnd, n))
	}
	add(t, "zeros", make([]byte, 50000))
	add(t, "same-begin-1", append(bytes.Repeat([]byte("begin"), 4096), noise(rnd, 30000)...))
	add(t, "same-begin-2", append(bytes.Repeat([]byte("begin"), 4096), noise(rnd, 30000)...))
	return t
}

func derivedTree(base *tree.Tree) *tree.Tree {
	rnd := rand.New(rand.NewPCG(3, 4))
	t := tree.New()
	content := func(e tree.Entry) []byte { return []byte(e.Node.Content.(tree.Bytes)) }
	for _, e := range base.Root.Entries() {
		b := content(e)
		add(t, e.Name, b)
		add(t, e.Name+"-longer", append(bytes.Clone(b), noise(rnd, 5000)...))
		add(t, e.Name+"-shorter", b[:len(b)*2/3])
		add(t, e.Name+"-behind-a-block", append(noise(rnd, 4096), b...))
		add(t, e.Name+"-behind-a-byte", append([]byte{1}, b...))
		for _, at := range []int{0, len(b) / 2, len(b) - 1} {
			c := bytes.Clone(b)
			c[at] ^= 1
			add(t, fmt.Sprintf("%s-changed-at-%d", e.Name, at), c)
		}
		add(t, e.Name+"-twice", append(append(bytes.Clone(b), b...), b...))
	}
	add(t, "new", noise(rnd, 100_000))
	add(t, "empty", nil)
	return t
}

// store writes bytes to a file that the test removes.
func store(t *testing.T, name string, b []byte) *os.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func basesOf(t *testing.T, bs int, files ...*os.File) *mkfs.Bases {
	t.Helper()
	return readBases(t, mkfs.NewBases, bs, files)
}

// readBases makes bases of files in one of the two ways.
func readBases(t testing.TB, read func(int, ...mkfs.Base) (*mkfs.Bases, error), bs int, files []*os.File) *mkfs.Bases {
	t.Helper()
	var list []mkfs.Base
	for _, f := range files {
		st, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, mkfs.Base{Data: f, Size: st.Size()})
	}
	b, err := read(bs, list...)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// imageOn makes an image twice and returns it, with what it says of itself.
func imageOn(t *testing.T, source func() *tree.Tree, o mkfs.Options) ([]byte, mkfs.Summary) {
	t.Helper()
	var sums [2]mkfs.Summary
	var images [2]memory
	for i := range images {
		w, err := mkfs.New(&images[i], o)
		if err == nil {
			sums[i], err = w.Finish(source())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(images[0].b, images[1].b) {
		t.Error("the second image differs from the first")
	}
	return images[0].b, sums[0]
}

func tarOf(t *testing.T, tr *tree.Tree) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range tr.Root.Entries() {
		if err := w.WriteHeader(&tar.Header{Name: e.Name, Size: e.Node.Size, Mode: 0o644}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, string(e.Node.Content.(tree.Bytes))); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestImagesOnBasesShowTheirSource(t *testing.T) {
	base := baseTree()
	derived := func() *tree.Tree { return derivedTree(base) }
	plain := func(o mkfs.Options) []byte { b, _ := imageOn(t, baseTree, o); return b }
	var want strings.Builder
	if err := tree.Dump(&want, derived()); err != nil {
		t.Fatal(err)
	}
	alone, _ := imageOn(t, derived, mkfs.Options{})
	for _, v := range []struct {
		name string
		base []byte
		o    mkfs.Options
		most int // size of the image in percent of one without bases
	}{
		{"tails", plain(mkfs.Options{}), mkfs.Options{}, 35},
		{"blocks", plain(mkfs.Options{Inline: mkfs.InlineNone}), mkfs.Options{}, 30},
		{"blocks, dedupe", plain(mkfs.Options{Inline: mkfs.InlineNone}), mkfs.Options{Dedupe: true}, 30},
		{"chunks", plain(mkfs.Options{ChunkSize: 8192, Dedupe: true}), mkfs.Options{Inline: mkfs.InlineNone}, 40},
		{"48 bits", plain(mkfs.Options{Large: true}), mkfs.Options{Large: true}, 35},
		{"tar", tarOf(t, base), mkfs.Options{BlockSize: 512}, 30},
		{"16K", plain(mkfs.Options{Inline: mkfs.InlineNone, BlockSize: 16384}), mkfs.Options{BlockSize: 16384}, 90},
		{"compressed", plain(mkfs.Options{Compression: &mkfs.Compression{}}), mkfs.Options{}, 100},
		{"nothing in common", make([]byte, 1<<20), mkfs.Options{}, 100},
	} {
		t.Run(v.name, func(t *testing.T) {
			f := store(t, "base", v.base)
			v.o.Bases = basesOf(t, v.o.BlockSize, f, store(t, "other", noise(rand.New(rand.NewPCG(9, 9)), 1<<16)))
			b, sum := imageOn(t, derived, v.o)
			var devices []io.ReaderAt
			if len(sum.Bases) > 0 {
				devices = append(devices, f)
			}
			readsBack(t, v.name, b, devices, want.String())
			isClean(t, v.name, b, devices)
			flat := append(bytes.Clone(b), v.base...)
			readsBack(t, "flattened", flat, nil, want.String())
			isClean(t, "flattened", flat, nil)
			if len(b)*100 > len(alone)*v.most {
				t.Errorf("%d bytes, more than %d %% of %d", len(b), v.most, len(alone))
			}
			if (sum.Based > 0) != (len(sum.Bases) == 1) || len(sum.Bases) > 1 {
				t.Errorf("%d bytes in the bases %d", sum.Based, sum.Bases)
			}
		})
	}
}

func TestImagesOnBasesAreReadByTheKernel(t *testing.T) {
	base := baseTree()
	first, _ := imageOn(t, baseTree, mkfs.Options{Inline: mkfs.InlineNone})
	f := store(t, "first", first)
	second := func() *tree.Tree {
		tr := baseTree()
		add(tr, "more", noise(rand.New(rand.NewPCG(5, 6)), 500_000))
		return tr
	}
	b, _ := imageOn(t, second, mkfs.Options{Inline: mkfs.InlineNone, Bases: basesOf(t, 0, f)})
	g := store(t, "second", b)
	third := func() *tree.Tree {
		tr := derivedTree(base)
		tr.Root.Add("more", second().Lookup("more"))
		return tr
	}
	b, sum := imageOn(t, third, mkfs.Options{Bases: basesOf(t, 0, f, g)})
	if len(sum.Bases) != 2 {
		t.Fatalf("bases %d: want both", sum.Bases)
	}
	image := store(t, "third", b)
	oracle.Run(t, oracle.Need(t, "fsck.erofs"), "--extract", "--device="+f.Name(), "--device="+g.Name(), image.Name())
	dir := oracle.MountImage(t, image.Name(), f.Name(), g.Name())
	_ = third().Walk(func(path string, n *tree.Node) error {
		if !n.IsRegular() {
			return nil
		}
		got, err := os.ReadFile(filepath.Join(dir, path))
		if err != nil || string(got) != string(n.Content.(tree.Bytes)) {
			t.Errorf("%s: not the bytes of the source: %v", path, err)
		}
		return nil
	})
}

func TestBasesThatDoNotStayAsTheyAreAreFoundOutOrDoNoHarm(t *testing.T) {
	first, _ := imageOn(t, baseTree, mkfs.Options{Inline: mkfs.InlineNone})
	at := bytes.Index(first, []byte(baseTree().Lookup("file-10").Content.(tree.Bytes))[:64])
	for _, c := range []struct {
		name  string
		spoil func(b []byte) []byte
		fails bool
	}{
		{"cut", func(b []byte) []byte { return b[:at+8192] }, true},
		{"empty", func([]byte) []byte { return nil }, true},
		{"changed", func(b []byte) []byte { b[at+5000]++; return b }, false},
		{"all changed", func(b []byte) []byte { clear(b); return b }, false},
	} {
		data := &memory{b: bytes.Clone(first)}
		bases, err := mkfs.NewBases(0, mkfs.Base{Data: data, Size: int64(len(first))})
		if err != nil {
			t.Fatal(err)
		}
		data.b = c.spoil(data.b)
		out := &memory{}
		w, err := mkfs.New(out, mkfs.Options{Bases: bases})
		if err != nil {
			t.Fatal(err)
		}
		sum, err := w.Finish(baseTree())
		if c.fails {
			if !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(err.Error(), "it was longer") {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		var want strings.Builder
		if err := tree.Dump(&want, baseTree()); err != nil {
			t.Fatal(err)
		}
		var devices []io.ReaderAt
		if len(sum.Bases) > 0 {
			devices = []io.ReaderAt{data}
		}
		readsBack(t, c.name, out.b, devices, want.String())
		if len(devices) == 0 {
			continue
		}
		rep, err := fsck.Check(out, int64(len(out.b)), fsck.Options{ReadData: true, Devices: []fsck.Device{{R: data, Size: int64(len(first))}}})
		if err != nil || rep.Errors != 1 || rep.Findings[0].Code != fsck.DeviceDigest {
			t.Errorf("%s: the check says %+v, %v; want that the device is another one", c.name, rep, err)
		}
	}
}

func TestBasesAreReadToTheirEnd(t *testing.T) {
	for _, base := range []mkfs.Base{
		{Data: &memory{b: make([]byte, 100)}, Size: 101},
		{Data: &memory{}, Size: -1},
		{Data: &memory{}, Size: 1 << 60},
	} {
		if _, err := mkfs.NewBases(0, base); err == nil {
			t.Errorf("%d bytes: no error", base.Size)
		}
	}
	if _, err := mkfs.NewBases(0, make([]mkfs.Base, mkfs.BaseMax+1)...); err == nil {
		t.Error("too many bases: no error")
	}
}
