package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/laminafs/lamina/internal/oracle"
)

// A sourceForm makes a layer an image for mkfs.erofs to merge.
type sourceForm struct {
	name  string
	tool  string // "" is ours
	flags string
	// theirs tells whether mkfs.erofs merges such images by index.
	theirs bool
	// blocks tells whether they have no inline tails: what fsck.erofs can read through an index.
	blocks bool
}

var sourceForms = []sourceForm{
	{name: "theirs-blocks", tool: "mkfs.erofs", flags: "-Enoinline_data", theirs: true, blocks: true},
	{name: "theirs-tails", tool: "mkfs.erofs", flags: ""},
	{name: "theirs-chunks", tool: "mkfs.erofs", flags: "--chunksize=4096", theirs: true, blocks: true},
	{name: "ours-blocks", flags: "-Enoinline_data", theirs: true, blocks: true},
	{name: "ours-tails", flags: ""},
	{name: "ours-512", flags: "-b512"},
	{name: "ours-prefixes", flags: "-Ededupe --xattr-prefix=trusted.overlay."},
}

// image makes an image of a tar.
func (s *sourceForm) image(t testing.TB, tar string, flags ...string) string {
	t.Helper()
	image := filepath.Join(t.TempDir(), "layer.erofs")
	made(t, s.program(t), append(append([]string{"--tar=f", "--aufs"}, strings.Fields(s.flags)...), append(flags, image, tar)...)...)
	return image
}

func (s *sourceForm) program(t testing.TB) string {
	if s.tool != "" {
		return oracle.Need(t, s.tool)
	}
	return front(t, "mkfs.erofs")
}

func made(t testing.TB, tool string, args ...string) {
	t.Helper()
	cmd := exec.Command(tool, append([]string{"--quiet"}, args...)...)
	cmd.Env = withoutEpoch()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %q: %v\n%s", tool, args, err, out)
	}
}

func sizeOf(t testing.TB, file string) int64 {
	t.Helper()
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// Several images become one by index, as containerd had it, or with all data: to the kernel it is what the layers
// are together, and what the image of the original shows but for its root, which that one makes up.
func TestKernelShowsTheSourcesThatTheFrontEndMerges(t *testing.T) {
	mine := front(t, "mkfs.erofs")
	tars := []string{}
	for _, name := range corpora[1:] {
		tars = append(tars, filepath.Join(corpus(t), name+".tar"))
	}
	for _, s := range sourceForms {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			want, root := expected(t, variant{}, tars...), func(l listing) listing { return l }
			if s.tool != "" { // it makes up the root of a tar without one
				root = func(l listing) listing { return rootless(t, l) }
				want = root(want)
			}
			var layers []string
			all := int64(0)
			for _, tar := range tars {
				layers = append(layers, s.image(t, tar))
				all += sizeOf(t, layers[len(layers)-1])
			}
			index, whole := filepath.Join(t.TempDir(), "index.erofs"), filepath.Join(t.TempDir(), "whole.erofs")
			args := append([]string{"--aufs", "--ovlfs-strip=1"}, append([]string{index}, layers...)...)
			made(t, mine, args...)
			shown := walked(t, oracle.MountImage(t, index, layers...))
			same(t, "by file", root(shown), want)
			if s.name == "ours-tails" {
				same(t, "by loop", walked(t, oracle.MountLoop(t, index, layers...)), want)
			}
			same(t, "our reader", root(read(t, index, layers...)), want)
			clean(t, index, layers...)
			if n := sizeOf(t, index); n > all/2 {
				t.Errorf("the index has %d bytes, the layers %d", n, all)
			}
			if s.blocks {
				throughFsck(t, index, layers, shown)
			}
			if s.theirs {
				theirs := filepath.Join(t.TempDir(), "theirs.erofs")
				args[2] = theirs
				made(t, oracle.Need(t, "mkfs.erofs"), args...)
				same(t, "theirs", rootless(t, walked(t, oracle.MountImage(t, theirs, layers...))), rootless(t, shown))
			}
			made(t, mine, append([]string{"--clean=data", "--ovlfs-strip=1", whole}, layers...)...)
			same(t, "whole", root(walked(t, oracle.MountImage(t, whole))), want)
			checked(t, whole)
		})
	}
}

// throughFsck wants fsck.erofs to extract what the kernel shows. It loses holes at ends, which no layer here has.
func throughFsck(t *testing.T, index string, layers []string, want listing) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "out")
	args := []string{"--extract=" + dir, "--preserve"}
	for _, l := range layers {
		args = append(args, "--device="+l)
	}
	oracle.Run(t, oracle.Need(t, "fsck.erofs"), append(args, index)...)
	contents := func(r map[string]any) {
		for k := range r {
			if k != "path" && k != "sha256" && k != "size" && k != "target" {
				delete(r, k)
			}
		}
	}
	same(t, "fsck.erofs", walked(t, dir).edited(t, contents), want.edited(t, contents))
}

// rootless leaves the root out of a listing.
func rootless(t *testing.T, l listing) listing {
	return l.edited(t, func(r map[string]any) {
		if p := r["path"]; p == "" || p == "." || p == "/" {
			delete(r, "path")
		}
	})
}

// Where the original merges wrong: holes, addresses above 4 GiB in a file, the root.
func TestMergedImagesKeepHolesLongFilesAndTheRoot(t *testing.T) {
	const long = 5 << 30
	mine, dir := front(t, "mkfs.erofs"), filepath.Join(t.TempDir(), "src")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(dir, "long"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	marks := []int64{0, 1 << 20, 4<<30 - 6, 4<<30 + 4096*3, long - 4}
	for i, at := range marks {
		if _, err := f.WriteAt(fmt.Appendf(nil, "%04d", i), at); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chtimes(dir, time.Time{}, time.Unix(1e9, 5)); err != nil {
		t.Fatal(err)
	}
	image, index := filepath.Join(t.TempDir(), "image"), filepath.Join(t.TempDir(), "index")
	made(t, mine, "--chunksize=4096", image, dir)
	made(t, mine, index, image)
	mounted := oracle.MountImage(t, index, image)
	info, err := os.Stat(mounted)
	if err != nil || info.Mode().Perm() != 0o700 || !info.ModTime().Equal(time.Unix(1e9, 5)) {
		t.Errorf("root: %v, %v, %v", info.Mode(), info.ModTime(), err)
	}
	got, err := os.Open(filepath.Join(mounted, "long"))
	if err != nil {
		t.Fatal(err)
	}
	defer got.Close()
	a, b := make([]byte, 1<<16), make([]byte, 1<<16)
	for _, at := range append(marks, 100_000, 2<<30, 4<<30, long-1<<16) {
		n, _ := f.ReadAt(a, at)
		m, _ := got.ReadAt(b, at)
		if n != m || !bytes.Equal(a[:n], b[:m]) {
			t.Errorf("at %d: %q, want %q", at, b[:8], a[:8])
		}
	}
	if n := sizeOf(t, index); n > sizeOf(t, image) {
		t.Errorf("the index has %d bytes, the image %d", n, sizeOf(t, image))
	}
}

// A descriptor for virtual machines names image and sources as one disk, which mounts alone.
func TestDescribedDiskIsImageAndSources(t *testing.T) {
	dir := t.TempDir()
	tars := []string{filepath.Join(corpus(t), "small-base.tar"), filepath.Join(corpus(t), "small-node.tar")}
	var layers []string
	for _, tar := range tars {
		layers = append(layers, (&sourceForm{}).image(t, tar))
	}
	index, ours, theirs := filepath.Join(dir, "index"), filepath.Join(dir, "ours.vmdk"), filepath.Join(dir, "theirs.vmdk")
	made(t, front(t, "mkfs.erofs"), append([]string{"--ovlfs-strip", "--vmdk-desc=" + ours, index}, layers...)...)
	disk, err := os.Create(filepath.Join(dir, "disk"))
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Close()
	text, err := os.ReadFile(ours)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var sectors, at int64
		var name string
		if n, _ := fmt.Sscanf(line, "RW %d FLAT %q %d", &sectors, &name, &at); n == 0 {
			continue
		}
		b, err := os.ReadFile(name)
		if err != nil || at != 0 || int64(len(b)) != sectors*512 {
			t.Fatalf("%s: %d bytes, %v", line, len(b), err)
		}
		if _, err := disk.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	same(t, "disk", walked(t, oracle.MountImage(t, disk.Name())), expected(t, variant{}, tars...))

	plain := (&sourceForm{flags: "-Enoinline_data"}).image(t, tars[0])
	made(t, front(t, "mkfs.erofs"), "--vmdk-desc="+ours, index, plain)
	size := sizeOf(t, index)
	made(t, oracle.Need(t, "mkfs.erofs"), "--vmdk-desc="+theirs, index, plain)
	a, b := described(t, ours), described(t, theirs)
	if b[0] = fmt.Sprintf("RW %d FLAT %q 0\n", size/512, index); !slices.Equal(a, b) {
		t.Errorf("%q, want %q", a, b)
	}
}

// described returns what a descriptor says: its extents, and what does not depend on the image.
func described(t *testing.T, file string) (lines []string) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var rest []string
	for line := range strings.Lines(string(b)) {
		switch {
		case strings.HasPrefix(line, "RW "):
			lines = append(lines, line)
		case !strings.HasPrefix(line, "CID=") && !strings.Contains(line, "cylinders"):
			rest = append(rest, line)
		}
	}
	return append(lines, rest...)
}
