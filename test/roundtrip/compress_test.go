package roundtrip

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/laminafs/lamina/internal/oracle"
	"github.com/laminafs/lamina/mkfs"
	"github.com/laminafs/lamina/tree"
)

// variant is a row of the matrix.
type variant struct {
	name string
	c    mkfs.Compression
	o    mkfs.Options
}

// matrix asks for more variants of larger files, which takes minutes.
var matrix = os.Getenv("LAMINA_MATRIX") != ""

// variants is the matrix of tests: every algorithm and every feature at least once.
func variants() []variant {
	var all []variant
	add := func(name string, c mkfs.Compression, edit ...func(*mkfs.Options)) {
		v := variant{name: name, c: c}
		for _, e := range edit {
			e(&v.o)
		}
		all = append(all, v)
	}
	lz4 := mkfs.Method{Algorithm: mkfs.LZ4}
	add("lz4", mkfs.Compression{})
	add("lz4-full", mkfs.Compression{Index: mkfs.IndexFull})
	add("lz4-64K", mkfs.Compression{PclusterSize: 64 << 10})
	add("lz4-1M", mkfs.Compression{PclusterSize: 1 << 20, Index: mkfs.IndexFull})
	add("lz4-512", mkfs.Compression{PclusterSize: 4096}, func(o *mkfs.Options) { o.BlockSize = 512 })
	add("lz4-extent", mkfs.Compression{Method: lz4, MaxExtent: 16 << 10})
	add("lz4-inline", mkfs.Compression{Tails: mkfs.TailInline, PclusterSize: 8192})
	add("lz4-fragments", mkfs.Compression{Tails: mkfs.TailFragments})
	add("lz4-fragments-full-64K", mkfs.Compression{Tails: mkfs.TailFragments, PclusterSize: 64 << 10, Index: mkfs.IndexFull})
	add("lz4-all-fragments-16K", mkfs.Compression{Tails: mkfs.TailAllFragments, PclusterSize: 16 << 10, PackedPclusterSize: 32 << 10})
	add("lz4-extents", mkfs.Compression{Index: mkfs.IndexExtents, PclusterSize: 16 << 10})
	add("lz4-extents-fragments", mkfs.Compression{Index: mkfs.IndexExtents, Tails: mkfs.TailFragments})
	dedupe := func(o *mkfs.Options) { o.Dedupe = true }
	add("lz4-dedupe", mkfs.Compression{}, dedupe)
	add("lz4-dedupe-inline-16K", mkfs.Compression{PclusterSize: 16 << 10, Tails: mkfs.TailInline}, dedupe)
	add("lz4-dedupe-fragments-8K", mkfs.Compression{PclusterSize: 8 << 10, Tails: mkfs.TailFragments}, dedupe)
	add("lz4-dedupe-extents-8K", mkfs.Compression{PclusterSize: 8 << 10, Index: mkfs.IndexExtents}, dedupe)
	for _, m := range []mkfs.Method{{Algorithm: mkfs.LZ4HC}, {Algorithm: mkfs.LZMA, Level: 1}, {Algorithm: mkfs.Deflate}, {Algorithm: mkfs.ZSTD}} {
		name := m.Algorithm.String()
		add(name+"-16K", mkfs.Compression{Method: m, PclusterSize: 16 << 10})
		if !matrix {
			continue
		}
		add(name, mkfs.Compression{Method: m})
		add(name+"-inline-64K", mkfs.Compression{Method: m, PclusterSize: 64 << 10, Tails: mkfs.TailInline})
		add(name+"-fragments-32K", mkfs.Compression{Method: m, PclusterSize: 32 << 10, Tails: mkfs.TailFragments})
		add(name+"-extents-16K", mkfs.Compression{Method: m, PclusterSize: 16 << 10, Index: mkfs.IndexExtents})
		add(name+"-extents-fragments-1M", mkfs.Compression{Method: m, PclusterSize: 1 << 20, Index: mkfs.IndexExtents, Tails: mkfs.TailFragments})
	}
	return all
}

// A compressed image shows the files that went in: to the kernel, to fsck.erofs and to our reader; and it is the
// same with any number of workers.
func TestCompressedImagesShowTheirSource(t *testing.T) {
	for _, v := range variants() {
		t.Run(v.name, func(t *testing.T) {
			want := compressibleTree()
			v.c.Workers = 1
			v.o.Compression = &v.c
			image, err := write(t, want, v.o)
			if err != nil {
				t.Fatal(err)
			}
			again := v.c
			again.Workers = 3
			v.o.Compression = &again
			if b, err := write(t, compressibleTree(), v.o); err != nil || !bytes.Equal(b, image) {
				t.Errorf("with 3 workers: %d bytes, with one %d, or others: %v", len(b), len(image), err)
			}
			file := filepath.Join(t.TempDir(), "image")
			if err := os.WriteFile(file, image, 0o600); err != nil {
				t.Fatal(err)
			}
			var dump bytes.Buffer
			if err := tree.Dump(&dump, compressibleTree()); err != nil {
				t.Fatal(err)
			}
			readsBack(t, v.name, image, nil, dump.String())
			isClean(t, v.name, image, nil)
			judge(t, file, compressibleTree())
		})
	}
}

// judge compares what the kernel shows of an image with a tree, and asks fsck.erofs.
func judge(t *testing.T, file string, want *tree.Tree) {
	t.Helper()
	oracle.Run(t, oracle.Need(t, "fsck.erofs"), "--extract", file)
	judgeMounted(t, oracle.MountImage(t, file), want)
}

// judgeMounted compares the files of a mounted image with a tree.
func judgeMounted(t *testing.T, dir string, want *tree.Tree) {
	t.Helper()
	err := want.Walk(func(path string, n *tree.Node) error {
		if !n.IsRegular() {
			return nil
		}
		got, err := os.ReadFile(filepath.Join(dir, path))
		if err != nil {
			return err
		}
		b := make([]byte, n.Size)
		if _, err := n.Content.ReadAt(b, 0); err != nil && err != io.EOF {
			return err
		}
		if !bytes.Equal(got, b) {
			i := 0
			for i < len(b) && i < len(got) && b[i] == got[i] {
				i++
			}
			t.Errorf("%s: %d bytes, want %d; the first different one is %d", path, len(got), len(b), i)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// compressibleTree has the files of compressible.
func compressibleTree() *tree.Tree {
	tr := tree.New()
	for i, b := range compressible() {
		tr.Root.Add(fmt.Sprintf("file-%03d", i), &tree.Node{Mode: tree.TypeRegular | 0o644, Size: int64(len(b)), Content: b})
	}
	return tr
}

// compressible is files of all kinds of data: text, zeros, random bytes, mixtures, copies.
var compressible = sync.OnceValue(func() (all []tree.Bytes) {
	n, most := 70, 300<<10
	if matrix {
		n, most = 300, 5<<20 // more than a segment
	}
	rnd := rand.New(rand.NewPCG(7, 7))
	add := func(b []byte) { all = append(all, tree.Bytes(b)) }
	for i, size := range []int{0, 1, 511, 4095, 4096, 4097, 8191, 8192, 8193, 12288, 65535, 65536, 65537} {
		add(words(rand.New(rand.NewPCG(uint64(i), 1)), size))
		add(make([]byte, size))
	}
	var last []byte
	for i := range n {
		size := int(rnd.Int64N(1 << (4 + rnd.IntN(14))))
		switch {
		case i == n/2:
			size = most
		case i == n/3:
			size = most / 3
		}
		b := last
		switch rnd.IntN(6) {
		case 0:
			b = noise(rnd, size)
		case 1:
			b = append(words(rnd, size/2), noise(rnd, size/4)...)
			b = append(b, words(rnd, size-len(b))...)
		case 2:
			b = append(bytes.Clone(b[:len(b)/2]), words(rnd, size/2)...)
		case 3: // a copy
		default:
			b = words(rnd, size)
		}
		add(b)
		last = b
	}
	return all
})

func noise(rnd *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rnd.Uint32())
	}
	return b
}

// words is text of which LZ4 spares about half.
func words(rnd *rand.Rand, n int) []byte {
	var b []byte
	for len(b) < n {
		h := sha256.Sum256([]byte{byte(rnd.IntN(200))})
		b = append(b, h[:3+rnd.IntN(8)]...)
		b = append(b, strings.Repeat(" ", rnd.IntN(3))...)
	}
	return b[:n]
}
