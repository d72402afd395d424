package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/laminafs/lamina/erofs"
	"github.com/laminafs/lamina/fsck"
	"github.com/laminafs/lamina/internal/disk"
	"github.com/laminafs/lamina/internal/oracle"
)

// checked asks fsck.erofs about an image, and dump.erofs whether it sees the same basic facts as the
// superblock on disk.
func checked(t testing.TB, image string, devices ...string) {
	t.Helper()
	tool := oracle.Need(t, "fsck.erofs")
	// It recurses by directory and dies of the deep tree with the usual stack of 8 MiB.
	args := []string{"-c", `ulimit -s "$(ulimit -H -s)"; exec "$0" "$@"`, tool}
	for _, d := range devices {
		args = append(args, "--device="+d)
	}
	out, err := exec.Command("sh", append(args, "--extract", image)...).CombinedOutput() // reads every file too
	if err != nil || bytes.Contains(out, []byte("<E>")) || bytes.Contains(out, []byte("<W>")) {
		t.Errorf("fsck.erofs: %v\n%s", err, out)
	}
	facts(t, image)
	clean(t, image)
}

// clean wants our own checker to find nothing, which its tests with broken images make worth something.
func clean(t testing.TB, image string, devices ...string) {
	t.Helper()
	var open []fsck.Device
	for _, name := range append([]string{image}, devices...) {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, fsck.Device{R: f, Size: info.Size()})
	}
	r, err := fsck.Check(open[0].R, open[0].Size, fsck.Options{Devices: open[1:], ReadData: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Findings {
		if f.Severity > fsck.Note { // space of files that a later entry of the layer replaced is a note
			t.Errorf("our checker: %v", f)
		}
	}
	if len(r.Unchecked) > 0 {
		t.Errorf("our checker left out %q", r.Unchecked)
	}
}

func facts(t testing.TB, image string) {
	t.Helper()
	said := map[string]string{}
	for l := range strings.Lines(string(oracle.Run(t, oracle.Need(t, "dump.erofs"), "-s", image))) {
		if k, v, ok := strings.Cut(l, ":"); ok {
			said[strings.TrimSpace(k)] = strings.TrimSpace(v)
		}
	}
	f, err := os.Open(image)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	im, err := erofs.Open(f)
	if err != nil {
		t.Fatal(err)
	}
	tr, err := im.Tree()
	if err != nil {
		t.Fatal(err)
	}
	sb := im.Superblock()
	u := sb.UUID
	inodes := len(tr.Inodes())
	if sb.PackedNID != 0 {
		inodes++ // the packed inode has no name
	}
	if sb.Incompat&disk.HasMetabox != 0 {
		inodes++ // nor has the metabox
	}
	for k, want := range map[string]string{
		"Filesystem magic number": "0xE0F5E1E2",
		"Filesystem blocks":       fmt.Sprint(info.Size() >> sb.BlockBits),
		"Filesystem blocksize":    fmt.Sprint(1 << sb.BlockBits),
		"Filesystem inode count":  fmt.Sprint(inodes),
		"Filesystem root nid":     fmt.Sprint(im.Root().NID),
		"Filesystem UUID":         fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:]),
	} {
		if said[k] != want {
			t.Errorf("dump.erofs: %s: %q, want %q", k, said[k], want)
		}
	}
}
