// Package judges has other people's readers of EROFS look at our images. It is a module of its own, so
// that users of the library never download them.
package judges

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/laminafs/lamina/erofs"
	"github.com/laminafs/lamina/mkfs"
	"github.com/laminafs/lamina/tartree"
	"github.com/laminafs/lamina/tree"
)

// file is what a reader says of one name.
type file struct {
	Mode     uint32
	UID, GID uint32
	Size     int64
	Mtime    int64
	Nsec     uint32
	Nlink    uint32
	Rdev     uint32
	Target   string
	Data     string // digest
	Xattrs   string
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// layer is a tar with every kind of file; xattrs are left out for readers that refuse them.
func layer(t testing.TB, xattrs bool) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	add := func(h *tar.Header, data []byte) {
		h.Size = int64(len(data))
		if h.ModTime.IsZero() {
			h.ModTime = time.Unix(1767225600, 0)
		}
		if !xattrs {
			h.PAXRecords = nil
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	add(&tar.Header{Typeflag: tar.TypeDir, Name: "./", Mode: 0o755}, nil)
	add(&tar.Header{Typeflag: tar.TypeDir, Name: "d/", Mode: 0o2750, Uid: 5, Gid: 70000}, nil)
	for _, n := range []int{0, 1, 511, 512, 513, 4000, 4095, 4096, 4097, 8191, 12000, 1 << 20, 1<<20 + 1} {
		add(&tar.Header{Name: fmt.Sprintf("d/%d", n), Mode: 0o644}, bytes.Repeat([]byte{byte(n), 7, 9}, n)[:n])
	}
	add(&tar.Header{Typeflag: tar.TypeDir, Name: "many/", Mode: 0o755}, nil)
	for i := range 1000 {
		add(&tar.Header{Name: fmt.Sprintf("many/file-with-a-longer-name-%04d", i), Mode: 0o600, ModTime: time.Unix(int64(i), 0)}, []byte(fmt.Sprint(i)))
	}
	add(&tar.Header{Typeflag: tar.TypeSymlink, Name: "link", Linkname: "d/4096"}, nil)
	add(&tar.Header{Typeflag: tar.TypeSymlink, Name: "long", Linkname: string(bytes.Repeat([]byte("x"), 1000))}, nil)
	add(&tar.Header{Typeflag: tar.TypeLink, Name: "hard", Linkname: "d/4097"}, nil)
	add(&tar.Header{Typeflag: tar.TypeFifo, Name: "fifo", Mode: 0o600}, nil)
	add(&tar.Header{Typeflag: tar.TypeChar, Name: "null", Mode: 0o666, Devmajor: 1, Devminor: 3}, nil)
	add(&tar.Header{Typeflag: tar.TypeBlock, Name: "disk", Mode: 0o660, Devmajor: 259, Devminor: 300}, nil)
	add(&tar.Header{Name: "suid", Mode: 0o4755, Uid: 1 << 20, Gid: 1<<32 - 2, Format: tar.FormatPAX}, []byte("s"))
	for i := range 3 {
		add(&tar.Header{Name: fmt.Sprintf("xattr%d", i), Mode: 0o644, PAXRecords: map[string]string{
			"SCHILY.xattr.user.own": fmt.Sprint(i), "SCHILY.xattr.security.shared": "by all", "SCHILY.xattr.trusted.overlay.x": "\x00\x01"}}, []byte("x"))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// image makes an image of the layer and returns its path.
func image(t testing.TB, layer []byte, o mkfs.Options) string {
	t.Helper()
	out, err := os.Create(filepath.Join(t.TempDir(), "image.erofs"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	w, err := mkfs.New(out, o)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	tr, err := tartree.Read(bytes.NewReader(layer), w, tartree.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Finish(tr); err != nil {
		t.Fatal(err)
	}
	return out.Name()
}

// ours returns what our reader says. That it is what the tar means, the kernel judges (test/e2e).
func ours(t testing.TB, image string) map[string]file {
	t.Helper()
	f, err := os.Open(image)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	im, err := erofs.Open(f)
	if err != nil {
		t.Fatal(err)
	}
	tr, err := im.Tree()
	if err != nil {
		t.Fatal(err)
	}
	tr.Inodes()
	all := map[string]file{}
	err = tr.Walk(func(path string, n *tree.Node) error {
		e := file{Mode: n.Mode, UID: n.UID, GID: n.GID, Mtime: n.Mtime, Nsec: n.Nsec, Nlink: n.Links(), Rdev: n.Rdev, Target: n.Target}
		for _, x := range n.Xattrs {
			e.Xattrs += fmt.Sprintf("%q=%q ", x.Name, x.Value)
		}
		if n.IsRegular() {
			b := make([]byte, n.Size)
			if got, err := n.Content.ReadAt(b, 0); got != len(b) {
				return err
			}
			e.Size, e.Data = n.Size, digest(b)
		}
		all[path] = e
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func same(t testing.TB, got, want map[string]file) {
	t.Helper()
	for path, w := range want {
		if g, ok := got[path]; !ok {
			t.Errorf("%q: missing", path)
		} else if g != w {
			t.Errorf("%q:\n got %+v\nwant %+v", path, g, w)
		}
	}
	for path := range got {
		if _, ok := want[path]; !ok {
			t.Errorf("%q: not in the image", path)
		}
	}
}
