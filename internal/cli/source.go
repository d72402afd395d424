package cli

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/laminafs/lamina/erofs"
	"github.com/laminafs/lamina/internal/disk"
)

// sourceKind is what an input turned out to be.
type sourceKind uint8

const (
	sourceAny    sourceKind = iota
	sourceStream            // a tar, compressed or not
	sourceDir
	sourceImage // an EROFS image
)

var sourceNames = [...]string{"anything", "a file", "a directory", "an EROFS image"}

// source is an opened input.
type source struct {
	path string
	kind sourceKind
	file *os.File
	size int64 // of a regular file, else -1
}

// openSource opens an input and looks what it is; "-" is stdin.
func (e *env) openSource(path string) (*source, error) {
	s := &source{path: path, kind: sourceStream, file: e.stdin, size: -1}
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		s.file = f
	}
	st, err := s.file.Stat()
	if err != nil {
		return nil, err
	}
	switch {
	case st.IsDir():
		s.kind = sourceDir
	case st.Mode().IsRegular():
		s.size = st.Size()
		fallthrough
	default:
		if isImage(s.file) {
			s.kind = sourceImage
		}
	}
	return s, nil
}

func (s *source) close() { _ = s.file.Close() }

// isImage looks for the superblock's magic number. A pipe cannot be looked into and is no image.
func isImage(r io.ReaderAt) bool {
	var magic [4]byte
	_, err := r.ReadAt(magic[:], disk.SuperOffset)
	return err == nil && uint32(magic[0])|uint32(magic[1])<<8|uint32(magic[2])<<16|uint32(magic[3])<<24 == disk.Magic
}

// imageFile is an opened EROFS image with its devices.
type imageFile struct {
	*erofs.Image
	file    *os.File
	size    int64
	devices []io.ReaderAt
	open    []*os.File
}

// openImage opens an image, which begins at offset of its file.
func openImage(path string, offset int64, devices []string) (*imageFile, error) {
	im := &imageFile{}
	f, size, err := im.add(path)
	if err != nil {
		return nil, err
	}
	im.file, im.size = f, size-offset
	for _, d := range devices {
		f, _, err := im.add(d)
		if err != nil {
			im.close()
			return nil, err
		}
		im.devices = append(im.devices, f)
	}
	if offset < 0 || im.size < 0 {
		im.close()
		return nil, usagef("%s: offset %d: not inside the file of %d bytes", path, offset, size)
	}
	if im.Image, err = erofs.Open(im.reader(offset), im.devices...); err != nil {
		im.close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return im, nil
}

func (im *imageFile) reader(offset int64) io.ReaderAt {
	if offset == 0 {
		return im.file
	}
	return io.NewSectionReader(im.file, offset, im.size)
}

func (im *imageFile) add(path string) (*os.File, int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	im.open = append(im.open, f)
	size, err := sizeOf(f)
	return f, size, err
}

// sizeOf is the length of a regular file or a block device.
func sizeOf(f *os.File) (int64, error) {
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, err
	}
	_, err = f.Seek(0, io.SeekStart)
	return size, err
}

func (im *imageFile) close() {
	for _, f := range im.open {
		_ = f.Close()
	}
}

func sortedList(names []string) string {
	slices.Sort(names)
	return strings.Join(names, ", ")
}
