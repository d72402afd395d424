package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/laminafs/lamina/internal/oracle"
)

// front returns the program under the name of an erofs-utils tool.
func front(t testing.TB, name string) string {
	t.Helper()
	link := filepath.Join(t.TempDir(), name)
	if err := os.Symlink(program(t), link); err != nil {
		t.Fatal(err)
	}
	return link
}

// What containerd calls when mkfs.erofs is ours: the kernel shows the layer.
func TestKernelShowsWhatContainerdCallsTheFrontEndFor(t *testing.T) {
	tool := front(t, "mkfs.erofs")
	const uuid = "3c0e2d6c-8a51-5d8e-9c05-2f6f7c3f9d11"
	for _, name := range corpora {
		tar := filepath.Join(corpus(t), name+".tar")
		want := expected(t, variant{}, tar)
		run := func(t *testing.T, args ...string) string {
			image := filepath.Join(t.TempDir(), "layer.erofs")
			in, err := os.Open(tar)
			if err != nil {
				t.Fatal(err)
			}
			defer in.Close()
			cmd := exec.Command(tool, append(args, "-U", uuid, image)...)
			cmd.Stdin, cmd.Env = in, withoutEpoch()
			if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
				t.Fatalf("%v: %v\n%s", args, err, out)
			}
			return image
		}
		t.Run(name+"/full", func(t *testing.T) {
			t.Parallel()
			image := run(t, "--tar=f", "--aufs", "--quiet", "-Enoinline_data", "-b4096")
			same(t, "by file", walked(t, oracle.MountImage(t, image)), want)
			checked(t, image)
		})
		t.Run(name+"/index", func(t *testing.T) {
			t.Parallel()
			image := run(t, "--tar=i", "--aufs", "--quiet", "-b4096")
			same(t, "device", walked(t, oracle.MountImage(t, image, tar)), want)
			oracle.Run(t, oracle.Need(t, "sh"), "-c", `cat "$0" >>"$1"`, tar, image)
			same(t, "flattened", walked(t, oracle.MountImage(t, image)), want)
		})
	}
}

// A directory, as containerd commits one.
func TestKernelShowsTheDirectoryThatTheFrontEndIsCalledFor(t *testing.T) {
	dir := unpacked(t, filepath.Join(corpus(t), "small-base.tar"))
	image := filepath.Join(t.TempDir(), "layer.erofs")
	oracle.Run(t, front(t, "mkfs.erofs"), "--quiet", "-Enoinline_data", "-b4096", image, dir)
	same(t, "by file", walked(t, oracle.MountImage(t, image)), walked(t, dir))
	oracle.Run(t, front(t, "fsck.erofs"), image)
	oracle.Run(t, front(t, "dump.erofs"), "-s", image)
}
