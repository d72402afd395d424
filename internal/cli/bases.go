package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/pflag"

	"github.com/laminafs/lamina/erofs"
	"github.com/laminafs/lamina/internal/disk"
	"github.com/laminafs/lamina/mkfs"
)

// baseFiles are the files of --base, opened, and those that they need themselves.
type baseFiles struct {
	paths []string
	open  []*os.File
	known *mkfs.Bases
}

// baseUse is a base that an image refers to: what it needs as a device.
type baseUse struct {
	Path   string `json:"path"`
	Digest string `json:"digest"`
}

func registerBases(fs *pflag.FlagSet, j *buildJob) {
	fs.StringArrayVar(&j.bases, "base", nil, "store only what this file lacks, and refer to it as a device for the rest (repeatable)")
}

// used are the bases that are devices of the image, in their order.
func (b *baseFiles) used(s *mkfs.Summary) (list []baseUse) {
	for _, i := range s.Bases {
		list = append(list, baseUse{b.paths[i], fmt.Sprintf("sha256:%x", b.known.Digest(i))})
	}
	return list
}

func (b *baseFiles) close() {
	for _, f := range b.open {
		_ = f.Close() // only read
	}
}

// openBases reads the files that the image may refer to into the options; the caller closes them when
// the image is complete.
func (e *env) openBases(j *buildJob) (b *baseFiles, err error) {
	b = &baseFiles{}
	if o := &j.options.Mkfs; len(j.bases) > 0 && (j.index || j.blob != "" || o.ChunkSize != 0 || o.LargeAlign != 0) {
		return b, usagef("--base does not go with --tar-index, --blob, --chunk-size or --align-large")
	}
	defer func() {
		if err != nil {
			b.close()
		}
	}()
	for _, path := range j.bases {
		if err := b.add(path); err != nil {
			return b, err
		}
	}
	for more := len(b.open) > 0; more; { // what is found beside a base may have bases itself
		if err := b.read(e, &j.options.Mkfs); err != nil {
			return b, fmt.Errorf("--base: %w", err)
		}
		if more, err = b.addTheirs(e, j); err != nil {
			return b, err
		}
	}
	j.options.Mkfs.Bases = b.known
	if err := joinUsage(j.options.Mkfs.Validate()); err != nil {
		return b, fmt.Errorf("--base: %w", err)
	}
	return b, apart([]string{j.output, j.blob, j.tarOut}, b.paths)
}

func (b *baseFiles) add(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	if info, err := f.Stat(); err == nil && info.IsDir() {
		_ = f.Close() // only read
		return usagef("--base: %s: is a directory, not an image", path)
	}
	b.open, b.paths = append(b.open, f), append(b.paths, path)
	return nil
}

func (b *baseFiles) read(e *env, o *mkfs.Options) error {
	var list []mkfs.Base
	for _, f := range b.open {
		size, err := sizeOf(f)
		if err != nil {
			return err
		}
		list = append(list, mkfs.Base{Data: cancelReaderAt{e.ctx, f}, Size: size})
	}
	read := mkfs.NewBases
	if o.Compression != nil {
		read = mkfs.NewFileBases
	}
	var err error
	b.known, err = read(o.BlockSize, list...)
	return err
}

// addTheirs adds the devices that bases have themselves and that lie in their directories; it tells whether
// there were any, and warns of others.
func (b *baseFiles) addTheirs(e *env, j *buildJob) (more bool, err error) {
	for _, path := range slices.Clone(b.paths) {
		devices, err := devicesOf(path, j.options.Mkfs.Compression != nil)
		if err != nil {
			return false, fmt.Errorf("--base: %s: %w", path, err)
		}
		for _, d := range devices {
			if !isHexDigest(d.Tag) || b.has(d.Tag) {
				continue
			}
			found, err := beside(e, path, &d)
			switch {
			case err != nil:
				return false, err
			case found != "" && len(b.paths) < mkfs.BaseMax && !slices.Contains(b.paths, found):
				more = true
				if err := b.add(found); err != nil {
					return false, err
				}
			default:
				j.warning(fmt.Sprintf("%s: has data in another file, which is not here: with --base %s it would not be stored again", path, deviceText(&d)))
			}
		}
	}
	return more, nil
}

func (b *baseFiles) has(digest string) bool {
	for i := range b.known.Len() {
		if sum := b.known.Digest(i); hex.EncodeToString(sum[:]) == digest {
			return true
		}
	}
	return false
}

// sizedDevice is a device of an image with its length in bytes.
type sizedDevice struct {
	erofs.Device
	size int64
}

// devicesOf returns the extra devices of a base, none if it is no image. Compressed data in a base is of no use for
// images that are not compressed.
func devicesOf(path string, compressed bool) (list []sizedDevice, err error) {
	im, err := openFiles(path, 0, nil)
	if err != nil {
		return nil, err
	}
	defer im.close()
	if !isImage(im.image, 0) {
		return nil, nil
	}
	s, err := im.super()
	if err != nil {
		return nil, nil // its blocks are of use all the same
	}
	if s.Incompat&disk.HasZeroPadding != 0 && !compressed {
		return nil, &erofs.UnsupportedError{Feature: "a base with compressed data for an image without (--compress or --preset)"}
	}
	for _, d := range s.devices {
		list = append(list, sizedDevice{d, int64(d.Blocks) << s.BlockBits})
	}
	return list, nil
}

// besideMax bounds the files of a directory that are looked at.
const besideMax = 4096

// beside finds the file with the digest of d in the directory of a base; only files of the right length are read.
func beside(e *env, base string, d *sizedDevice) (string, error) {
	dir, err := os.Open(filepath.Dir(base))
	if err != nil {
		return "", err
	}
	defer func() { _ = dir.Close() }()
	entries, err := dir.ReadDir(besideMax)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil || !info.Mode().IsRegular() || info.Size() > d.size || d.size-info.Size() >= 1<<disk.MaxBlockBits {
			continue
		}
		path := filepath.Join(filepath.Dir(base), entry.Name())
		f, err := os.Open(path)
		if err != nil {
			continue
		}
		h := sha256.New()
		_, err = io.Copy(h, io.NewSectionReader(cancelReaderAt{e.ctx, f}, 0, info.Size()))
		_ = f.Close() // only read
		if e.ctx.Err() != nil {
			return "", err
		}
		if err == nil && hex.EncodeToString(h.Sum(nil)) == d.Tag {
			return path, nil
		}
	}
	return "", nil
}

func isHexDigest(tag string) bool {
	b, err := hex.DecodeString(tag)
	return err == nil && len(b) == sha256.Size
}

// deviceText says which file a device is.
func deviceText(d *sizedDevice) string {
	if isHexDigest(d.Tag) {
		return fmt.Sprintf("FILE (%d bytes, SHA-256 %s)", d.size, d.Tag)
	}
	return fmt.Sprintf("FILE (%d bytes, %q)", d.size, d.Tag)
}
