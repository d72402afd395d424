package roundtrip

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
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
	return readBases(t, mkfs.NewFileBases, bs, files)
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
	with := func(c mkfs.Compression, edit func(*mkfs.Compression)) *mkfs.Compression { edit(&c); return &c }
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
		{"balanced-extents", with(balanced, func(c *mkfs.Compression) { c.Index = mkfs.IndexExtents }), *with(balanced, func(c *mkfs.Compression) { c.Index = mkfs.IndexExtents }), dedupe, mkfs.Options{}, 70},
		{"balanced-48-bits", &balanced, balanced, mkfs.Options{}, mkfs.Options{Large: true}, 70},
		{"all-fragments", &balanced, *with(balanced, func(c *mkfs.Compression) { c.Tails = mkfs.TailAllFragments }), dedupe, mkfs.Options{}, 95},
		{"zstd-larger-window", with(balanced, func(c *mkfs.Compression) { c.DictSize = 1 << 20 }), balanced, mkfs.Options{}, mkfs.Options{}, 70},
		{"lzma", &mkfs.Compression{Method: mkfs.Method{Algorithm: mkfs.LZMA, Level: 1, DictSize: 1 << 20}, PclusterSize: 16384},
			mkfs.Compression{Method: mkfs.Method{Algorithm: mkfs.LZMA, Level: 1}}, mkfs.Options{}, mkfs.Options{}, 70},
		{"deflate-fragments", &mkfs.Compression{Method: mkfs.Method{Algorithm: mkfs.Deflate}, Tails: mkfs.TailFragments},
			mkfs.Compression{Method: mkfs.Method{Algorithm: mkfs.Deflate}, Tails: mkfs.TailFragments}, dedupe, mkfs.Options{}, 70},
		{"directories", &balanced, *with(balanced, func(c *mkfs.Compression) { c.Directories = true }), dedupe, mkfs.Options{}, 70},
		{"on-metabox", with(balanced, func(c *mkfs.Compression) { c.Metabox = &mkfs.Metabox{}; c.Directories = true }), balanced, dedupe, mkfs.Options{}, 70},
		{"on-plain", nil, balanced, mkfs.Options{Inline: mkfs.InlineNone}, mkfs.Options{}, 70},
		{"zstd-on-lz4", &mkfs.Compression{}, balanced, mkfs.Options{}, mkfs.Options{}, 70},
		{"lz4-on-balanced", &balanced, mkfs.Compression{Tails: mkfs.TailFragments}, dedupe, mkfs.Options{}, 70},
		{"lz4-on-zstd-extents", &mkfs.Compression{Method: zstd, Index: mkfs.IndexExtents}, mkfs.Compression{Index: mkfs.IndexExtents}, mkfs.Options{}, mkfs.Options{}, 70},
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
			kernelShows(t, oracle.MountImage(t, image.Name(), paths...), source())
			kernelShows(t, oracle.MountImage(t, store(t, "flat", flat).Name()), source())
			fsck := oracle.Need(t, "fsck.erofs")
			for _, d := range paths {
				oracle.Run(t, fsck, "--device="+d, image.Name())
			}
			// With --extract, 1.9.4 looks for unified addresses of devices in the image.
			oracle.Run(t, fsck, "--extract", store(t, "one", onlyOne(flat)).Name())
		})
	}
}

// Where a pcluster of the image would end at the offset at which one of the base begins that comes next, Linux 6.18 would read
// on in the wrong one of two files: there is no such place.
func TestPclustersOfTwoDevicesAreNoNeighbours(t *testing.T) {
	rnd := rand.New(rand.NewPCG(21, 22))
	content := words(rnd, 600_000)
	file := func(b []byte) func() *tree.Tree {
		return func() *tree.Tree { t := tree.New(); add(t, "f", b); return t }
	}
	for _, c := range []mkfs.Compression{{}, {Index: mkfs.IndexExtents}} {
		o := mkfs.Options{Compression: &c}
		first, _ := imageOn(t, file(content), o)
		f := store(t, "base", first)
		own, theirs := fileExtents(t, f), 0
		held := len(content) / len(own)
		o.Bases = fileBasesOf(t, 0, f)
		for k := 1; k < 40; k += 6 {
			// k pclusters of the image, then what the base has behind as many of its own, which begin at the same block.
			source := file(append(words(rnd, k*held-held/2), content[own[k].Logical:]...))
			b, _ := imageOn(t, source, o)
			image := store(t, "image", b)
			extents := fileExtents(t, image, f)
			for i := 1; i < len(extents); i++ {
				a, b := extents[i-1], extents[i]
				if b.Device > 0 {
					theirs++
				}
				if a.Device != b.Device && (a.Physical+a.Stored+4095)>>12 == b.Physical>>12 {
					t.Errorf("%d own pclusters: %+v ends where %+v begins", k, a, b)
				}
			}
			kernelShows(t, oracle.MountImage(t, image.Name(), f.Name()), source())
		}
		if theirs < len(own) {
			t.Errorf("%d extents on the base, which has %d", theirs, len(own))
		}
	}
}

// fileExtents returns the extents of the file f.
func fileExtents(t *testing.T, image *os.File, devices ...io.ReaderAt) []erofs.Extent {
	t.Helper()
	im, err := erofs.Open(image, devices...)
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
	return extents
}
