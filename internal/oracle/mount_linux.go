package oracle

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// MountImage mounts the EROFS image file read-only with mount(2) on the file itself, the devices in
// slot order, and returns the mount point. It is unmounted after the test. Needs root and Linux 6.12.
func MountImage(t testing.TB, image string, devices ...string) string {
	t.Helper()
	dir, err := TryMount(t, image, devices...)
	if errors.Is(err, unix.ENOTBLK) {
		Missing(t, "file-backed erofs mounts")
	}
	if err != nil {
		t.Fatalf("mount %s: %v\n%s", image, err, kernelLog())
	}
	return dir
}

// TryMount is MountImage for images that the kernel may refuse.
func TryMount(t testing.TB, image string, devices ...string) (string, error) {
	t.Helper()
	needErofs(t)
	dir := t.TempDir()
	var opts []string
	for _, d := range devices {
		opts = append(opts, "device="+d)
	}
	if err := unix.Mount(image, dir, "erofs", unix.MS_RDONLY, strings.Join(opts, ",")); err != nil {
		return "", err
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
			_ = unix.Unmount(dir, unix.MNT_DETACH)
		}
	})
	return dir, nil
}

// MountLoop is MountImage through loop devices, which losetup of util-linux sets up.
func MountLoop(t testing.TB, image string, devices ...string) string {
	t.Helper()
	needErofs(t)
	var loops []string
	for _, d := range devices {
		loops = append(loops, loop(t, d))
	}
	return MountImage(t, loop(t, image), loops...)
}

// loop attaches a file to a loop device of 512-byte sectors until the test ends. A loop device hides a
// last, partial sector, so the length must be a multiple of 512.
func loop(t testing.TB, file string) string {
	t.Helper()
	losetup := Need(t, "losetup")
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if odd := info.Size() % 512; odd != 0 {
		t.Fatalf("loop %s: size %d is no multiple of 512", file, info.Size())
	}
	dev := strings.TrimSpace(string(Run(t, losetup, "--find", "--show", "--read-only", file)))
	t.Cleanup(func() {
		if out, err := exec.Command(losetup, "--detach", dev).CombinedOutput(); err != nil {
			t.Errorf("losetup --detach %s: %v %s", dev, err, out)
		}
	})
	return dev
}

func needErofs(t testing.TB) {
	t.Helper()
	NeedRoot(t)
	for try := range 2 {
		b, err := os.ReadFile("/proc/filesystems")
		if err == nil && strings.Contains(string(b), "\terofs\n") {
			return
		}
		if try == 0 {
			_ = exec.Command("modprobe", "erofs").Run() // its result shows in /proc/filesystems
		}
	}
	Missing(t, "erofs in the kernel")
}

// kernelLog returns the last lines about erofs that the kernel wrote, to explain a refused mount.
func kernelLog() string {
	out, err := exec.Command("dmesg").Output()
	if err != nil {
		return ""
	}
	var lines []string
	for l := range strings.Lines(string(out)) {
		if strings.Contains(l, "erofs") {
			lines = append(lines, l)
		}
	}
	return strings.Join(lines[max(0, len(lines)-5):], "")
}
