//go:build linux

package harness

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// BigFile is a file of BigSize bytes in the images made here, to look for in the page cache.
const (
	BigFile = "srv/big"
	BigSize = 4 << 20
)

// Entry is a member of a layer made here. The type follows from the fields: a link target with Link for hard links,
// a Symlink, a directory if Name ends in a slash, else a file.
type Entry struct {
	Name, Data, Link, Symlink string
	Mode                      int64
	UID                       int
	Xattrs                    map[string]string
}

// WriteLayer writes a tar of entries.
func WriteLayer(path string, entries ...Entry) error {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		h := &tar.Header{Name: e.Name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(e.Data)), Uid: e.UID,
			ModTime: time.Unix(1767225600, 0), Format: tar.FormatPAX}
		switch {
		case e.Link != "":
			h.Typeflag, h.Linkname = tar.TypeLink, e.Link
		case e.Symlink != "":
			h.Typeflag, h.Linkname, h.Mode = tar.TypeSymlink, e.Symlink, 0o777
		case e.Name[len(e.Name)-1] == '/':
			h.Typeflag, h.Mode = tar.TypeDir, 0o755
		}
		if e.Mode != 0 {
			h.Mode = e.Mode
		}
		for k, v := range e.Xattrs {
			if h.PAXRecords == nil {
				h.PAXRecords = map[string]string{}
			}
			h.PAXRecords["SCHILY.xattr."+k] = v
		}
		if err := w.WriteHeader(h); err != nil {
			return fmt.Errorf("%s: %w", e.Name, err)
		}
		if _, err := w.Write([]byte(e.Data)); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	return os.WriteFile(path, b.Bytes(), 0o644)
}

// Noise is n bytes that do not compress, the same for the same seed.
func Noise(seed uint64, n int) string {
	r := rand.New(rand.NewPCG(seed, 7))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return string(b)
}

// Deb writes the files of a Debian package as a tar below dir and returns its path. The package is downloaded with apt-get
// into cache once.
func Deb(ctx context.Context, cache, dir, name string) (string, error) {
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	find := func() string {
		found, _ := filepath.Glob(filepath.Join(cache, name+"_*.deb"))
		if len(found) == 0 {
			return ""
		}
		return found[0]
	}
	if find() == "" {
		if _, err := Run(ctx, nil, "sh", "-c", `cd "$0" && apt-get -q download "$1"`, cache, name); err != nil {
			return "", err
		}
	}
	out := filepath.Join(dir, name+".tar")
	_, err := Run(ctx, nil, "sh", "-c", `dpkg-deb --fsys-tarfile "$0" >"$1"`, find(), out)
	return out, err
}

// top are the layers above the packages in TenLayers: each has one thing that snapshotters and differs get wrong.
func top() [][]Entry {
	many := []Entry{{Name: "data/"}, {Name: "data/gone/"}, {Name: "data/opaque/"}, {Name: "data/kept/"}}
	for i := range 50 {
		many = append(many,
			Entry{Name: fmt.Sprintf("data/gone/%02d", i), Data: fmt.Sprintf("gone %d\n", i)},
			Entry{Name: fmt.Sprintf("data/opaque/%02d", i), Data: fmt.Sprintf("hidden %d\n", i)},
			Entry{Name: fmt.Sprintf("data/kept/%02d", i), Data: Noise(uint64(i), 700*i), UID: i})
	}
	return [][]Entry{
		{{Name: "bin/"}, {Name: "bin/sh", Symlink: "busybox"}, {Name: "srv/"}, {Name: BigFile, Data: Noise(1, BigSize)}},
		many,
		{ // xattrs and hard links
			{Name: "x/"}, {Name: "x/a", Data: "linked\n", Xattrs: map[string]string{"user.note": "a\x00b", "user.empty-ish": "-"}},
			{Name: "x/b", Link: "x/a"}, {Name: "x/c", Link: "x/a"},
			{Name: "x/cap", Data: "#!/bin/sh\n", Mode: 0o755,
				Xattrs: map[string]string{"security.capability": "\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"}},
		},
		{ // whiteouts and opaque directories
			{Name: "data/"}, {Name: "data/.wh.gone"}, {Name: "data/opaque/"}, {Name: "data/opaque/.wh..wh..opq"},
			{Name: "data/opaque/new", Data: "seen\n"}, {Name: "data/kept/"}, {Name: "data/kept/.wh.07"},
		},
		{ // what was deleted comes back as something else; a file becomes a directory
			{Name: "data/"}, {Name: "data/gone", Data: "a file now\n"}, {Name: "data/kept/"}, {Name: "data/kept/.wh.08"},
			{Name: "data/kept/08/"}, {Name: "data/kept/08/inside", Data: "x"}, {Name: "x/"}, {Name: "x/.wh.b"},
		},
		{{Name: "etc/"}, {Name: "etc/layer", Data: "ten\n"}, {Name: "tmp/", Mode: 0o1777}, {Name: "data/"}, {Name: "data/z", Symlink: "kept/09"}},
	}
}

// TenLayers makes an image of ten layers below dir: packages of Debian, and what top says. Most are compressed by gzip, one
// by zstd, one is a plain tar.
func TenLayers(ctx context.Context, cache, dir string) (*Image, error) {
	var layers []Layer
	add := func(tar, compression string) error {
		l, err := NewLayer(dir, tar, compression)
		layers = append(layers, l)
		return err
	}
	for _, name := range []string{"busybox-static", "tzdata", "netbase", "base-files"} {
		t, err := Deb(ctx, cache, dir, name)
		if err != nil {
			return nil, err
		}
		if err := add(t, "gzip"); err != nil {
			return nil, err
		}
	}
	for i, entries := range top() {
		path := filepath.Join(dir, fmt.Sprintf("top%d.tar", i))
		if err := WriteLayer(path, entries...); err != nil {
			return nil, err
		}
		if err := add(path, []string{"gzip", "zstd", "", "gzip", "gzip", "gzip"}[i]); err != nil {
			return nil, err
		}
	}
	return NewImage(layers, TestConfig())
}

// SmallImage makes an image of n layers: busybox with its shell, and n-1 layers of one file each, which also replaces a
// file of the layer before.
func SmallImage(ctx context.Context, cache, dir string, n int) (*Image, error) {
	t, err := Deb(ctx, cache, dir, "busybox-static")
	if err != nil {
		return nil, err
	}
	tars := []string{t}
	for i := 1; i < n; i++ {
		path := filepath.Join(dir, fmt.Sprintf("small%03d.tar", i))
		entries := []Entry{{Name: "n/"}, {Name: "n/last", Data: fmt.Sprint(i)}, {Name: fmt.Sprintf("n/%03d", i), Data: fmt.Sprint(i)}}
		if i == 1 {
			entries = append(entries, top()[0]...)
		}
		if err := WriteLayer(path, entries...); err != nil {
			return nil, err
		}
		tars = append(tars, path)
	}
	var layers []Layer
	for _, t := range tars {
		l, err := NewLayer(dir, t, "gzip")
		if err != nil {
			return nil, err
		}
		layers = append(layers, l)
	}
	return NewImage(layers, TestConfig())
}

// TestConfig is the configuration of the images made here.
func TestConfig() ocispec.ImageConfig {
	return ocispec.ImageConfig{Env: []string{"PATH=/bin:/usr/bin"}, Cmd: []string{"sh"}, WorkingDir: "/"}
}
