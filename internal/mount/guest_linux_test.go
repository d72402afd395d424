package mount

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/laminafs/lamina/internal/oracle"
)

// A guest's image is shown as it is, read-only and powerless, by a copy that leaves no file and no loop device.
func TestGuestImageIsMountedAsACopy(t *testing.T) {
	image, dir := guestImage(t), t.TempDir()
	before, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	if err := MountGuest(t.Context(), image, dir); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "file"))
	if err != nil || string(b) != "text" {
		t.Errorf("read %q, %v", b, err)
	}
	table, err := Table(dir)
	if err != nil || len(table) != 1 {
		t.Fatalf("%v, %v", table, err)
	}
	for _, o := range []string{"ro", "nosuid", "nodev", "noexec"} {
		if !strings.Contains(","+table[0].Options+",", ","+o+",") {
			t.Errorf("options %s without %s", table[0].Options, o)
		}
	}
	if err := Umount(dir, false); err != nil {
		t.Error(err)
	}
	after, err := os.ReadFile(image)
	if err != nil || string(after) != string(before) {
		t.Errorf("the image has changed, %v", err)
	}
	if list, err := os.ReadDir(filepath.Dir(image)); err != nil || len(list) != 1 {
		t.Errorf("left: %v, %v", list, err)
	}
}

// A crafted image never comes before the kernel.
func TestCraftedGuestImageIsRefused(t *testing.T) {
	image, dir := guestImage(t), t.TempDir()
	program, err := find("debugfs")
	if err != nil {
		oracle.Missing(t, "debugfs")
	}
	if err := CheckGuest(t.Context(), image); err != nil { // its journal would undo what follows
		t.Fatal(err)
	}
	out, err := exec.Command(program, "-w", "-R", "clri <2>", image).CombinedOutput() // the root directory
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	err = MountGuest(t.Context(), image, dir)
	if err == nil || !strings.Contains(err.Error(), "e2fsck") {
		t.Errorf("mounted: %v", err)
	}
	if on, err := Mounted(dir); on || err != nil {
		t.Errorf("mounted %v, %v", on, err)
		_ = Umount(dir, true)
	}
	if list, err := os.ReadDir(filepath.Dir(image)); err != nil || len(list) != 1 {
		t.Errorf("left: %v, %v", list, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := MountGuest(ctx, image, dir); err == nil {
		t.Error("mounted after the context has ended")
	}
}

// A machine that runs on an image keeps it as it is.
func TestGuestImageIsNotMendedBelowAMachine(t *testing.T) {
	image := guestImage(t)
	before, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	machine, err := os.OpenFile(image, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := CheckGuest(t.Context(), image); !errors.Is(err, unix.EBUSY) {
		t.Errorf("with a machine on it: %v", err)
	}
	if after, err := os.ReadFile(image); err != nil || !bytes.Equal(after, before) {
		t.Errorf("the image has changed, %v", err)
	}
	if err := machine.Close(); err != nil {
		t.Fatal(err)
	}
	if err := CheckGuest(t.Context(), image); err != nil {
		t.Errorf("without: %v", err)
	}
}

// What a program says about an image of a guest is not kept, but for its end.
func TestTheEndIsKeptOfWhatIsSaid(t *testing.T) {
	var kept tail
	var all string
	for _, n := range []int{0, 1, 300, 300, 5, maxTail, maxTail + 1, 3 * maxTail, 2} {
		text := strings.Repeat(string(rune('a'+n%26)), n)
		all += text
		if got, err := kept.Write([]byte(text)); got != n || err != nil {
			t.Fatalf("%d bytes: %d, %v", n, got, err)
		}
		if want := all[max(0, len(all)-maxTail):]; string(kept) != want {
			t.Errorf("after %d bytes: %q, not %q", len(all), kept, want)
		}
		if cap(kept) > 4*maxTail {
			t.Errorf("after %d bytes: room for %d", len(all), cap(kept))
		}
	}
}

// guestImage makes an image with a file in it, whose journal is not empty.
func guestImage(t *testing.T) string {
	t.Helper()
	oracle.NeedRoot(t)
	oracle.Need(t, "mkfs.ext4")
	if _, err := find("e2fsck"); err != nil {
		oracle.Missing(t, "e2fsck")
	}
	live, dir := filepath.Join(t.TempDir(), "live.img"), t.TempDir()
	image := filepath.Join(t.TempDir(), "rw.img")
	for _, err := range []error{
		Ext4Image(t.Context(), live, MinExt4, ImageOptions{}),
		MountImage(live, dir),
		os.WriteFile(filepath.Join(dir, "file"), []byte("text"), 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	unix.Sync()
	b, err := os.ReadFile(live) // as a guest has it that still runs
	if err == nil {
		err = os.WriteFile(image, b, 0o600)
	}
	if e := Umount(dir, false); err == nil {
		err = e
	}
	if err != nil {
		t.Fatal(err)
	}
	return image
}
