package cli

import (
	"fmt"
	"os"

	"github.com/spf13/pflag"

	"github.com/laminafs/lamina/mkfs"
)

// baseFiles are the files of --base, opened.
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
func (e *env) openBases(j *buildJob) (*baseFiles, error) {
	b := &baseFiles{}
	if len(j.bases) == 0 {
		return b, nil
	}
	var list []mkfs.Base
	for _, path := range j.bases {
		f, err := os.Open(path)
		if err != nil {
			b.close()
			return nil, err
		}
		b.open, b.paths = append(b.open, f), append(b.paths, path)
		size, err := sizeOf(f)
		if err != nil {
			b.close()
			return nil, err
		}
		list = append(list, mkfs.Base{Data: cancelReaderAt{e.ctx, f}, Size: size})
	}
	bases, err := mkfs.NewBases(j.options.Mkfs.BlockSize, list...)
	if err != nil {
		b.close()
		return nil, fmt.Errorf("--base: %w", err)
	}
	b.known, j.options.Mkfs.Bases = bases, bases
	return b, nil
}
