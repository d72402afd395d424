package roundtrip

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/laminafs/lamina/erofs"
	"github.com/laminafs/lamina/internal/disk"
	"github.com/laminafs/lamina/internal/oracle"
	"github.com/laminafs/lamina/mkfs"
	"github.com/laminafs/lamina/tree"
)

func fileBasesOf(t testing.TB, bs int, files ...*os.File) *mkfs.Bases {
	t.Helper()
	var list []mkfs.Base
	for _, f := range files {
		st, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, mkfs.Base{Data: f, Size: st.Size()})
	}
	b, err := mkfs.NewFileBases(bs, list...)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// textTree is a base with files of every length against pclusters, most of which compress.
func textTree() *tree.Tree {
	rnd := rand.New(rand.NewPCG(11, 12))
	t := tree.New()
	for i, n := range []int{1, 100, 3000, 4096, 5000, 20_000, 65_537, 200_001, 4<<20 + 77} {
		add(t, fmt.Sprintf("text-%d", i), words(rnd, n))
		if n < 1<<18 {
			add(t, fmt.Sprintf("noise-%d", i), noise(rnd, n))
			add(t, fmt.Sprintf("both-%d", i), append(words(rnd, n), noise(rnd, n)...))
		}
	}
	add(t, "zeros", make([]byte, 500_000))
	return t
}

// changedTree has the files of a base, and what became of them.
func changedTree(base *tree.Tree) *tree.Tree {
	rnd := rand.New(rand.NewPCG(13, 14))
	t := tree.New()
	for _, e := range base.Root.Entries() {
		b := []byte(e.Node.Content.(tree.Bytes))
		add(t, e.Name, b)
		if len(b) > 1<<20 {
			b = b[1<<20:][:300_000]
		}
		add(t, e.Name+"-longer", append(bytes.Clone(b), words(rnd, 5000)...))
		add(t, e.Name+"-shorter", b[:len(b)*2/3])
		add(t, e.Name+"-behind", append(words(rnd, 4999), b...))
		c := bytes.Clone(b)
		c[len(b)/2] ^= 1
		add(t, e.Name+"-changed", c)
	}
	add(t, "new", words(rnd, 100_000))
	add(t, "empty", nil)
	return t
}

// onlyOne makes of an image with its devices behind it one that has never had any: what they hold are blocks like others.
func onlyOne(flat []byte) []byte {
	flat = bytes.Clone(flat)
	var s disk.Superblock
	b := (*[disk.SuperSize]byte)(flat[disk.SuperOffset:])
	s.Decode(b)
	s.Incompat &^= disk.HasDeviceTable
	s.ExtraDevices, s.DevtSlotOff, s.Checksum = 0, 0, 0
	s.Encode(b)
	off, n := disk.ChecksumRange(s.BlockBits)
	s.Checksum = disk.Checksum(flat[off : off+n])
	s.Encode(b)
	return flat
}

// Compressed images on bases show their source: to our reader, the checker and the kernel, with the bases as devices
// and behind the image; to fsck.erofs, too.
func TestCompressedImagesOnBasesShowTheirSource(t *testing.T) {
	zstd := mkfs.Method{Algorithm: mkfs.ZSTD}
	balanced := mkfs.Compression{Method: zstd, PclusterSize: 64 << 10, Tails: mkfs.TailFragments}
	with := func(c mkfs.Compression, edit func(*mkfs.Compression)) mkfs.Compression { edit(&c); return c }
	dedupe := mkfs.Options{Dedupe: true}
	for _, v := range []struct {
		name     string
		base     *mkfs.Compression
		c        mkfs.Compression
		baseO, o mkfs.Options
		most     int // size of the image in percent of one without bases
	}{
		{"lz4", &mkfs.Compression{}, mkfs.Compression{}, mkfs.Options{}, mkfs.Options{}, 70},
		{"lz4-full-64K", &mkfs.Compression{PclusterSize: 64 << 10}, mkfs.Compression{PclusterSize: 64 << 10, Index: mkfs.IndexFull}, mkfs.Options{}, mkfs.Options{}, 70},
		{"lz4-extents", &mkfs.Compression{Index: mkfs.IndexExtents}, mkfs.Compression{Index: mkfs.IndexExtents}, mkfs.Options{}, mkfs.Options{}, 70},
		{"lz4hc-on-lz4-extents-on-blocks", &mkfs.Compression{}, mkfs.Compression{Method: mkfs.Method{Algorithm: mkfs.LZ4HC}, Index: mkfs.IndexExtents}, mkfs.Options{}, mkfs.Options{}, 70},
		{"lz4-inline-on-fragments", &mkfs.Compression{Tails: mkfs.TailFragments}, mkfs.Compression{Tails: mkfs.TailInline}, mkfs.Options{}, mkfs.Options{}, 80},
		{"lz4-fragments-on-inline", &mkfs.Compression{Tails: mkfs.TailInline}, mkfs.Compression{Tails: mkfs.TailFragments, PclusterSize: 16384}, mkfs.Options{}, mkfs.Options{}, 80},
		{"balanced", &balanced, balanced, mkfs.Options{}, mkfs.Options{}, 70},
		{"balanced-dedupe", &balanced, balanced, dedupe, dedupe, 85},
		{"balanced-base-dedupe", &balanced, balanced, dedupe, mkfs.Options{}, 65},
		{"balanced-extents", with2(balanced, mkfs.IndexExtents), *with2(balanced, mkfs.IndexExtents), dedupe, mkfs.Options{}, 70},
		{"balanced-48-bits", &balanced, balanced, mkfs.Options{}, mkfs.Options{Large: true}, 70},
		{"all-fragments", &balanced, with(balanced, func(c *mkfs.Compression) { c.Tails = mkfs.TailAllFragments }), dedupe, mkfs.Options{}, 95},
		{"zstd-larger-window", with3(balanced, 512<<10), balanced, mkfs.Options{}, mkfs.Options{}, 70},
		{"lzma", &mkfs.Compression{Method: mkfs.Method{Algorithm: mkfs.LZMA, Level: 1, DictSize: 1 << 20}, PclusterSize: 16384},
			mkfs.Compression{Method: mkfs.Method{Algorithm: mkfs.LZMA, Level: 1}}, mkfs.Options{}, mkfs.Options{}, 70},
		{"deflate-fragments", &mkfs.Compression{Method: mkfs.Method{Algorithm: mkfs.Deflate}, Tails: mkfs.TailFragments},
			mkfs.Compression{Method: mkfs.Method{Algorithm: mkfs.Deflate}, Tails: mkfs.TailFragments}, dedupe, mkfs.Options{}, 70},
		{"on-plain", nil, balanced, mkfs.Options{Inline: mkfs.InlineNone}, mkfs.Options{}, 70},
		{"zstd-on-lz4", &mkfs.Compression{}, balanced, mkfs.Options{}, mkfs.Options{}, 100},
		{"512", &mkfs.Compression{}, mkfs.Compression{}, mkfs.Options{BlockSize: 512}, mkfs.Options{BlockSize: 512}, 80},
		{"512-extents", &mkfs.Compression{Index: mkfs.IndexExtents, PclusterSize: 4096}, mkfs.Compression{Index: mkfs.IndexExtents, PclusterSize: 4096}, mkfs.Options{BlockSize: 512}, mkfs.Options{BlockSize: 512}, 80},
	} {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			base := textTree()
			source := func() *tree.Tree { return changedTree(base) }
			v.baseO.Compression, v.o.Compression = v.base, &v.c
			first, _ := imageOn(t, textTree, v.baseO)
			alone, _ := imageOn(t, source, v.o)
			f := store(t, "base", first)
			v.o.Bases = fileBasesOf(t, v.o.BlockSize, f)
			v.c.Workers = 1 + len(v.name)%4
			b, sum := imageOn(t, source, v.o)
			t.Logf("%d bytes, alone %d: %d %%; %d in bases", len(b), len(alone), len(b)*100/len(alone), sum.Based)
			if len(b)*100 > len(alone)*v.most {
				t.Errorf("%d bytes, more than %d %% of %d", len(b), v.most, len(alone))
			}
			if (sum.Based > 0) != (len(sum.Bases) == 1) {
				t.Errorf("%d bytes in the bases %d", sum.Based, sum.Bases)
			}
			var want strings.Builder
			if err := tree.Dump(&want, source()); err != nil {
				t.Fatal(err)
			}
			var devices []io.ReaderAt
			var paths []string
			if len(sum.Bases) > 0 {
				devices, paths = append(devices, f), append(paths, f.Name())
			}
			readsBack(t, "devices", b, devices, want.String())
			isClean(t, "devices", b, devices)
			flat := append(bytes.Clone(b), first...)
			readsBack(t, "flattened", flat, nil, want.String())
			isClean(t, "flattened", flat, nil)
			if v.o.BlockSize == 512 { // fsck.erofs 1.9.4 takes 4096 as the least for compressed data
				return
			}
			image := store(t, "image", b)
			if d := os.Getenv("KEEPDIR"); d != "" {
				_ = os.WriteFile(d+"/image", b, 0o644)
				_ = os.WriteFile(d+"/base", first, 0o644)
			}
			kernelShows(t, source(), oracle.MountImage(t, image.Name(), paths...))
			kernelShows(t, source(), oracle.MountImage(t, store(t, "flat", flat).Name()))
			fsck := oracle.Need(t, "fsck.erofs")
			for _, d := range paths {
				oracle.Run(t, fsck, "--device="+d, image.Name())
			}
			// With --extract, 1.9.4 looks for unified addresses of devices in the image.
			oracle.Run(t, fsck, "--extract", store(t, "one", onlyOne(flat)).Name())
		})
	}
}

func with2(c mkfs.Compression, x mkfs.Index) *mkfs.Compression { c.Index = x; return &c }

func with3(c mkfs.Compression, dict int) *mkfs.Compression { c.DictSize = dict; return &c }

// kernelShows compares what is mounted at dir with its source.
func kernelShows(t *testing.T, want *tree.Tree, dir string) {
	t.Helper()
	_ = want.Walk(func(path string, n *tree.Node) error {
		if !n.IsRegular() || n.Size == 0 {
			return nil
		}
		got, err := os.ReadFile(filepath.Join(dir, path))
		if err != nil || string(got) != string(n.Content.(tree.Bytes)) {
			t.Errorf("%s: not the bytes of the source: %v", path, err)
		}
		return nil
	})
}

// A pcluster of the image may end at the same offset at which one of the base that comes next begins: they are on
// two devices, all the same.
func TestNeighboursOnTwoDevicesAreReadFromBoth(t *testing.T) {
	rnd := rand.New(rand.NewPCG(21, 22))
	content := words(rnd, 1<<20)
	source := func() *tree.Tree { t := tree.New(); add(t, "f", content); return t }
	first, _ := imageOn(t, source, mkfs.Options{Compression: &mkfs.Compression{}})
	f := store(t, "base", first)
	im, err := erofs.Open(f)
	if err != nil {
		t.Fatal(err)
	}
	ino, err := im.Lookup("f")
	if err != nil {
		t.Fatal(err)
	}
	extents, err := ino.Extents()
	if err != nil {
		t.Fatal(err)
	}
	found, held := 0, len(content)/len(extents)
	for k := 1; k < 60; k += 7 {
		// k own pclusters, and what the base has behind as many.
		b := append(words(rnd, k*held-held/2), content[extents[k].Logical:]...)
		source := func() *tree.Tree { t := tree.New(); add(t, "f", b); return t }
		img, _ := imageOn(t, source, mkfs.Options{Compression: &mkfs.Compression{}, Bases: fileBasesOf(t, 0, f)})
		image := store(t, "image", img)
		n := neighbours(t, image, f)
		t.Logf("%d own pclusters: %d neighbours", k, n)
		found += n
		kernelShows(t, source(), oracle.MountImage(t, image.Name(), f.Name()))
	}
	if found == 0 {
		t.Error("there are no such neighbours")
	}
}

// neighbours counts the extents of the file f that begin on a device where the one before it ends on another one.
func neighbours(t *testing.T, image, device *os.File) (n int) {
	im, err := erofs.Open(image, device)
	if err != nil {
		t.Fatal(err)
	}
	ino, err := im.Lookup("f")
	if err != nil {
		t.Fatal(err)
	}
	extents, err := ino.Extents()
	if err != nil {
		t.Fatal(err)
	}
	for i := 1; i < len(extents); i++ {
		a, b := extents[i-1], extents[i]
		if a.Device != b.Device && a.Physical+a.Stored == b.Physical {
			n++
		}
	}
	return n
}

var _ = binary.LittleEndian
