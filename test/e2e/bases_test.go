package e2e

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/laminafs/lamina/internal/oracle"
)

// Compressed images on a compressed store show what the tars mean: to the kernel with the store as a file, as a block device
// and behind the image, and to our reader; and they are smaller by most of it.
func TestKernelShowsTheTarsOfCompressedImagesOnAStore(t *testing.T) {
	dir := corpus(t)
	tars := []string{filepath.Join(dir, "small-base.tar"), filepath.Join(dir, "small-golang.tar")}
	want, ok := modelled(t, tars...)
	if !ok {
		t.Fatal("the model refuses the tars")
	}
	for name, flags := range map[string][]string{
		"fast":     {"--preset", "fast"},
		"balanced": {"--preset", "balanced"},
		"extents":  {"--preset", "balanced", "--index", "extents"},
		"lz4":      {"--compress", "lz4", "--dedupe"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := t.TempDir()
			lamina := func(args ...string) { oracle.Run(t, program(t), append(args, flags...)...) }
			store, image, alone := filepath.Join(out, "store"), filepath.Join(out, "image"), filepath.Join(out, "alone")
			lamina("build", "-q", "--dedupe", "-o", store, tars[0])
			lamina(append([]string{"merge", "-q", "-o", alone}, tars...)...)
			lamina(append([]string{"merge", "-q", "--base", store, "-o", image}, tars...)...)
			same(t, "by file", walked(t, oracle.MountImage(t, image, store)), want)
			same(t, "by loop", walked(t, oracle.MountLoop(t, image, store)), want)
			oracle.Run(t, program(t), "check", "-q", "--read-data", "--device", store, image)
			flat := filepath.Join(out, "flat")
			if err := os.WriteFile(flat, append(contentOf(t, image), contentOf(t, store)...), 0o600); err != nil {
				t.Fatal(err)
			}
			same(t, "flattened", walked(t, oracle.MountImage(t, flat)), want)
			same(t, "our reader", read(t, flat), want)
			oracle.Run(t, program(t), "check", "-q", "--read-data", flat)
			saved := len(contentOf(t, alone)) - len(contentOf(t, image))
			if all := len(contentOf(t, store)); saved < all*3/4 { // "fast" has a fifth of its data behind inodes
				t.Errorf("%d bytes less with a store of %d", saved, all)
			}
		})
	}
}

func contentOf(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
