package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/laminafs/lamina/erofs"
	"github.com/laminafs/lamina/internal/disk"
	"github.com/laminafs/lamina/internal/image"
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
	off  int64       // where the input begins: stdin may stand anywhere in its file
	size int64       // of a regular file from there on, else -1
	at   io.ReaderAt // a regular file from there on, else nil
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
	if st.IsDir() {
		s.kind = sourceDir
		return s, nil
	}
	if off, err := s.file.Seek(0, io.SeekCurrent); err == nil { // else it is a pipe, and begins where it is
		s.off = off
	}
	if st.Mode().IsRegular() {
		s.size = max(0, st.Size()-s.off)
		s.at = io.NewSectionReader(s.file, s.off, s.size)
	}
	if isImage(s.file, s.off) {
		s.kind = sourceImage
	}
	return s, nil
}

// openImage opens an input that is an EROFS image.
func (s *source) openImage(devices []string) (*imageFile, error) {
	path := s.path
	if path == "-" {
		path = "/dev/stdin" // an image redirected to stdin can be read anywhere
	}
	return openImage(path, s.off, devices)
}

func (s *source) close() { _ = s.file.Close() }

// isImage looks for the superblock's magic number of an image that begins at off. A pipe cannot be
// looked into and is no image.
func isImage(r io.ReaderAt, off int64) bool {
	var magic [4]byte
	_, err := r.ReadAt(magic[:], off+disk.SuperOffset)
	return err == nil && uint32(magic[0])|uint32(magic[1])<<8|uint32(magic[2])<<16|uint32(magic[3])<<24 == disk.Magic
}

// imageFile is an opened EROFS image with its devices.
type imageFile struct {
	*erofs.Image
	image   io.ReaderAt // from the offset on
	size    int64
	devices []io.ReaderAt
	open    []*os.File // the image, then the devices
}

// openFiles opens an image, which begins at offset of its file, and its devices, but reads nothing.
func openFiles(path string, offset int64, devices []string) (*imageFile, error) {
	im := &imageFile{}
	f, size, err := im.add(path)
	if err != nil {
		return nil, err
	}
	if offset < 0 || offset > size {
		im.close()
		return nil, usagef("%s: offset %d: not inside the file of %d bytes", path, offset, size)
	}
	im.image, im.size = f, size-offset
	if offset > 0 {
		im.image = io.NewSectionReader(f, offset, im.size)
	}
	for _, d := range devices {
		f, _, err := im.add(d)
		if err != nil {
			im.close()
			return nil, err
		}
		im.devices = append(im.devices, f)
	}
	return im, nil
}

// openImage opens an image and reads its superblock.
func openImage(path string, offset int64, devices []string) (*imageFile, error) {
	im, err := openFiles(path, offset, devices)
	if err != nil {
		return nil, err
	}
	if err := im.read(); err != nil {
		im.close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return im, nil
}

// read makes Image of opened files.
func (im *imageFile) read() (err error) {
	if im.Image, err = erofs.Open(im.image, im.devices...); err == nil || len(im.devices) == 0 {
		return err
	}
	if s, serr := im.super(); serr == nil && s.extra() != len(im.devices) {
		return usagef("%s given, the image has %d", plural(len(im.devices), "--device"), s.extra())
	}
	return err
}

// super is the superblock and the device table as they are, whether a mount would accept them or not.
type super struct {
	disk.Superblock
	devices  []erofs.Device
	problems []error // what a mount would not accept
}

func (im *imageFile) super() (*super, error) {
	s := &super{}
	img, err := image.Open(im.image, im.devices, image.Options{Report: func(err error) { s.problems = append(s.problems, err) }})
	if err != nil {
		return nil, err
	}
	s.Superblock = img.Super
	for i := 1; i < len(img.Devices); i++ {
		d := &img.Devices[i].Slot
		s.devices = append(s.devices, erofs.Device{
			Tag: cString(d.Tag[:]), Blocks: d.Blocks(img.Super.Incompat), UniAddr: d.UniAddr(img.Super.Incompat),
		})
	}
	return s, nil
}

// cString is b up to the first NUL.
func cString(b []byte) string {
	text, _, _ := bytes.Cut(b, []byte{0})
	return string(text)
}

func (im *imageFile) add(path string) (*os.File, int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	size, err := sizeOf(f)
	if err != nil {
		_ = f.Close()
		return nil, 0, err
	}
	im.open = append(im.open, f)
	return f, size, nil
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

// cancelReaderAt fails once the command is cancelled.
type cancelReaderAt struct {
	ctx context.Context
	r   io.ReaderAt
}

// ReadAt implements io.ReaderAt.
func (c cancelReaderAt) ReadAt(p []byte, off int64) (int, error) {
	if c.ctx.Err() != nil {
		return 0, context.Cause(c.ctx)
	}
	return c.r.ReadAt(p, off)
}

func sortedList(names []string) string {
	slices.Sort(names)
	return strings.Join(names, ", ")
}
