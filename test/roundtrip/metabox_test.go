package roundtrip

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/laminafs/lamina/erofs"
	"github.com/laminafs/lamina/internal/oracle"
	"github.com/laminafs/lamina/mkfs"
	"github.com/laminafs/lamina/tree"
)

// boxes are ways to compress metadata, each with a tree of everything a file system can have.
func boxes() []variant {
	var all []variant
	add := func(name string, c mkfs.Compression, edit func(*mkfs.Options)) {
		v := variant{name: name, c: c}
		if edit != nil {
			edit(&v.o)
		}
		all = append(all, v)
	}
	box := &mkfs.Metabox{}
	zstd := &mkfs.Metabox{Method: &mkfs.Method{Algorithm: mkfs.ZSTD}, PclusterSize: 32 << 10}
	add("alone", mkfs.Compression{Metabox: box}, nil)
	add("directories", mkfs.Compression{Metabox: box, Directories: true}, nil)
	add("only-directories", mkfs.Compression{Directories: true}, nil)
	add("only-directories-extents", mkfs.Compression{Directories: true, Index: mkfs.IndexExtents}, nil)
	add("only-directories-fragments", mkfs.Compression{Directories: true, Tails: mkfs.TailFragments, PclusterSize: 16 << 10}, nil)
	add("other-algorithm", mkfs.Compression{Metabox: zstd, Directories: true}, nil)
	add("same-algorithm-other-level", mkfs.Compression{
		Method:  mkfs.Method{Algorithm: mkfs.ZSTD, Level: 1},
		Metabox: &mkfs.Metabox{Method: &mkfs.Method{Algorithm: mkfs.ZSTD, Level: 9}},
	}, nil)
	add("lz4hc-beside-lz4", mkfs.Compression{Metabox: &mkfs.Metabox{Method: &mkfs.Method{Algorithm: mkfs.LZ4HC}}}, nil)
	add("all-fragments-extents", mkfs.Compression{
		Metabox: zstd, Directories: true, Tails: mkfs.TailAllFragments, Index: mkfs.IndexExtents, PclusterSize: 64 << 10,
	}, nil)
	add("inline-full", mkfs.Compression{Metabox: box, Tails: mkfs.TailInline, Index: mkfs.IndexFull}, nil)
	add("512", mkfs.Compression{Metabox: box, Directories: true, PclusterSize: 4096}, func(o *mkfs.Options) { o.BlockSize = 512 })
	add("1024-dedupe", mkfs.Compression{Metabox: zstd}, func(o *mkfs.Options) { o.BlockSize, o.Dedupe = 1024, true })
	add("prefixes-fingerprints", mkfs.Compression{Metabox: box, Directories: true}, func(o *mkfs.Options) {
		o.XattrPrefixes, o.Fingerprints = []string{"trusted.overlay.", "user.long.", "user.long.er."}, true
	})
	add("nothing-shared", mkfs.Compression{Metabox: zstd}, func(o *mkfs.Options) { o.XattrShare, o.SizeAlign = -1, 1<<16 })
	add("extended", mkfs.Compression{Metabox: box, Directories: true}, func(o *mkfs.Options) { o.Inodes = mkfs.InodeExtended })
	add("data-plain", mkfs.Compression{Metabox: zstd, Directories: true, Rules: []mkfs.Rule{{
		Match: func(string) bool { return true }, Method: mkfs.Plain}}}, nil)
	return all
}

// everything is a tree with hard links, devices, sparse files, long symbolic links, attributes of all kinds, and
// directories of many blocks.
func everything() *tree.Tree {
	t := randomTree(rand.New(rand.NewPCG(11, 7)), 2500)
	for _, n := range t.Inodes() { // the random lists grant nothing that the kernel understands
		n.RemoveXattr("system.posix_acl_access")
	}
	common := tree.NewDir(0o755)
	t.Root.Add("common", common)
	for i := range 700 {
		n := &tree.Node{Mode: tree.TypeRegular | 0o644, Mtime: 1_700_000_000 + int64(i%50)}
		b := bytes.Repeat([]byte(fmt.Sprintf("line %d\n", i%60)), i%900)
		n.Size, n.Content = int64(len(b)), tree.Bytes(b)
		n.SetXattr("security.selinux", "system_u:object_r:lib_t:s0\x00")
		if i%7 == 0 {
			n.SetXattr("user.own", fmt.Sprint(i))
		}
		common.Add(fmt.Sprintf("a-file-with-a-name-%04d", i), n)
	}
	return t
}

// Whatever form metadata is compressed in, the kernel, the reader and the checker see what went in, and it does not
// depend on the number of workers.
func TestCompressedMetadataComesBack(t *testing.T) {
	for _, v := range boxes() {
		t.Run(v.name, func(t *testing.T) {
			image := inBoxes(t, v, everything)
			file := filepath.Join(t.TempDir(), "image")
			if err := os.WriteFile(file, image, 0o600); err != nil {
				t.Fatal(err)
			}
			kernelShows(t, oracle.MountImage(t, file), everything())
		})
	}
}

// inBoxes makes an image and compares what the reader and the checker say.
func inBoxes(t *testing.T, v variant, source func() *tree.Tree) []byte {
	t.Helper()
	v.c.Workers = 1
	v.o.Compression = &v.c
	image, err := write(t, source(), v.o)
	if err != nil {
		t.Fatal(err)
	}
	again := v.c
	again.Workers = 3
	v.o.Compression = &again
	if b, err := write(t, source(), v.o); err != nil || !bytes.Equal(b, image) {
		t.Errorf("with 3 workers: %d bytes, with one %d, or others: %v", len(b), len(image), err)
	}
	var dump bytes.Buffer
	if err := tree.Dump(&dump, source()); err != nil {
		t.Fatal(err)
	}
	readsBack(t, v.name, image, nil, dump.String())
	isClean(t, v.name, image, nil)
	return image
}

// A tree of nothing has a metabox of one inode.
func TestEmptyTreeHasAMetabox(t *testing.T) {
	for _, v := range boxes() {
		image := inBoxes(t, v, tree.New)
		file := filepath.Join(t.TempDir(), "image")
		if err := os.WriteFile(file, image, 0o600); err != nil {
			t.Fatal(err)
		}
		if list, err := os.ReadDir(oracle.MountImage(t, file)); err != nil || len(list) != 0 {
			t.Errorf("%s: %v, %v: want nothing", v.name, list, err)
		}
	}
}

// A metabox of several segments, and directories of 100,000 entries, in the packed inode and in blocks: every name is
// found.
func TestLargeDirectoriesInAMetabox(t *testing.T) {
	const count = 100_000
	name := func(i int) string { return fmt.Sprintf("entry-%06d", i*7919%count) }
	source := func() *tree.Tree {
		t := tree.New()
		d := tree.NewDir(0o755)
		t.Root.Add("large", d)
		for i := range count {
			target := fmt.Sprintf("../%x/%s", uint32(i)*2654435761, strings.Repeat("x", i%40))
			d.Add(name(i), &tree.Node{Mode: tree.TypeSymlink | 0o777, Target: target})
		}
		return t
	}
	for _, directories := range []bool{false, true} {
		v := variant{name: fmt.Sprint("directories ", directories), c: mkfs.Compression{Directories: directories, Metabox: &mkfs.Metabox{PclusterSize: 16 << 10}}}
		image := inBoxes(t, v, source)
		file := filepath.Join(t.TempDir(), "image")
		if err := os.WriteFile(file, image, 0o600); err != nil {
			t.Fatal(err)
		}
		dir := oracle.MountImage(t, file)
		list, err := os.ReadDir(filepath.Join(dir, "large"))
		if err != nil || len(list) != count {
			t.Fatalf("%s: %d entries, want %d: %v", v.name, len(list), count, err)
		}
		want := source().Lookup("large")
		for i := 0; i < count; i += 97 {
			if got, err := os.Readlink(filepath.Join(dir, "large", name(i))); err != nil || got != want.Lookup(name(i)).Target {
				t.Fatalf("%s: %s: %q, %v", v.name, name(i), got, err)
			}
		}
		if _, err := os.Lstat(filepath.Join(dir, "large", "entry-00005x")); !os.IsNotExist(err) {
			t.Errorf("%s: a name that is not there: %v", v.name, err)
		}
	}
}

// What a metabox is for: many small files with attributes take less room, and directories less still.
func TestMetaboxMakesImagesSmaller(t *testing.T) {
	size := func(c mkfs.Compression) int {
		b, err := write(t, everything(), mkfs.Options{Compression: &c})
		if err != nil {
			t.Fatal(err)
		}
		return len(b)
	}
	plain := size(mkfs.Compression{})
	box := size(mkfs.Compression{Metabox: &mkfs.Metabox{}})
	both := size(mkfs.Compression{Metabox: &mkfs.Metabox{}, Directories: true})
	if box > plain*4/5 || both >= box {
		t.Errorf("%d bytes, with a metabox %d, with compressed directories %d", plain, box, both)
	}
}

// The metabox and the packed inode are outside of the metabox, and go behind the superblock if there is room.
func TestInodesOutsideOfTheMetabox(t *testing.T) {
	for _, c := range []struct {
		bs    int
		size  int
		early bool
	}{{4096, 1 << 10, true}, {4096, 40 << 20, false}, {512, 1 << 10, true}} {
		source := tree.New()
		b := words(rand.New(rand.NewPCG(1, 1)), c.size)
		source.Root.Add("file", &tree.Node{Mode: tree.TypeRegular | 0o644, Size: int64(len(b)), Content: tree.Bytes(b)})
		image, err := write(t, source, mkfs.Options{BlockSize: c.bs, Compression: &mkfs.Compression{
			Metabox: &mkfs.Metabox{}, Tails: mkfs.TailAllFragments, PclusterSize: 16 << 10}})
		if err != nil {
			t.Fatal(err)
		}
		isClean(t, fmt.Sprint(c), image, nil)
		im, err := erofs.Open(bytes.NewReader(image))
		if err != nil {
			t.Fatal(err)
		}
		s := im.Superblock()
		if early := s.MetaBlkAddr == 0; early != c.early || s.MetaboxNID == 0 || s.PackedNID == 0 || s.RootNID()>>63 != 1 {
			t.Errorf("%+v: meta_blkaddr %d, metabox %d, packed inode %d, root %#x", c, s.MetaBlkAddr, s.MetaboxNID, s.PackedNID, s.RootNID())
		}
	}
}

// FuzzMetabox draws a tree and a way to compress its metadata.
func FuzzMetabox(f *testing.F) {
	for i := range uint64(len(boxes())) {
		f.Add(i, uint16(20+i*i*7), uint8(i))
	}
	f.Fuzz(func(t *testing.T, seed uint64, size uint16, which uint8) {
		v := boxes()[int(which)%len(boxes())]
		v.name = fmt.Sprintf("%s: seed %d size %d", v.name, seed, size)
		inBoxes(t, v, func() *tree.Tree { return randomTree(rand.New(rand.NewPCG(seed, 3)), int(size)%3000) })
	})
}
