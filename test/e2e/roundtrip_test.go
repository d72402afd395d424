package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/laminafs/lamina/dirtree"
	"github.com/laminafs/lamina/erofs"
	"github.com/laminafs/lamina/internal/convert"
	"github.com/laminafs/lamina/internal/oracle"
	"github.com/laminafs/lamina/mkfs"
	"github.com/laminafs/lamina/tartree"
	"github.com/laminafs/lamina/tree"
)

// opened returns the tree of an image.
func opened(t testing.TB, image string) *tree.Tree {
	t.Helper()
	f, err := os.Open(image)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	im, err := erofs.Open(f)
	if err != nil {
		t.Fatal(err)
	}
	tr, err := im.Tree()
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// untarred writes the tree of an image as a tar.
func untarred(t testing.TB, image string) string {
	t.Helper()
	out, err := os.Create(filepath.Join(t.TempDir(), "layer.tar"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if err := tartree.Write(out, opened(t, image), tartree.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	return out.Name()
}

func equalFiles(t testing.TB, what, a, b string) {
	t.Helper()
	x, err := os.ReadFile(a)
	if err != nil {
		t.Fatal(err)
	}
	y, err := os.ReadFile(b)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(x, y) {
		at := 0
		for at < min(len(x), len(y)) && x[at] == y[at] {
			at++
		}
		t.Errorf("%s: %d and %d bytes, different from %d on", what, len(x), len(y), at)
	}
}

// layer -> EROFS -> tar -> EROFS -> tar: the second tar and image are the last ones.
func TestLayerThroughAnImageIsAFixedPoint(t *testing.T) {
	for _, name := range corpora {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tar := filepath.Join(corpus(t), name+".tar")
			want := expected(t, variant{}, tar)
			image1 := build(t, tar, mkfs.Options{})
			tar2 := untarred(t, image1)
			meant, ok := modelled(t, tar2)
			if !ok {
				t.Fatal("the model refuses the tar that we wrote")
			}
			same(t, "what the tar that we wrote means", meant, want)
			oracle.Run(t, oracle.Need(t, "tar"), "-tf", tar2)
			image2 := build(t, tar2, mkfs.Options{})
			tar3 := untarred(t, image2)
			equalFiles(t, "tars", tar2, tar3)
			equalFiles(t, "images", image2, build(t, tar3, mkfs.Options{}))
		})
	}
}

// The image depends on the tar and the options only: not on the compression, on how the bytes arrive,
// on the number of processors, on the front end.
func TestBuildsOfTheSameTarAreByteIdentical(t *testing.T) {
	for _, name := range corpora {
		t.Run(name, func(t *testing.T) {
			tar := filepath.Join(corpus(t), name+".tar")
			image := build(t, tar, mkfs.Options{})
			equalFiles(t, "again", image, build(t, tar, mkfs.Options{}))
			equalFiles(t, "gzip", image, build(t, tar+".gz", mkfs.Options{}))
			equalFiles(t, "zstd", image, build(t, tar+".zst", mkfs.Options{}))
			equalFiles(t, "gzip of two members", image, build(t, pieces(t, tar, "gzip", nil), mkfs.Options{}))
			equalFiles(t, "zstd with skippable frames", image, build(t, pieces(t, tar, "zstd", skippable), mkfs.Options{}))
			before := runtime.GOMAXPROCS(1)
			one := build(t, tar, mkfs.Options{})
			runtime.GOMAXPROCS(before)
			equalFiles(t, "one processor", image, one)
			piped := filepath.Join(t.TempDir(), "piped.erofs")
			cmd := exec.Command("sh", "-c", `dd if="$0" bs=777 2>/dev/null | "$1" build -q -o "$2" -`, tar, program(t), piped)
			cmd.Env = withoutEpoch()
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			equalFiles(t, "the program, from a pipe", image, piped)
		})
	}
}

// skippable is a frame of zstd that a decoder leaves out (RFC 8878, section 3.1.2).
var skippable = []byte("\x50\x2a\x4d\x18\x04\x00\x00\x00skip")

// pieces compresses a tar in two members or frames, each with a prefix before it.
func pieces(t testing.TB, tar, tool string, prefix []byte) string {
	t.Helper()
	plain, err := os.ReadFile(tar)
	if err != nil {
		t.Fatal(err)
	}
	var all []byte
	for _, part := range [][]byte{plain[:len(plain)/3+100], plain[len(plain)/3+100:]} {
		cmd := exec.Command(oracle.Need(t, tool), "-1", "-c")
		cmd.Stdin = bytes.NewReader(part)
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		all = append(append(all, prefix...), out...)
	}
	path := filepath.Join(t.TempDir(), "layer")
	if err := os.WriteFile(path, append(all, prefix...), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func withoutEpoch() []string {
	var env []string
	for _, e := range os.Environ() {
		if !bytes.HasPrefix([]byte(e), []byte("SOURCE_DATE_EPOCH=")) {
			env = append(env, e)
		}
	}
	return env
}

// unpacked extracts a tar with GNU tar, attributes and all.
func unpacked(t testing.TB, tar string) string {
	t.Helper()
	oracle.NeedRoot(t)
	dir := filepath.Join(t.TempDir(), "root")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	oracle.Run(t, oracle.Need(t, "tar"), "-C", dir, "--xattrs", "--xattrs-include=*", "--numeric-owner", "-xpf", tar)
	return dir
}

// A directory and a tar of it, in the same order, make the same image.
func TestDirectoryAndItsTarMakeTheSameImage(t *testing.T) {
	for _, name := range corpora[1:] {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := unpacked(t, filepath.Join(corpus(t), name+".tar"))
			o := mkfs.Options{UUID: [16]byte{1, 2, 3}}
			image := fromDir(t, dir, o)
			same(t, "by file", walked(t, oracle.MountImage(t, image)), walked(t, dir))
			tar := untarred(t, image)
			equalFiles(t, "images", image, build(t, tar, o))
		})
	}
}

func fromDir(t testing.TB, dir string, o mkfs.Options) string {
	t.Helper()
	out, err := os.Create(filepath.Join(t.TempDir(), "dir.erofs"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	w, err := mkfs.New(out, o)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	tr, err := dirtree.Read(dir, w, dirtree.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Finish(tr); err != nil {
		t.Fatal(err)
	}
	return out.Name()
}

// The torture tree as a real directory: copied out of the kernel's view by cp, read back by us.
func TestDirectoryWithEverythingMakesAnEqualImage(t *testing.T) {
	image := build(t, filepath.Join(corpus(t), "torture.tar"), mkfs.Options{})
	dir := filepath.Join(oracle.Scratch(t), "copy")
	oracle.Run(t, oracle.Need(t, "cp"), "-a", "--sparse=always", oracle.MountImage(t, image), dir)
	same(t, "by file", walked(t, oracle.MountImage(t, fromDir(t, dir, mkfs.Options{}))), walked(t, dir))
}

// The reader that goes through a layer must not depend on the decoder's windows: a plain io.Reader gives
// the same image.
func TestDecoderAndPlainReaderAgree(t *testing.T) {
	tar := filepath.Join(corpus(t), "small-base.tar")
	gz, err := exec.Command(oracle.Need(t, "gzip"), "-dc", tar+".gz").Output()
	if err != nil {
		t.Fatal(err)
	}
	out, err := os.Create(filepath.Join(t.TempDir(), "layer.erofs"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if _, err := convert.Layer(bytes.NewBuffer(gz), out, convert.Options{}); err != nil {
		t.Fatal(err)
	}
	equalFiles(t, "images", build(t, tar, mkfs.Options{}), out.Name())
}
