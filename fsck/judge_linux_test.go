package fsck

import (
	"archive/tar"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/laminafs/lamina/internal/oracle"
)

// sourceDir fills a directory with one of everything that a user may make.
func sourceDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	put := func(name, content string) {
		path := filepath.Join(dir, name)
		must(os.MkdirAll(filepath.Dir(path), 0o755))
		must(os.WriteFile(path, []byte(content), 0o644))
	}
	for i := range 400 {
		put(fmt.Sprintf("many/a name of some length, number %d", i), fmt.Sprint(i))
	}
	put("a/big", text("incompressible? no ", 300000))
	put("a/same", text("incompressible? no ", 300000))
	put("a/blocks", text("two blocks ", 8192))
	put("a/empty", "")
	put("a/tail", text("and a tail", 9999))
	must(os.Link(filepath.Join(dir, "a/big"), filepath.Join(dir, "a/hard")))
	must(os.Symlink(strings.Repeat("target/", 60), filepath.Join(dir, "link")))
	must(unix.Mkfifo(filepath.Join(dir, "fifo"), 0o600))
	sparse, err := os.Create(filepath.Join(dir, "sparse"))
	must(err)
	must(sparse.Truncate(5 << 20))
	_, err = sparse.WriteAt([]byte("in the middle"), 3<<20)
	must(err)
	must(sparse.Close())
	for i := range 6 {
		path := filepath.Join(dir, fmt.Sprintf("many/a name of some length, number %d", i))
		must(unix.Lsetxattr(path, "user.shared", []byte("shared by several"), 0))
		must(unix.Lsetxattr(path, "user.own", []byte{byte(i)}, 0))
	}
	if os.Geteuid() == 0 {
		must(unix.Mknod(filepath.Join(dir, "null"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))))
		must(unix.Lsetxattr(filepath.Join(dir, "a/big"), "trusted.overlay.origin", []byte("x"), 0))
	}
	return dir
}

// tarOf writes the regular files of a directory as a tar.
func tarOf(t *testing.T, dir, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := tar.NewWriter(f)
	if err := w.AddFS(os.DirFS(filepath.Join(dir, "a"))); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// foreign are the ways to call mkfs.erofs; unchecked tells whether we cannot look into all of the image.
var foreign = []struct {
	args      string
	unchecked bool
}{
	{"", false}, {"-b512", false}, {"-b1024", false}, {"-Enoinline_data", false}, {"-Eforce-inode-extended", false}, {"-Eforce-inode-compact", false},
	{"-E48bit", false}, {"-E48bit,dot-omitted", false}, {"--chunksize=4096", false}, {"--chunksize=65536", false},
	{"--chunksize=4096 -Eforce-chunk-indexes", false}, {"-Ededupe", false}, {"-x0", false}, {"-x1", false}, {"-x-1", false}, {"-Enosbcrc", false},
	{"--xattr-prefix=user.", false}, {"--xattr-prefix=user. -Eplain-xattr-prefixes", false}, {"-Exattr-name-filter", false},
	{"--xattr-inode-digest=erofs.fingerprint.v1", false}, {"--dsunit=16", false}, {"-Labcdefghijklmno", false}, {"--MZ=id", false}, {"--fsalignblks=64", false},
	{"-zlz4", false}, {"-zlz4hc -C65536", false}, {"-zlz4 -Elegacy-compress", false}, {"-zlzma -C65536", false}, {"-zdeflate", false}, {"-zzstd", false},
	{"-zzstd -E48bit", false}, {"-zlz4hc -Efragments,ztailpacking,dedupe", false}, {"-zzstd -Eall-fragments", false}, {"-zlz4 --zD=0", false},
	{"-zzstd -m4096", false}, {"-zlz4 -Efragments --xattr-prefix=user.", false},
}

func TestImagesOfMkfsErofsAreClean(t *testing.T) {
	mkfs := oracle.Need(t, "mkfs.erofs")
	dir := sourceDir(t)
	archive := filepath.Join(t.TempDir(), "a.tar")
	tarOf(t, dir, archive)
	for _, f := range foreign {
		clean(t, mkfs, f.unchecked, append(strings.Fields(f.args), dir)...)
	}
	for _, args := range []string{"--tar=f --aufs", "--tar=f --aufs --sort=none -E^inline_data"} {
		clean(t, mkfs, false, append(strings.Fields(args), archive)...)
	}
	clean(t, mkfs, false, "--tar=i", "--aufs", archive)
}

// clean fails unless the image that mkfs.erofs makes has no error.
func clean(t *testing.T, mkfs string, unchecked bool, args ...string) {
	t.Helper()
	name := strings.Join(args[:len(args)-1], " ")
	image := filepath.Join(t.TempDir(), "image")
	source := args[len(args)-1]
	oracle.Run(t, mkfs, append(append([]string{"--quiet"}, args[:len(args)-1]...), image, source)...)
	b, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	o := Options{ReadData: true}
	if strings.Contains(name, "--tar=i") {
		device, err := os.Open(source)
		if err != nil {
			t.Fatal(err)
		}
		defer device.Close()
		info, err := device.Stat()
		if err != nil {
			t.Fatal(err)
		}
		o.Devices = []Device{{device, info.Size()}}
	}
	rep := checked(t, b, o)
	for _, f := range rep.Findings {
		if f.Severity == Error || f.Code != SuperFeature { // it leaves CHUNKED_FILE out in two modes
			t.Errorf("mkfs.erofs %s: %v", name, f)
		}
	}
	if got := len(rep.Unchecked) > 0; got != unchecked {
		t.Errorf("mkfs.erofs %s: unchecked is %q", name, rep.Unchecked)
	}
	covers(t, b)
}
