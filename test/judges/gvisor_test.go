package judges

import (
	"os"
	"strings"
	"testing"

	gvisor "gvisor.dev/gvisor/pkg/erofs"

	"github.com/laminafs/lamina/mkfs"
)

// gVisor's sentry mounts EROFS images as container roots. It knows blocks of the page size, plain and
// inline data, and no xattrs; all compact inodes have the time of the image.
func TestGVisorReadsOurImages(t *testing.T) {
	for name, o := range map[string]mkfs.Options{
		"default":     {},
		"blocks only": {Inline: mkfs.InlineNone},
		"extended":    {Inodes: mkfs.InodeExtended},
		"unsummed":    {NoChecksum: true},
		"deduped":     {Dedupe: true},
	} {
		t.Run(name, func(t *testing.T) {
			path := image(t, layer(t, false), o)
			f, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			im, err := gvisor.OpenImage(f)
			if err != nil {
				t.Fatal(err)
			}
			defer im.Close()
			got := map[string]file{}
			sentry(t, im, "", im.RootNid(), got)
			want := ours(t, path)
			for p, e := range want {
				e.Rdev = 0 // it does not tell device numbers
				want[p] = e
			}
			same(t, got, want)
		})
	}
}

func sentry(t *testing.T, im *gvisor.Image, path string, nid uint64, into map[string]file) {
	t.Helper()
	ino, err := im.Inode(nid)
	if err != nil {
		t.Fatalf("%q: %v", path, err)
	}
	e := file{Mode: uint32(ino.Mode()), UID: ino.UID(), GID: ino.GID(), Mtime: int64(ino.Mtime()), Nsec: ino.MtimeNsec(), Nlink: ino.Nlink()}
	switch {
	case ino.IsRegular():
		e.Size = int64(ino.Size())
		e.Data = digest(contents(t, path, &ino))
	case ino.IsSymlink():
		if e.Target, err = ino.Readlink(); err != nil {
			t.Fatalf("%q: %v", path, err)
		}
	}
	into[path] = e
	if !ino.IsDir() {
		return
	}
	err = ino.IterDirents(func(name string, _ uint8, child uint64) error {
		if name == "." || name == ".." {
			return nil
		}
		if found, err := ino.Lookup(name); err != nil || found != child {
			t.Errorf("%q: lookup of %q: %d, %v, want %d", path, name, found, err, child)
		}
		sentry(t, im, strings.TrimPrefix(path+"/"+name, "/"), child, into)
		return nil
	})
	if err != nil {
		t.Fatalf("%q: %v", path, err)
	}
}

func contents(t *testing.T, path string, ino *gvisor.Inode) []byte {
	t.Helper()
	blocks, err := ino.Data()
	if err != nil {
		t.Fatalf("%q: %v", path, err)
	}
	var all []byte
	for ; !blocks.IsEmpty(); blocks = blocks.Tail() {
		all = append(all, blocks.Head().ToSlice()...)
	}
	return all
}
