package cli

import (
	"path"
	"strings"

	"github.com/spf13/pflag"

	"github.com/laminafs/lamina/erofs"
)

// openFlags say how an image is opened.
type openFlags struct {
	devices []string
	offset  string
}

func (f *openFlags) register(fs *pflag.FlagSet) {
	fs.StringArrayVar(&f.devices, "device", nil, "extra device of the image (repeatable, in the order of its table)")
	fs.StringVar(&f.offset, "offset", "0", "where the image begins in its file")
}

func (f *openFlags) open(file string) (*imageFile, error) {
	off, err := parseSize(f.offset)
	if err != nil {
		return nil, err
	}
	return openImage(file, off, f.devices)
}

// files opens without reading.
func (f *openFlags) files(file string) (*imageFile, error) {
	off, err := parseSize(f.offset)
	if err != nil {
		return nil, err
	}
	return openFiles(file, off, f.devices)
}

// fsName makes the name that package io/fs wants of a path as people write it.
func fsName(p string) string {
	if name := strings.TrimPrefix(path.Clean("/"+p), "/"); name != "" {
		return name
	}
	return "."
}

// inodeAt finds the inode of a path; follow says whether a symbolic link at its end is followed.
func (im *imageFile) inodeAt(p string, follow bool) (*erofs.Inode, error) {
	stat := im.Lstat
	if follow {
		stat = im.Stat
	}
	st, err := stat(fsName(p))
	if err != nil {
		return nil, err
	}
	return st.Sys().(*erofs.Inode), nil
}
