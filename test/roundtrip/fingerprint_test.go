package roundtrip

import (
	"bytes"
	"crypto/sha256"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/laminafs/lamina/erofs"
	"github.com/laminafs/lamina/internal/oracle"
	"github.com/laminafs/lamina/mkfs"
	"github.com/laminafs/lamina/tartree"
	"github.com/laminafs/lamina/tree"
)

// fingerprints returns those of all inodes of an image, by path.
func fingerprints(t *testing.T, im *erofs.Image) map[string]string {
	t.Helper()
	found := make(map[string]string)
	err := fs.WalkDir(im, ".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		i, err := im.Lookup(path)
		if err != nil {
			return err
		}
		f, err := i.Fingerprint()
		if f != nil {
			found[path] = string(f)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func fingerprintTree() *tree.Tree {
	t := baseTree()
	add(t, "empty", nil)
	d := tree.NewDir(0o755)
	t.Root.Add("dir", d)
	d.Add("copy", t.Lookup("file-5"))
	n := *t.Lookup("file-6")
	n.SetXattr("user.a", "b")
	d.Add("attribute", &n)
	return t
}

func TestFingerprintsAreDigestsOfFilesWhateverTheirForm(t *testing.T) {
	want := make(map[string]string)
	_ = fingerprintTree().Walk(func(path string, n *tree.Node) error {
		if n.IsRegular() && n.Size > 0 {
			sum := sha256.Sum256([]byte(n.Content.(tree.Bytes)))
			want[path] = "sha256:" + string(sum[:])
		}
		return nil
	})
	base, _ := imageOn(t, baseTree, mkfs.Options{Inline: mkfs.InlineNone})
	f := store(t, "base", base)
	for name, o := range map[string]mkfs.Options{
		"plain": {}, "dedupe": {Dedupe: true}, "chunks": {ChunkSize: 4096}, "prefixes": {XattrPrefixes: []string{"user.long."}},
		"compressed": {Compression: &mkfs.Compression{}}, "bases": {Bases: basesOf(t, 0, f)}, "no xattrs": {DropXattrs: true},
		"fragments": {Compression: &mkfs.Compression{Tails: mkfs.TailFragments}},
	} {
		o.Fingerprints = true
		b, sum := imageOn(t, fingerprintTree, o)
		var devices []string
		im, err := erofs.Open(bytes.NewReader(b))
		if len(sum.Bases) > 0 {
			im, err = erofs.Open(bytes.NewReader(b), f)
			devices = append(devices, f.Name())
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		same(t, name, fingerprints(t, im), want)
		image := store(t, "image", b)
		judges(t, image.Name(), devices)
	}
}

// judges asks fsck.erofs, and the kernel, which must not show fingerprints.
func judges(t *testing.T, image string, devices []string) {
	t.Helper()
	args := []string{"--extract", image}
	for _, d := range devices {
		args = append([]string{"--device=" + d}, args...)
	}
	oracle.Run(t, oracle.Need(t, "fsck.erofs"), args...)
	dir := oracle.MountImage(t, image, devices...)
	if b, err := os.ReadFile(filepath.Join(dir, "file-5")); err != nil || len(b) != 5000 {
		t.Errorf("%s: %d bytes, %v", image, len(b), err)
	}
}

func same(t *testing.T, name string, got, want map[string]string) {
	t.Helper()
	for path, f := range want {
		if got[path] != f {
			t.Errorf("%s: %s: fingerprint %q, want %q", name, path, got[path], f)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%s: %d files have one, want %d", name, len(got), len(want))
	}
}

// Images share memory only if the bytes of fingerprints agree, whoever made them.
func TestFingerprintsAreThoseOfMkfsErofs(t *testing.T) {
	tool := oracle.Need(t, "mkfs.erofs")
	dir := t.TempDir()
	tarFile := filepath.Join(dir, "tar")
	if err := os.WriteFile(tarFile, tarOf(t, baseTree()), 0o644); err != nil {
		t.Fatal(err)
	}
	theirs := filepath.Join(dir, "theirs")
	oracle.Run(t, tool, "--quiet", "--tar=f", "--xattr-inode-digest", theirs, tarFile)
	f, err := os.Open(theirs)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	im, err := erofs.Open(f)
	if err != nil {
		t.Fatal(err)
	}
	ours := &memory{}
	w, err := mkfs.NewIndex(ours, mkfs.Options{Fingerprints: true})
	if err != nil {
		t.Fatal(err)
	}
	raw := tarOf(t, baseTree())
	tr, err := tartree.Read(bytes.NewReader(raw), w, tartree.Options{})
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(raw)
	if _, err := w.Finish(tr, mkfs.Tar{Size: int64(len(raw)), Digest: sum[:]}); err != nil {
		t.Fatal(err)
	}
	index, err := erofs.Open(ours, bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	same(t, "tar index", fingerprints(t, index), fingerprints(t, im))
}
