package erofs

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/laminafs/lamina/internal/disk"
	"github.com/laminafs/lamina/internal/oracle"
)

// compressedForms are options of mkfs.erofs that make every form of compressed image.
var compressedForms = map[string]string{
	"lz4":                     "-zlz4",
	"lz4 legacy":              "-zlz4 -Elegacy-compress",
	"lz4 block 512":           "-zlz4 -b512",
	"lz4 big":                 "-zlz4 -C65536",
	"lz4hc big":               "-zlz4hc,12 -C131072",
	"lz4 full index":          "-zlz4 -Eforce-inode-extended,legacy-compress -C16384",
	"lz4 1M":                  "-zlz4hc -C1048576",
	"deflate":                 "-zdeflate,9",
	"deflate big":             "-zdeflate -C65536 -b1024",
	"zstd":                    "-zzstd",
	"zstd big":                "-zzstd,19 -C262144",
	"lzma":                    "-zlzma",
	"lzma big":                "-zlzma,9 -C131072",
	"two algorithms":          "-zlz4:zstd -C16384",
	"tails":                   "-zlz4 -Eztailpacking",
	"tails zstd":              "-zzstd -Eztailpacking -C32768",
	"tails lzma 512":          "-zlzma -Eztailpacking -b512",
	"fragments":               "-zlz4 -Efragments",
	"fragments big":           "-zzstd -Efragments -C65536",
	"fragments, tails":        "-zlz4 -Efragments,ztailpacking",
	"all fragments":           "-zdeflate -Eall-fragments -C16384",
	"fragdedupe":              "-zlz4 -Eall-fragments,fragdedupe=inode",
	"dedupe":                  "-zlz4 -Ededupe",
	"dedupe big":              "-zzstd -Ededupe -C16384",
	"dedupe, fragments":       "-zlz4 -Ededupe,all-fragments -C16384",
	"dedupe, tails":           "-zlz4hc -Ededupe,ztailpacking -C8192",
	"48bit":                   "-zlz4 -E48bit",
	"48bit zstd":              "-zzstd -E48bit -C65536",
	"48bit lzma":              "-zlzma -E48bit -C65536",
	"48bit fragments":         "-zzstd -E48bit,fragments -C16384",
	"48bit all":               "-zzstd -E48bit,all-fragments,dedupe -C16384",
	"48bit tails":             "-zlz4 -E48bit,ztailpacking",
	"48bit short extents":     "-zlz4 -E48bit --max-extent-bytes=4096",
	"short extents":           "-zlz4 --max-extent-bytes=16384 -C4096",
	"directories":             "-zlz4 --zD=0",
	"directories, fragments":  "-zzstd --zD=0 -Eall-fragments -C16384",
	"metabox":                 "-m4096 -zlz4",
	"metabox zstd":            "-m65536:zstd -zzstd -C65536",
	"metabox fragments":       "-m4096 -zlz4 -Eall-fragments",
	"metabox, plain data":     "-m4096:lz4",
	"metabox directories":     "-m4096 -zlz4 --zD=0 -Eztailpacking",
	"metabox chunks":          "-m4096:lz4 --chunksize=4096",
	"metadata zone":           "-zlz4 --MZ -E48bit",
	"prefixes":                "-zlz4 -Efragments --xattr-prefix=security.long. -x1",
	"plain prefixes":          "-zlz4 -Efragments --xattr-prefix=security.long. -Eplain-xattr-prefixes",
	"prefixes in the metabox": "-m4096 -zlz4 --xattr-prefix=security.long. -x1",
}

// fewForms are those that are tested unless LAMINA_FORMS is set.
var fewForms = []string{
	"lz4", "lz4 legacy", "deflate big", "lzma big", "tails zstd", "fragments, tails", "dedupe, fragments", "48bit all", "48bit short extents",
	"directories, fragments", "metabox fragments",
}

// compressible adds files to a source that make extents of all kinds: long and short ones, stored ones, equal
// ones at all distances, tails.
func compressible(t testing.TB, dir string) {
	t.Helper()
	rng := rand.New(rand.NewPCG(7, 8))
	words := make([]string, 500)
	for k := range words {
		words[k] = fmt.Sprintf("%x-%c", rng.Uint32()>>(rng.IntN(20)), 'a'+rune(k%26))
	}
	text := func(n int) []byte {
		var b bytes.Buffer
		for b.Len() < n {
			b.WriteString(words[int(rng.ExpFloat64()*60)%len(words)])
			b.WriteByte(" \n\t,"[rng.IntN(4)])
		}
		return b.Bytes()[:n]
	}
	noise := func(n int) []byte {
		b := make([]byte, n)
		for k := range b {
			b[k] = byte(rng.Uint32())
		}
		return b
	}
	shared := text(150_000)
	for name, b := range map[string][]byte{
		"text":         text(700_001),
		"zeros":        make([]byte, 300_000),
		"many-zeros":   make([]byte, 5<<20),
		"noise":        noise(70_000),
		"mixed":        bytes.Join([][]byte{text(9000), noise(20_000), make([]byte, 50_000), text(100), noise(5000), text(60_000)}, nil),
		"shared-1":     shared,
		"shared-2":     append(noise(4097), shared...),
		"shared-3":     append(text(777), shared[5000:120_000]...),
		"shared-4":     shared[:131_072],
		"short-text":   text(1500),
		"short-noise":  noise(1500),
		"block":        text(4096),
		"block-and-1":  text(4097),
		"noise-blocks": noise(8192),
		"tail-noise":   append(text(65_536), noise(2000)...),
	} {
		if err := os.WriteFile(dir+"/z-"+name, b, 0o644); err != nil {
			t.Fatal(err)
		}
		// Not a time that a compact inode may have, which would lose the nanoseconds.
		if err := os.Chtimes(dir+"/z-"+name, time.Time{}, time.Unix(1_000_000_000+int64(len(b)), 5)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chtimes(dir, time.Time{}, time.Unix(1_000_000_000, 6)); err != nil {
		t.Fatal(err)
	}
}

func TestCompressedImagesOfMkfsErofsReadAsTheirSourceAndAsTheKernelReadsThem(t *testing.T) {
	oracle.NeedRoot(t)
	src := source(t)
	compressible(t, src)
	want := wanted(t, src)
	forms := compressedForms
	if os.Getenv("LAMINA_FORMS") == "" {
		forms = map[string]string{}
		for _, name := range fewForms {
			forms[name] = compressedForms[name]
		}
	}
	for name, args := range forms {
		t.Run(name, func(t *testing.T) {
			f := mkfs(t, append(strings.Fields(args), src)...)
			im := open(t, f)
			want := maps.Clone(want)
			for path, r := range want {
				if i, err := im.Lookup(path); err == nil && im.img.Super.Incompat&disk.Has48Bit != 0 && !i.raw.Format.Extended() {
					r.nsec = 0
					want[path] = r
				}
			}
			agree(t, im, want)
			kernel := oracle.MountImage(t, f.Name())
			for path := range want {
				sameRandomReads(t, im, kernel, path)
			}
		})
	}
}

// sameRandomReads compares reads in random places with the kernel's.
func sameRandomReads(t *testing.T, im *Image, kernel, path string) {
	t.Helper()
	i, err := im.Lookup(path)
	if err != nil || !i.IsRegular() || i.Size == 0 {
		return
	}
	f, err := os.Open(kernel + "/" + path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	rng := rand.New(rand.NewPCG(uint64(i.Size), 1))
	want, got := make([]byte, 200_000), make([]byte, 200_000)
	for range 8 {
		off := rng.Int64N(i.Size)
		n := min(i.Size-off, 1+rng.Int64N([]int64{100, 5000, 200_000}[rng.IntN(3)]-1))
		if _, err := f.ReadAt(want[:n], off); err != nil {
			t.Fatal(err)
		}
		if _, err := i.Content().ReadAt(got[:n], off); err != nil {
			t.Fatalf("%s: %d bytes at %d: %v", path, n, off, err)
		}
		if !bytes.Equal(got[:n], want[:n]) {
			t.Fatalf("%s: %d bytes at %d differ from the kernel's", path, n, off)
		}
	}
}
