package e2e

import (
	"archive/tar"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/laminafs/lamina/internal/oracle"
	"github.com/laminafs/lamina/mkfs"
	"github.com/laminafs/lamina/tartree"
	"github.com/laminafs/lamina/tree"
)

// layer writes a tar whose entries are given by name: "d/" a directory, "f=text" a file, "l>target" a
// symbolic link, "h&target" a hard link. The mode carries the number of the layer, to tell them apart.
func layer(t testing.TB, number int, entries ...string) string {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "layer.tar"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := tar.NewWriter(f)
	for _, e := range entries {
		h := &tar.Header{Name: e, Mode: 0o700 + int64(number), Uid: number, ModTime: time.Unix(int64(1e9+number), 0), Typeflag: tar.TypeReg}
		var data string
		switch {
		case strings.HasSuffix(e, "/"):
			h.Typeflag = tar.TypeDir
		case strings.Contains(e, "="):
			h.Name, data, _ = strings.Cut(e, "=")
		case strings.Contains(e, ">"):
			h.Name, h.Linkname, _ = strings.Cut(e, ">")
			h.Typeflag = tar.TypeSymlink
		case strings.Contains(e, "&"):
			h.Name, h.Linkname, _ = strings.Cut(e, "&")
			h.Typeflag = tar.TypeLink
		}
		h.Size = int64(len(data))
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(data)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return f.Name()
}

func threeLayers(t testing.TB) []string {
	return []string{
		layer(t, 1, "a=1", "b=1", "keep=1", "d/", "d/x=1", "d/y=1", "opq/", "opq/old=1", "opq/sub/", "opq/sub/f=1",
			"gone/", "gone/f=1", "file-to-dir=1", "dir-to-file/", "dir-to-file/f=1", "hl1=linked", "hl2&hl1", "link>a", "back=1",
			"sub/", "sub/gone/", "sub/gone/f=1", "link-to-dir>d", "deep/", "deep/a/", "deep/a/b/", "deep/a/b/f=1"),
		layer(t, 2, "a=2", ".wh.b", "d/", "d/y=2", "d/z=2", "opq/", "opq/.wh..wh..opq", "opq/new=2", ".wh.gone",
			"file-to-dir/", "file-to-dir/f=2", "dir-to-file=2", ".wh.hl1", "link>d", ".wh.back", "sub/", "sub/.wh.gone",
			"link-to-dir/", "link-to-dir/own=2", ".wh.never-there", "deep/", "deep/a/", "deep/a/b/", "deep/a/b/.wh.f", "two=2", "two-link&two"),
		layer(t, 3, "back=3", "d/", "d/.wh.x", "opq/", "opq/newer=3", "gone/", "gone/again=3", "sub/", "sub/gone/", "sub/gone/new=3", "a>b"),
	}
}

// mergedImage reads the layers into trees, merges them and makes one image.
func mergedImage(t testing.TB, tars []string) string {
	t.Helper()
	out, err := os.Create(filepath.Join(t.TempDir(), "merged.erofs"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	w, err := mkfs.New(out, mkfs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	var layers []*tree.Tree
	for _, name := range tars {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		tr, err := tartree.Read(f, w, tartree.Options{})
		if err != nil {
			t.Fatal(err)
		}
		layers = append(layers, tr)
	}
	merged, err := tree.Merge(layers...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Finish(merged); err != nil {
		t.Fatal(err)
	}
	return out.Name()
}

func TestMergedLayersAreWhatTheModelSays(t *testing.T) {
	dir := corpus(t)
	for name, tars := range map[string][]string{
		"three": threeLayers(t),
		"real":  {filepath.Join(dir, "small-base.tar"), filepath.Join(dir, "small-golang.tar"), filepath.Join(dir, "small-node.tar")},
		"cases": {dir + "/cases/hardlinks.tar", dir + "/cases/whiteouts.tar", dir + "/cases/xattrs.tar", dir + "/cases/sparse-gnu.tar",
			dir + "/cases/whiteout-readd.tar", dir + "/cases/no-parents.tar", dir + "/cases/hardlinks.tar", dir + "/cases/dot-slash.tar"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			image := mergedImage(t, tars)
			same(t, "by file", walked(t, oracle.MountImage(t, image)), expected(t, variant{}, tars...))
			checked(t, image)
		})
	}
}

// overlayfs over the images of the layers, each mounted by the kernel, shows what the merged image
// shows. It does not keep link counts, and has no notion of hard links across a whiteout.
func TestMergedLayersAreWhatOverlayfsShows(t *testing.T) {
	tars := threeLayers(t)
	var lower []string
	for _, name := range tars {
		lower = append([]string{oracle.MountImage(t, build(t, name, mkfs.Options{}))}, lower...)
	}
	dir := t.TempDir()
	if err := unix.Mount("overlay", dir, "overlay", unix.MS_RDONLY, "lowerdir="+strings.Join(lower, ":")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	linkless := func(r map[string]any) { delete(r, "nlink"); delete(r, "link") }
	same(t, "merged image", walked(t, oracle.MountImage(t, mergedImage(t, tars))).edited(t, linkless), walked(t, dir).edited(t, linkless))
}
