//go:build linux

package main

import (
	"bytes"
	"errors"
	"io/fs"
	"os"

	"github.com/laminafs/lamina/erofs"
	"github.com/laminafs/lamina/internal/disk"
	"github.com/laminafs/lamina/internal/image"
	"github.com/laminafs/lamina/internal/zmap"
)

// pcluster is one without its padding, and how many bytes a file has of it.
type pcluster struct {
	src     []byte
	content int
}

// sample is pclusters of an image, each once.
type sample struct {
	algorithm disk.Algorithm
	list      []pcluster
	content   int64
	buf       []byte // as long as the longest
}

// readPclusters collects the compressed pclusters of the regular files, up to most bytes of content.
func readPclusters(path string, most int64) (*sample, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	im, err := erofs.Open(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	raw, err := image.Open(bytes.NewReader(b), nil, image.Options{})
	if err != nil {
		return nil, err
	}
	s, seen := &sample{}, map[int64]bool{}
	err = fs.WalkDir(im, ".", func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		if s.content >= most {
			return fs.SkipAll
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		in, err := raw.Inode(info.Sys().(*erofs.Inode).NID)
		if err != nil || !in.Compressed() || in.Size == 0 {
			return err
		}
		return s.file(raw, &in, b, seen)
	})
	if err == nil && len(s.list) == 0 {
		err = errors.New("no compressed pcluster")
	}
	return s, err
}

// file adds the pclusters of one file of the image b.
func (s *sample) file(im *image.Image, in *image.Inode, b []byte, seen map[int64]bool) error {
	m, err := im.CompressedMap(in)
	if err != nil {
		return err
	}
	for z, err := range m.From(0) {
		if err != nil {
			return err
		}
		if z.Kind != zmap.Compressed || seen[z.Pos] {
			continue
		}
		seen[z.Pos] = true
		src := bytes.TrimLeft(b[z.Pos:z.Pos+z.PLen], "\x00")
		s.algorithm = z.Algorithm
		s.list = append(s.list, pcluster{src[:len(src):len(src)], int(z.Len)})
		s.content += z.Len
		if len(s.buf) < int(z.Len) {
			s.buf = make([]byte, z.Len)
		}
	}
	return nil
}
