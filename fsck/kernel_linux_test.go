package fsck

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/laminafs/lamina/internal/oracle"
)

// The kernel is the judge of severity: what it refuses, or cannot find by the name that it lists, must
// be an error of the report.

// kernelRead mounts an image and reads all of it; the error is the first thing that the kernel refused.
func kernelRead(t *testing.T, image string, devices ...string) error {
	t.Helper()
	dir, err := oracle.TryMount(t, image, devices...)
	if err != nil {
		return fmt.Errorf("mount: %w", err)
	}
	return readTree(dir, 0)
}

// readTree reads everything below dir. It goes round a loop of directories a few times only.
func readTree(dir string, depth int) error {
	if depth > 6 {
		return nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		info, err := os.Lstat(path)
		if err != nil {
			return err
		}
		if err := readXattrs(path); err != nil {
			return err
		}
		st := info.Sys().(*syscall.Stat_t)
		if st.Mtim.Nsec < 0 || st.Mtim.Nsec >= 1e9 {
			return fmt.Errorf("%s: %d ns", path, st.Mtim.Nsec)
		}
		switch {
		case info.IsDir():
			err = readTree(path, depth+1)
		case info.Mode().IsRegular():
			err = readFile(path, info.Size())
		case info.Mode()&os.ModeSymlink != 0:
			_, err = os.Readlink(path)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// readFile reads the beginning and the end of a file, which may claim any size.
func readFile(path string, size int64) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	const most = 1 << 20
	b := make([]byte, min(size, most))
	if _, err := io.ReadFull(f, b); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if size > most {
		if _, err := f.ReadAt(b[:1], size-1); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}

// readXattrs asks for every listed xattr by its name.
func readXattrs(path string) error {
	b := make([]byte, 1<<16)
	n, err := unix.Llistxattr(path, b)
	if errors.Is(err, unix.EOPNOTSUPP) {
		return fmt.Errorf("listxattr %s: %w", path, err)
	}
	if err != nil {
		return fmt.Errorf("listxattr %s: %w", path, err)
	}
	seen := map[string]bool{}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(b[:n]), "\x00"), "\x00") {
		if n == 0 {
			break
		}
		if seen[name] {
			return fmt.Errorf("%s: xattr %q is listed twice", path, name)
		}
		seen[name] = true
		if _, err := unix.Lgetxattr(path, name, make([]byte, 1<<16)); err != nil {
			return fmt.Errorf("getxattr %s %q: %w", path, name, err)
		}
	}
	return nil
}

func TestWhatTheKernelRefusesIsAnError(t *testing.T) {
	images := map[string][]byte{}
	for _, m := range allMutations() {
		t.Run(m.name, func(t *testing.T) {
			if m.on == "" {
				m.on = "plain"
			}
			if images[m.on] == nil {
				images[m.on] = base(t, m.on)
			}
			e := newEdit(t, images[m.on])
			m.edit(e)
			judge(t, e.done(), nil)
		})
	}
	image, blob := blobImage(t)
	for _, m := range deviceMutations {
		t.Run("device: "+m.name, func(t *testing.T) {
			e := newEdit(t, image)
			devices := m.edit(e, blob)
			judge(t, e.done(), devices)
		})
	}
}

// judge compares the kernel's verdict on an image with ours.
func judge(t *testing.T, b []byte, devices []Device) {
	t.Helper()
	image := filepath.Join(t.TempDir(), "image")
	write(t, image, b)
	var paths []string
	for i, d := range devices {
		paths = append(paths, fmt.Sprintf("%s.%d", image, i))
		b := make([]byte, d.Size)
		if _, err := d.R.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		write(t, paths[i], b)
	}
	rep := checked(t, b, Options{Devices: devices, ReadData: true})
	kernel := kernelRead(t, image, paths...)
	cannotTell := has(rep, SuperPageSize) && os.Getpagesize() < 8192 || has(rep, DeviceAbsent)
	if kernel != nil && rep.Clean() && !cannotTell {
		t.Errorf("the kernel says %v, but there is no error in %v", kernel, rep.Findings)
	}
	if kernel == nil && !rep.Clean() {
		t.Logf("the kernel reads it: %v", rep.Findings)
	}
}

// flipStride leaves out most of the flips that the kernel judges; it is prime, so that all bits of a
// byte have their turn.
const flipStride = 101

func TestBitFlipsThatTheKernelRefusesAreErrors(t *testing.T) {
	oracle.NeedRoot(t)
	for _, name := range []string{"plain", "48bit", "chunks", "prefix"} {
		n := 0
		flips(t, build(t, tiny(), tinyOptions[name]), func(bit int64, b []byte) {
			if n++; !testing.Short() && n%flipStride != 0 {
				return
			}
			t.Run(fmt.Sprintf("%s %d.%d", name, bit/8, bit%8), func(t *testing.T) { judge(t, b, nil) })
		})
	}
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}
