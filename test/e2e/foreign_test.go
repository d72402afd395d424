package e2e

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/laminafs/lamina/internal/oracle"
	"github.com/laminafs/lamina/mkfs"
)

// Images that mkfs.erofs makes: what our reader sees is what the kernel shows.
func TestReaderSeesForeignImagesAsTheKernelDoes(t *testing.T) {
	tool := oracle.Need(t, "mkfs.erofs")
	dir := filepath.Join(oracle.Scratch(t), "copy")
	image := build(t, filepath.Join(corpus(t), "torture.tar"), mkfs.Options{})
	oracle.Run(t, oracle.Need(t, "cp"), "-a", "--sparse=always", oracle.MountImage(t, image), dir)
	originless(t, dir)
	for _, args := range [][]string{
		{},
		{"-Enoinline_data"},
		{"-b512"},
		{"-b1024", "-Einline_data"},
		{"-x1"},
		{"-x-1"},
		{"--xattr-prefix=trusted.overlay.", "--xattr-prefix=user.n"},
		{"-Exattr-name-filter"},
		{"--xattr-prefix=trusted.overlay.", "-Eplain-xattr-prefixes"},
		{"--chunksize=4096"},
		{"--chunksize=65536", "-Eforce-chunk-indexes"},
		{"--chunksize=4096", "-b512"},
		{"-Eforce-inode-extended"},
		{"-Eforce-inode-compact", "--all-root", "-T1234567"},
		{"-E48bit"},
		{"-E48bit,dot-omitted"},
		{"-E48bit", "--chunksize=4096"},
		{"-Ededupe", "--chunksize=4096"},
		{"-Enosbcrc"},
		{"-T1234567", "--all-root"},
		{"--dsunit=16"},
		{"-Lsome label", "-Uclear"},
	} {
		t.Run(name(args), func(t *testing.T) {
			t.Parallel()
			image := filepath.Join(t.TempDir(), "foreign.erofs")
			oracle.Run(t, tool, append(append([]string{"--quiet"}, args...), image, dir)...)
			same(t, "our reader", read(t, image), walked(t, oracle.MountImage(t, image)))
			clean(t, image)
		})
	}
}

// originless removes the attribute that mkfs.erofs gives to directories with whiteouts, which it stores
// twice where the source has it already (1.9.4).
func originless(t testing.TB, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		if err := unix.Removexattr(path, "trusted.overlay.origin"); err != nil && !errors.Is(err, unix.ENODATA) {
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func name(args []string) string {
	var b bytes.Buffer
	for _, a := range args {
		b.WriteString(a)
	}
	if b.Len() == 0 {
		return "default"
	}
	return b.String()
}

// The calls of containerd, on real layers.
func TestReaderSeesContainerdsImagesAsTheKernelDoes(t *testing.T) {
	tool := oracle.Need(t, "mkfs.erofs")
	make := func(t *testing.T, tar string, args ...string) string {
		image := filepath.Join(t.TempDir(), "foreign.erofs")
		in, err := os.Open(tar)
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		cmd := exec.Command(tool, append(args, image)...)
		cmd.Stdin = in
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
		return image
	}
	for _, corpus_ := range corpora[1:] {
		tar := filepath.Join(corpus(t), corpus_+".tar")
		t.Run(corpus_+"/full", func(t *testing.T) {
			t.Parallel()
			image := make(t, tar, "--tar=f", "--aufs", "--quiet", "-Enoinline_data", "-b4096")
			same(t, "our reader", read(t, image), walked(t, oracle.MountImage(t, image)))
		})
		t.Run(corpus_+"/index", func(t *testing.T) {
			t.Parallel()
			image := make(t, tar, "--tar=i", "--aufs", "--quiet", "-b4096")
			same(t, "our reader", read(t, image, tar), walked(t, oracle.MountImage(t, image, tar)))
		})
	}
}

// An index of several images, as mkfs.erofs merges them, and a second device made by --blobdev.
func TestReaderSeesForeignDevicesAsTheKernelDoes(t *testing.T) {
	tool := oracle.Need(t, "mkfs.erofs")
	dir := t.TempDir()
	var layers []string
	for _, c := range []string{"small-base", "small-node"} {
		layers = append(layers, build(t, filepath.Join(corpus(t), c+".tar"), mkfs.Options{Inline: mkfs.InlineNone}))
	}
	merged := filepath.Join(dir, "merged.erofs")
	oracle.Run(t, tool, append([]string{"--quiet", "--aufs", "--ovlfs-strip=1", merged}, layers...)...)
	same(t, "merge", read(t, merged, layers...), walked(t, oracle.MountImage(t, merged, layers...)))

	image, blob := filepath.Join(dir, "image"), filepath.Join(dir, "blob")
	src := unpacked(t, filepath.Join(corpus(t), "small-golang.tar"))
	oracle.Run(t, tool, "--quiet", "--chunksize=4096", "--blobdev="+blob, image, src)
	same(t, "blobdev", read(t, image, blob), walked(t, oracle.MountImage(t, image, blob)))
}
