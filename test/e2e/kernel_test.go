package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/laminafs/lamina/internal/convert"
	"github.com/laminafs/lamina/internal/oracle"
	"github.com/laminafs/lamina/mkfs"
)

// A variant is a kind of image.
type variant struct {
	name string
	o    mkfs.Options
	// loop: compare through a loop device too; it costs another walk.
	loop bool
	// edit changes what is expected where the variant does not keep the tree as it is.
	edit func(r map[string]any)
}

var variants = []variant{
	{name: "default", loop: true},
	{name: "512", o: mkfs.Options{BlockSize: 512}, loop: true},
	{name: "1024", o: mkfs.Options{BlockSize: 1024}},
	{name: "2048", o: mkfs.Options{BlockSize: 2048}},
	{name: "blocks-only", o: mkfs.Options{Inline: mkfs.InlineNone}, loop: true},
	{name: "inline-all", o: mkfs.Options{InlineMax: 4096}},
	{name: "512-blocks-only", o: mkfs.Options{Inline: mkfs.InlineNone, BlockSize: 512}},
	{name: "chunks", o: mkfs.Options{ChunkSize: 4096}, loop: true},
	{name: "chunks-64k-dedupe", o: mkfs.Options{ChunkSize: 1 << 16, Dedupe: true}},
	{name: "chunks-1024", o: mkfs.Options{ChunkSize: 8192, BlockSize: 1024}},
	{name: "dedupe", o: mkfs.Options{Dedupe: true}},
	{name: "dedupe-blocks-only", o: mkfs.Options{Dedupe: true, Inline: mkfs.InlineNone}},
	{name: "48bit", o: mkfs.Options{Large: true}},
	{name: "48bit-chunks", o: mkfs.Options{Large: true, ChunkSize: 4096}},
	{name: "extended", o: mkfs.Options{Inodes: mkfs.InodeExtended}},
	{name: "xattrs-unshared", o: mkfs.Options{XattrShare: -1}},
	{name: "xattr-prefixes", o: mkfs.Options{XattrPrefixes: []string{"trusted.overlay.", "security.selin", "user.n"}}},
	{name: "no-xattrs", o: mkfs.Options{DropXattrs: true}, edit: func(r map[string]any) { r["xattrs"] = map[string]any{} }},
	{name: "no-checksum-label", o: mkfs.Options{NoChecksum: true, Label: "fifteen bytes!!"}},
	{name: "aligned", o: mkfs.Options{LargeAlign: 1 << 16}},
	{name: "fixed-time", o: mkfs.Options{Time: mkfs.TimeFixed, Timestamp: 1234567890}, edit: func(r map[string]any) {
		r["mtime"] = "1234567890.000000000"
	}},
	{name: "owners", o: mkfs.Options{Owner: func(uid, gid uint32) (uint32, uint32) { return uid%1000 + 100000, gid%1000 + 200000 }}, edit: func(r map[string]any) {
		r["uid"], r["gid"] = number(r["uid"])%1000+100000, number(r["gid"])%1000+200000
	}},
}

func number(v any) int64 {
	n, err := v.(json.Number).Int64()
	if err != nil {
		panic(err) // listings have integers
	}
	return n
}

// build converts a layer with the library.
func build(t testing.TB, tar string, o mkfs.Options) string {
	t.Helper()
	in, err := os.Open(tar)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.Create(filepath.Join(t.TempDir(), "layer.erofs"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if _, err := convert.Layer(in, out, convert.Options{Mkfs: o}); err != nil {
		t.Fatalf("%s: %v", filepath.Base(tar), err)
	}
	return out.Name()
}

func expected(t testing.TB, v variant, tars ...string) listing {
	t.Helper()
	want, ok := modelled(t, tars...)
	if !ok {
		t.Fatalf("the model refuses %v", tars)
	}
	if v.edit != nil {
		want = want.edited(t, v.edit)
	}
	return want
}

func TestKernelShowsTheTarForEveryKindOfImage(t *testing.T) {
	tar := filepath.Join(corpus(t), "torture.tar")
	for _, v := range variants {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			image := build(t, tar, v.o)
			want := expected(t, v, tar)
			same(t, "by file", walked(t, oracle.MountImage(t, image)), want)
			if v.loop {
				same(t, "by loop", walked(t, oracle.MountLoop(t, image)), want)
			}
			same(t, "our reader", read(t, image), want)
			checked(t, image)
		})
	}
}

func TestKernelShowsTheTarForRealLayers(t *testing.T) {
	for _, name := range corpora[1:] {
		for _, v := range variants {
			switch v.name {
			case "default", "blocks-only", "512", "chunks-64k-dedupe", "dedupe":
			default:
				continue
			}
			t.Run(name+"/"+v.name, func(t *testing.T) {
				t.Parallel()
				tar := filepath.Join(corpus(t), name+".tar")
				image := build(t, tar, v.o)
				want := expected(t, v, tar)
				same(t, "by file", walked(t, oracle.MountImage(t, image)), want)
				same(t, "our reader", read(t, image), want)
				checked(t, image)
			})
		}
	}
}

// The large corpora of the benchmarks, which `make test` does not make: LAMINA_LAYERS is their directory.
func TestKernelShowsTheTarForLargeLayers(t *testing.T) {
	dir := os.Getenv("LAMINA_LAYERS")
	if dir == "" {
		t.Skip("LAMINA_LAYERS names no directory of layers")
	}
	tars, err := filepath.Glob(filepath.Join(dir, "*.tar"))
	if err != nil || len(tars) == 0 {
		t.Fatalf("%s: no layers: %v", dir, err)
	}
	for _, tar := range tars {
		t.Run(strings.TrimSuffix(filepath.Base(tar), ".tar"), func(t *testing.T) {
			image := build(t, tar, mkfs.Options{})
			index := filepath.Join(t.TempDir(), "index.erofs")
			indexed(t, tar, index, false)
			want := expected(t, variant{}, tar)
			same(t, "by file", walked(t, oracle.MountImage(t, image)), want)
			same(t, "through an index", walked(t, oracle.MountImage(t, index, tar)), want)
			same(t, "our reader", read(t, image), want)
			checked(t, image)
		})
	}
}

// Every torture case alone: what the model refuses we must refuse, everything else must be equal.
func TestKernelShowsTheTarForEveryCase(t *testing.T) {
	for _, tar := range cases(t) {
		t.Run(strings.TrimSuffix(filepath.Base(tar), ".tar"), func(t *testing.T) {
			t.Parallel()
			want, ok := modelled(t, tar)
			if !ok {
				refused(t, tar)
				return
			}
			image := build(t, tar, mkfs.Options{})
			same(t, "by file", walked(t, oracle.MountImage(t, image)), want)
			same(t, "our reader", read(t, image), want)
			checked(t, image)
		})
	}
}

func TestKernelShowsTheTarThroughAnIndex(t *testing.T) {
	for _, name := range corpora {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tar := filepath.Join(corpus(t), name+".tar")
			want := expected(t, variant{}, tar)
			two, one := filepath.Join(t.TempDir(), "index.erofs"), filepath.Join(t.TempDir(), "whole.erofs")
			indexed(t, tar, two, false)
			indexed(t, tar, one, true)
			same(t, "two files", walked(t, oracle.MountImage(t, two, tar)), want)
			same(t, "two loops", walked(t, oracle.MountLoop(t, two, tar)), want)
			same(t, "one file", walked(t, oracle.MountImage(t, one)), want)
			same(t, "one loop", walked(t, oracle.MountLoop(t, one)), want)
			same(t, "our reader, two files", read(t, two, tar), want)
			same(t, "our reader, one file", read(t, one), want)
			clean(t, two, tar)
			clean(t, one)
		})
	}
}

func indexed(t testing.TB, tar, image string, whole bool) {
	t.Helper()
	in, err := os.Open(tar)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.Create(image)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	make := func() error { _, err := convert.Index(in, out, convert.Options{}); return err }
	if whole {
		make = func() error { _, err := convert.IndexedTar(in, out, convert.Options{}); return err }
	}
	if err := make(); err != nil {
		t.Fatal(err)
	}
}

func TestKernelShowsTheTarThroughABlobDevice(t *testing.T) {
	tar := filepath.Join(corpus(t), "torture.tar")
	blob, err := os.Create(filepath.Join(t.TempDir(), "blob"))
	if err != nil {
		t.Fatal(err)
	}
	defer blob.Close()
	image := build(t, tar, mkfs.Options{ChunkSize: 1 << 14, Dedupe: true, DataDevice: blob})
	want := expected(t, variant{}, tar)
	same(t, "by file", walked(t, oracle.MountImage(t, image, blob.Name())), want)
	same(t, "our reader", read(t, image, blob.Name()), want)
	clean(t, image, blob.Name())
}
