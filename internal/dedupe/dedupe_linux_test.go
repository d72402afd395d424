package dedupe

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/laminafs/lamina/internal/oracle"
	"github.com/laminafs/lamina/mkfs"
	"github.com/laminafs/lamina/tree"
)

// fileSystem makes one in a file and mounts it until the test ends.
func fileSystem(t *testing.T, mkfs ...string) string {
	t.Helper()
	oracle.NeedRoot(t)
	dir := oracle.Scratch(t)
	disk, mnt := filepath.Join(dir, "disk"), filepath.Join(dir, "mnt")
	check(t, os.WriteFile(disk, nil, 0o600))
	check(t, os.Truncate(disk, 512<<20))
	check(t, os.Mkdir(mnt, 0o755))
	oracle.Run(t, oracle.Need(t, mkfs[0]), append(mkfs[1:], disk)...)
	oracle.Run(t, oracle.Need(t, "mount"), "-o", "loop", disk, mnt)
	t.Cleanup(func() { _ = unix.Unmount(mnt, unix.MNT_DETACH) })
	return mnt
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// noise is n bytes that only this seed gives.
func noise(seed uint64, n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	_, _ = r.Read(b)
	return b
}

// image writes an image with these files, in this order.
func image(t *testing.T, path string, files ...[]byte) {
	t.Helper()
	f, err := os.Create(path)
	check(t, err)
	defer func() { check(t, f.Close()) }()
	w, err := mkfs.New(f, mkfs.Options{})
	check(t, err)
	tr := tree.New()
	for i, b := range files {
		c, err := w.Put(tree.File{Size: int64(len(b))}, bytes.NewReader(b))
		check(t, err)
		tr.Root.Add(string(rune('a'+i)), &tree.Node{Mode: tree.TypeRegular | 0o644, Size: int64(len(b)), Content: c})
	}
	_, err = w.Finish(tr)
	check(t, err)
	check(t, f.Sync())
}

// used is how many bytes of the file system are taken.
func used(t *testing.T, dir string) int64 {
	t.Helper()
	fd, err := unix.Open(dir, unix.O_RDONLY, 0)
	check(t, err)
	defer func() { _ = unix.Close(fd) }()
	check(t, unix.Syncfs(fd))
	var st unix.Statfs_t
	check(t, unix.Fstatfs(fd, &st))
	return int64(st.Blocks-st.Bfree) * int64(st.Bsize)
}

func TestEqualFilesOfImagesLieOnTheSameBlocks(t *testing.T) {
	for name, fs := range map[string]struct {
		mkfs []string
		gain int64
	}{
		"xfs":   {[]string{"mkfs.xfs", "-q", "-f"}, 20 << 20},
		"btrfs": {[]string{"mkfs.btrfs", "-q"}, 4 << 20}, // it keeps an extent whole as long as a part of it is used
	} {
		t.Run(name, func(t *testing.T) {
			dir := fileSystem(t, fs.mkfs...)
			one, two, three := filepath.Join(dir, "1"), filepath.Join(dir, "2"), filepath.Join(dir, "3")
			big, small := noise(1, 20<<20+77), noise(2, 5000)
			image(t, one, noise(3, 9000), big, small)
			image(t, two, small, noise(4, 1<<20), big)
			image(t, three, noise(5, 1<<20))
			before, whole := used(t, dir), contents(t, one, two, three)

			// The tails of both files are in the metadata, where no sharing reaches them.
			dry, _, err := Run(context.Background(), []string{one, two, three}, Config{DryRun: true})
			check(t, err)
			if want := int64(20<<20 + 4096); dry.Equal != want || dry.Shared != 0 {
				t.Errorf("dry run: %+v, want %d equal and none shared", dry, want)
			}
			r, refused, err := Run(context.Background(), []string{one, two, three}, Config{})
			check(t, err)
			if len(refused) != 0 || r.Shared != dry.Equal || r.Before != 0 || r.Files != 3 {
				t.Errorf("%+v, refused %v", r, refused)
			}
			if gain := before - used(t, dir); gain < fs.gain {
				t.Errorf("the disk holds %d bytes less, want %d", gain, fs.gain)
			}
			if !bytes.Equal(whole, contents(t, one, two, three)) {
				t.Error("an image has changed")
			}
			again, _, err := Run(context.Background(), []string{one, two, three}, Config{})
			check(t, err)
			if again.Shared != 0 || again.Before != r.Equal {
				t.Errorf("again: %+v, want all of it shared before", again)
			}
		})
	}
}

func contents(t *testing.T, paths ...string) []byte {
	t.Helper()
	var all []byte
	for _, p := range paths {
		b, err := os.ReadFile(p)
		check(t, err)
		all = append(all, b...)
	}
	return all
}

func TestFileSystemWithoutSharingIsTold(t *testing.T) {
	dir := fileSystem(t, "mkfs.ext4", "-q", "-F")
	one, two := filepath.Join(dir, "1"), filepath.Join(dir, "2")
	image(t, one, noise(1, 1<<20))
	image(t, two, noise(1, 1<<20))
	if _, _, err := Run(context.Background(), []string{one, two}, Config{}); !errors.Is(err, ErrNoSharing) {
		t.Errorf("error %v, want ErrNoSharing", err)
	}
}

func TestImageThatCannotBeReadOrChangedIsLeftOut(t *testing.T) {
	dir := fileSystem(t, "mkfs.xfs", "-q", "-f")
	names := make([]string, 4)
	for i := range names {
		names[i] = filepath.Join(dir, string(rune('0'+i)))
		image(t, names[i], noise(1, 1<<20))
	}
	check(t, os.WriteFile(names[1], noise(9, 1<<16), 0o600))
	chattr := oracle.Need(t, "chattr")
	oracle.Run(t, chattr, "+i", names[2])
	t.Cleanup(func() { oracle.Run(t, chattr, "-i", names[2]) })
	r, refused, err := Run(context.Background(), append(names, filepath.Join(dir, "none")), Config{})
	check(t, err)
	var why []string
	for _, x := range refused {
		why = append(why, filepath.Base(x.Path))
	}
	if strings.Join(why, " ") != "1 2 none" {
		t.Errorf("refused %v", refused)
	}
	if r.Shared != 1<<20 {
		t.Errorf("shared %d, want that of the last image", r.Shared)
	}
}

func TestEndsWhenItsContextDoes(t *testing.T) {
	dir := fileSystem(t, "mkfs.xfs", "-q", "-f")
	image(t, filepath.Join(dir, "1"), noise(1, 1<<20))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, _, err := Run(ctx, []string{filepath.Join(dir, "1")}, Config{}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}
