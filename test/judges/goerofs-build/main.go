// Command goerofs-build makes an EROFS image of a tar with the writer of go-erofs, for benchmarks: the
// archive/tar of the standard library in front, SHA-256 on the way, fsync at the end. Hard links become
// nothing, since the writer has none.
package main

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	goerofs "github.com/erofs/go-erofs"
)

func main() {
	out := flag.String("o", "", "image to write")
	flag.Parse()
	if flag.NArg() != 1 || *out == "" {
		fmt.Fprintln(os.Stderr, "usage: goerofs-build -o IMAGE TAR")
		os.Exit(2)
	}
	diffID, err := build(flag.Arg(0), *out)
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(map[string]string{"diffID": diffID})
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "goerofs-build: %s: %v\n", flag.Arg(0), err)
		os.Exit(1)
	}
}

func build(in, out string) (string, error) {
	f, err := os.Open(in)
	if err != nil {
		return "", err
	}
	defer f.Close()
	image, err := os.Create(out)
	if err != nil {
		return "", err
	}
	defer image.Close()
	hash := sha256.New()
	r := io.TeeReader(f, hash)
	w := goerofs.Create(image, goerofs.WithTempDir(filepath.Dir(out)))
	if err := copyTar(w, tar.NewReader(r)); err != nil {
		return "", err
	}
	if _, err := io.Copy(io.Discard, r); err != nil {
		return "", err
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	return "sha256:" + hex.EncodeToString(hash.Sum(nil)), image.Sync()
}

func copyTar(w *goerofs.Writer, r *tar.Reader) error {
	made := map[string]bool{"/": true}
	for {
		h, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		name := path.Clean("/" + h.Name)
		if h.Typeflag == tar.TypeLink || made[name] && h.Typeflag != tar.TypeDir {
			continue
		}
		if err := parents(w, path.Dir(name), made); err != nil {
			return err
		}
		if err := entry(w, r, h, name, made); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		made[name] = true
	}
}

func parents(w *goerofs.Writer, dir string, made map[string]bool) error {
	if made[dir] {
		return nil
	}
	if err := parents(w, path.Dir(dir), made); err != nil {
		return err
	}
	made[dir] = true
	return w.Mkdir(dir, 0o755)
}

func entry(w *goerofs.Writer, r io.Reader, h *tar.Header, name string, made map[string]bool) error {
	mode := h.FileInfo().Mode()
	var err error
	switch h.Typeflag {
	case tar.TypeDir:
		if !made[name] {
			err = w.Mkdir(name, mode.Perm())
		}
	case tar.TypeSymlink:
		err = w.Symlink(h.Linkname, name)
	case tar.TypeChar, tar.TypeBlock, tar.TypeFifo:
		kind := map[byte]uint16{tar.TypeChar: 0o020000, tar.TypeBlock: 0o060000, tar.TypeFifo: 0o010000}[h.Typeflag]
		minor, major := uint32(h.Devminor), uint32(h.Devmajor)
		err = w.Mknod(name, kind|uint16(mode.Perm()), minor&0xff|major<<8|(minor&^0xff)<<12)
	default:
		err = regular(w, r, name)
	}
	if err != nil {
		return err
	}
	return metadata(w, h, name, mode)
}

func regular(w *goerofs.Writer, r io.Reader, name string) error {
	f, err := w.Create(name)
	if err != nil {
		return err
	}
	if _, err := f.ReadFrom(r); err != nil {
		return err
	}
	return f.Close()
}

func metadata(w *goerofs.Writer, h *tar.Header, name string, mode fs.FileMode) error {
	if h.Typeflag != tar.TypeSymlink {
		if err := w.Chmod(name, mode&(fs.ModePerm|fs.ModeSetuid|fs.ModeSetgid|fs.ModeSticky)); err != nil {
			return err
		}
	}
	if err := w.Chown(name, h.Uid, h.Gid); err != nil {
		return err
	}
	for k, v := range h.PAXRecords {
		if attr, ok := strings.CutPrefix(k, "SCHILY.xattr."); ok {
			if err := w.Setxattr(name, attr, v); err != nil {
				return err
			}
		}
	}
	return w.Chtimes(name, h.ModTime, h.ModTime)
}
