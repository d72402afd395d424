package roundtrip

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/laminafs/lamina/mkfs"
	"github.com/laminafs/lamina/tree"
)

// treeOf has a file for each of the given contents, in their order.
func treeOf(files ...[]byte) *tree.Tree {
	tr := tree.New()
	for i, b := range files {
		tr.Root.Add(fmt.Sprintf("file-%05d", i), &tree.Node{Mode: tree.TypeRegular | 0o644, Size: int64(len(b)), Content: tree.Bytes(b)})
	}
	return tr
}

// shared writes the same image with one and with three workers, checks it, and returns its size.
func shared(t *testing.T, kernel bool, c mkfs.Compression, o mkfs.Options, files ...[]byte) int {
	t.Helper()
	var images [2][]byte
	for i := range images {
		with := c
		with.Workers = 1 + 2*i
		o.Compression = &with
		b, err := write(t, treeOf(files...), o)
		if err != nil {
			t.Fatal(err)
		}
		images[i] = b
	}
	if !bytes.Equal(images[0], images[1]) {
		t.Errorf("with 3 workers: %d bytes, with one %d, or others", len(images[1]), len(images[0]))
	}
	var dump bytes.Buffer
	if err := tree.Dump(&dump, treeOf(files...)); err != nil {
		t.Fatal(err)
	}
	readsBack(t, t.Name(), images[0], nil, dump.String())
	isClean(t, t.Name(), images[0], nil)
	if kernel {
		file := filepath.Join(t.TempDir(), "image")
		if err := os.WriteFile(file, images[0], 0o600); err != nil {
			t.Fatal(err)
		}
		judge(t, file, treeOf(files...))
	}
	return len(images[0])
}

// sharing is options of which each has fragments.
var sharing = map[string]struct {
	c mkfs.Compression
	o mkfs.Options
}{
	"fragments":      {c: mkfs.Compression{Tails: mkfs.TailFragments}},
	"all-fragments":  {c: mkfs.Compression{Tails: mkfs.TailAllFragments, PclusterSize: 16 << 10}},
	"dedupe":         {c: mkfs.Compression{Tails: mkfs.TailFragments}, o: mkfs.Options{Dedupe: true}},
	"extents-8K":     {c: mkfs.Compression{Tails: mkfs.TailFragments, Index: mkfs.IndexExtents, PclusterSize: 8 << 10}},
	"zstd-extents":   {c: mkfs.Compression{Method: mkfs.Method{Algorithm: mkfs.ZSTD}, Tails: mkfs.TailFragments, Index: mkfs.IndexExtents}},
	"lz4-64K-packed": {c: mkfs.Compression{Tails: mkfs.TailFragments, PackedPclusterSize: 64 << 10}},
}

// A small file that ends a fragment is all in that one, and the end of a large one is, if that is what its pclusters
// do not hold, or more.
func TestEndsOfFilesAreStoredOnce(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 3))
	end := noise(rnd, 4000)
	small := [][]byte{end}
	for i := range 50 {
		small = append(small, end[i*60:])
	}
	end = words(rnd, 4000)
	alike, others := [][]byte{end}, [][]byte{end}
	for i := range 40 {
		head := words(rnd, 30000+100*i)
		alike = append(alike, append(bytes.Clone(head), end...))
		others = append(others, append(head, words(rnd, len(end))...))
	}
	for name, v := range sharing {
		t.Run(name, func(t *testing.T) {
			one := shared(t, false, v.c, v.o, small[0])
			if all := shared(t, true, v.c, v.o, small...); all > one+50*86+4096 {
				t.Errorf("%d bytes with one end, %d with 50 more", one, all)
			}
			if name == "all-fragments" {
				return // the rest of a file is not kept apart
			}
			different := shared(t, false, v.c, v.o, others...)
			if same := shared(t, true, v.c, v.o, alike...); same > different-16<<10 {
				t.Errorf("%d bytes with different ends, %d with the same", different, same)
			}
		})
	}
}

// Files that begin alike share the pclusters of what is alike, compressed and stored ones.
func TestBeginningsOfFilesAreStoredOnce(t *testing.T) {
	rnd := rand.New(rand.NewPCG(4, 4))
	begin := append(words(rnd, 150<<10), noise(rnd, 50<<10)...)
	begin = append(begin, words(rnd, 50<<10)...)
	var files [][]byte
	for range 8 {
		files = append(files, append(bytes.Clone(begin), words(rnd, 20<<10)...))
	}
	for name, v := range sharing {
		if name == "all-fragments" {
			continue // there are no pclusters of files
		}
		t.Run(name, func(t *testing.T) {
			one := shared(t, false, v.c, v.o, files[0])
			if all := shared(t, true, v.c, v.o, files...); all > 2*one {
				t.Errorf("%d bytes with one file, %d with %d", one, all, len(files))
			}
		})
	}
}

// Ten thousand files that end each other, and as many of equal bytes, take little more than their inodes.
func TestDegenerateFragments(t *testing.T) {
	const n = 10000
	end := noise(rand.New(rand.NewPCG(5, 5)), n)
	var ends, zeros, grow [][]byte
	for i := range n {
		ends = append(ends, end[i:])
		zeros = append(zeros, make([]byte, n-i))
		grow = append(grow, end[n-1-i/20:])
	}
	c := mkfs.Compression{Tails: mkfs.TailFragments, PclusterSize: 16 << 10}
	for name, files := range map[string][][]byte{"ends": ends, "zeros": zeros, "growing": grow} {
		t.Run(name, func(t *testing.T) {
			most := n*86 + 64<<10 // inodes and names
			if name == "growing" {
				most += n / 20 * n / 20 / 2 // each is longer than what is there
			}
			if size := shared(t, false, c, mkfs.Options{}, files...); size > most {
				t.Errorf("%d bytes, want at most %d", size, most)
			}
		})
	}
}
