package judges

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"testing"

	goerofs "github.com/erofs/go-erofs"

	"github.com/laminafs/lamina/mkfs"
)

// go-erofs is what containerd reads images with. It knows everything that is not compressed but the
// 48-bit layout.
func TestGoErofsReadsOurImages(t *testing.T) {
	for name, o := range map[string]mkfs.Options{
		"default":        {},
		"blocks only":    {Inline: mkfs.InlineNone},
		"512":            {BlockSize: 512},
		"16384":          {BlockSize: 16384},
		"chunks":         {ChunkSize: 4096},
		"chunks, dedupe": {ChunkSize: 1 << 16, Dedupe: true},
		"extended":       {Inodes: mkfs.InodeExtended},
		"not shared":     {XattrShare: -1},
		"long prefixes":  {XattrPrefixes: []string{"trusted.overlay.", "security.sha"}},
	} {
		t.Run(name, func(t *testing.T) {
			path := image(t, layer(t, true), o)
			f, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			im, err := goerofs.Open(f)
			if err != nil {
				t.Fatal(err)
			}
			want := ours(t, path)
			for p, e := range want {
				e.Mode &^= 0o7000 // it does not tell setuid, setgid and sticky
				want[p] = e
			}
			same(t, listed(t, im), want)
		})
	}
}

func listed(t *testing.T, im fs.FS) map[string]file {
	t.Helper()
	all := map[string]file{}
	err := fs.WalkDir(im, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("%q: %w", path, err)
		}
		info, err := d.Info()
		if err != nil {
			return fmt.Errorf("%q: %w", path, err)
		}
		st := info.Sys().(*goerofs.Stat)
		e := file{Mode: unixMode(info.Mode()), UID: st.UID, GID: st.GID, Mtime: int64(st.Mtime), Nsec: st.MtimeNs, Nlink: uint32(st.Nlink)}
		for _, k := range slices.Sorted(maps.Keys(st.Xattrs)) {
			e.Xattrs += fmt.Sprintf("%q=%q ", k, st.Xattrs[k])
		}
		switch info.Mode().Type() {
		case 0:
			b, err := fs.ReadFile(im, path)
			if err != nil {
				return fmt.Errorf("%q: %w", path, err)
			}
			e.Size, e.Data = info.Size(), digest(b)
		case fs.ModeSymlink:
			if e.Target, err = fs.ReadLink(im, path); err != nil {
				return fmt.Errorf("%q: %w", path, err)
			}
		case fs.ModeDevice, fs.ModeDevice | fs.ModeCharDevice:
			e.Rdev = st.Rdev
		}
		if path == "." {
			path = ""
		}
		all[path] = e
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// unixMode is the mode as inode(7) has it, without setuid, setgid and sticky.
func unixMode(m fs.FileMode) uint32 {
	return uint32(m.Perm()) | map[fs.FileMode]uint32{0: 0o100000, fs.ModeDir: 0o040000, fs.ModeSymlink: 0o120000, fs.ModeNamedPipe: 0o010000,
		fs.ModeDevice: 0o060000, fs.ModeDevice | fs.ModeCharDevice: 0o020000, fs.ModeSocket: 0o140000}[m.Type()]
}
