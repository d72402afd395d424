package erofs

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/laminafs/lamina/internal/disk"
	"github.com/laminafs/lamina/internal/oracle"
)

// mkfs runs mkfs.erofs and returns the opened image file.
func mkfs(t *testing.T, args ...string) *os.File {
	t.Helper()
	out := filepath.Join(t.TempDir(), "image.erofs")
	tool := oracle.Need(t, "mkfs.erofs")
	last := args[len(args)-1]
	oracle.Run(t, tool, append(append([]string{"--quiet"}, args[:len(args)-1]...), out, last)...)
	return openFile(t, out)
}

func openFile(t *testing.T, name string) *os.File {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// wanted is what mkfs.erofs makes of a source: it adds an xattr to directories with whiteouts.
func wanted(t *testing.T, src string) listing {
	t.Helper()
	want := listDir(t, src)
	x := want["x"]
	x.xattrs = `trusted.overlay.origin=""`
	want["x"] = x
	return want
}

// agree checks both ways to read an image.
func agree(t *testing.T, im *Image, want listing) {
	t.Helper()
	tr, err := im.Tree()
	if err != nil {
		t.Fatal(err)
	}
	differ(t, "Tree", listTree(t, tr), want)
	differ(t, "FS", listFS(t, im), want)
}

func TestImagesOfMkfsErofsReadAsTheirSource(t *testing.T) {
	oracle.NeedRoot(t)
	src := source(t)
	want := wanted(t, src)
	for name, args := range map[string]string{
		"default":        "",
		"plain":          "-E^inline_data",
		"extended":       "-Eforce-inode-extended",
		"block 512":      "-b512",
		"block 1024":     "-b1024",
		"block 2048":     "-b2048 -E^inline_data",
		"chunks 4K":      "--chunksize=4096",
		"chunks 64K":     "--chunksize=65536",
		"chunks b512":    "--chunksize=512 -b512",
		"chunk indexes":  "--chunksize=4096 -Eforce-chunk-indexes",
		"blockmap":       "--chunksize=4096 -Eforce-inode-blockmap",
		"all shared":     "-x1",
		"none shared":    "-x1000",
		"filter":         "-x1 -Exattr-name-filter",
		"prefix":         "--xattr-prefix=security.long. --xattr-prefix=trusted.s",
		"plain prefix":   "--xattr-prefix=security.long. -Eplain-xattr-prefixes",
		"48bit":          "-E48bit",
		"48bit chunks":   "-E48bit --chunksize=4096",
		"dots omitted":   "-E48bit,dot-omitted -b512",
		"no checksum":    "-Enosbcrc",
		"unit":           "--dsunit=8",
		"metadata zone":  "--MZ -E48bit",
		"label and uuid": "-Llabel -U11111111-2222-3333-4444-555555555555",
	} {
		t.Run(name, func(t *testing.T) {
			im := open(t, mkfs(t, append(strings.Fields(args), src)...))
			want := maps.Clone(want)
			for path, r := range want { // with 48BIT, times go to compact inodes and lose the nanoseconds
				if i, err := im.Lookup(path); err == nil && im.img.Super.Incompat&disk.Has48Bit != 0 && !i.raw.Format.Extended() {
					r.nsec = 0
					want[path] = r
				}
			}
			agree(t, im, want)
		})
	}
}

func TestCompactInodesHaveTheTimeOfTheImage(t *testing.T) {
	oracle.NeedRoot(t)
	src := source(t)
	if err := os.Lchown(src+"/file-512", 5, 6); err != nil {
		t.Fatal(err)
	}
	want := wanted(t, src)
	for path, r := range want {
		r.mtime, r.nsec = 1234567, 0
		want[path] = r
	}
	im := open(t, mkfs(t, "-T1234567", "-Eforce-inode-compact", src))
	agree(t, im, want)
	if im.Root().raw.Format.Extended() {
		t.Error("the root is an extended inode: the test misses its subject")
	}
}

func TestXattrsAreDroppedOnRequest(t *testing.T) {
	oracle.NeedRoot(t)
	src := source(t)
	want := wanted(t, src)
	for path, r := range want {
		if path != "x" {
			r.xattrs = ""
		}
		want[path] = r
	}
	agree(t, open(t, mkfs(t, "-x-1", src)), want)
}

func TestBlobDeviceHoldsTheData(t *testing.T) {
	oracle.NeedRoot(t)
	src := source(t)
	blob := filepath.Join(t.TempDir(), "blob")
	f := mkfs(t, "--blobdev="+blob, "--chunksize=4096", src)
	im := open(t, f, openFile(t, blob))
	agree(t, im, wanted(t, src))
	if len(im.Devices()) != 1 {
		t.Errorf("devices %+v, want one", im.Devices())
	}

	if _, err := Open(f, openFile(t, blob), openFile(t, blob)); err == nil {
		t.Error("two devices given for one slot: opened")
	}
	without := open(t, f)
	if _, err := fs.ReadFile(without, "file-1"); err == nil {
		t.Error("read without the device")
	}
	if st, err := fs.Stat(without, "file-1"); err != nil || st.Size() != 1 {
		t.Errorf("stat without the device: %v, %v", st, err)
	}
}

func TestTarIndexReadsTheTar(t *testing.T) {
	oracle.NeedRoot(t)
	src := source(t)
	dir := t.TempDir()
	tarOf(t, src, dir+"/x.tar")
	want := listDir(t, src)
	delete(want, "x/socket") // has no form in tar
	f := mkfs(t, "--tar=i", dir+"/x.tar")
	agree(t, open(t, f, openFile(t, dir+"/x.tar")), want)

	index, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	archive, err := os.ReadFile(dir + "/x.tar")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/flat", append(index, archive...), 0o644); err != nil {
		t.Fatal(err)
	}
	im := open(t, openFile(t, dir+"/flat"))
	if !im.img.Flat {
		t.Error("not recognized as flattened")
	}
	agree(t, im, want)

	full := mkfs(t, "--tar=f", dir+"/x.tar")
	agree(t, open(t, full), want)
}

func TestSuperblockShowsWhatMkfsWasTold(t *testing.T) {
	oracle.NeedRoot(t)
	im := open(t, mkfs(t, "-Lname", "-U11111111-2222-3333-4444-555555555555", "-b1024", source(t)))
	sb := im.Superblock()
	if im.Label() != "name" || sb.UUID != [16]byte([]byte("\x11\x11\x11\x11\x22\x22\x33\x33\x44\x44\x55\x55\x55\x55\x55\x55")) ||
		sb.BlockSize() != 1024 || sb.Compat&disk.HasChecksum == 0 {
		t.Errorf("label %q, %+v", im.Label(), sb)
	}
}
