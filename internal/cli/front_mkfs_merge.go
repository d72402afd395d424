package cli

import (
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/laminafs/lamina/erofs"
	"github.com/laminafs/lamina/internal/convert"
	"github.com/laminafs/lamina/mkfs"
)

// merges tells whether the sources are images to be made one: several ones always are.
func (f *mkfsFront) merges() bool {
	return !f.tar && (len(f.sources) > 1 || isImageFile(f.sources[0]))
}

// mergeImages makes one image of several, the lowest first. It refers to them as devices, in their order, unless
// --clean wants all data in it.
func (e *env) mergeImages(f *mkfsFront) (r buildResult, err error) {
	if f.content == contentZero {
		return r, usagef("--clean=0: of images, there is data or rvsp only")
	}
	r, err = e.combine(&f.job, !f.strip, func(m *merger) error {
		var images []*imageFile
		for _, path := range f.sources {
			im, err := m.openImage(path)
			if err != nil {
				return err
			}
			images = append(images, im)
		}
		if f.content == contentRefer {
			if err := f.devices(images); err != nil {
				return err
			}
		}
		for i, im := range images {
			add := m.addTree
			if f.content == contentRefer {
				add = m.locator(i+1, !f.compress.used)
			}
			if err := add(f.sources[i], im.Image); err != nil {
				return err
			}
			if f.content == contentReserve {
				reserve(m.layers[i])
			}
		}
		return nil
	})
	if errors.Is(err, convert.ErrEncoded) {
		err = fmt.Errorf("%w: -zX compresses it again, --clean=data copies everything", err)
	}
	return r, err
}

// locator returns what adds the tree of an image whose data stays where it is.
func (m *merger) locator(device int, strict bool) func(name string, im *erofs.Image) error {
	return func(name string, im *erofs.Image) error {
		t, err := im.Tree()
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		convert.Locate(m.e.ctx, t, device, strict)
		m.layers = append(m.layers, t)
		return nil
	}
}

// openImage opens a source that must be an image with all of its data in its file.
func (m *merger) openImage(path string) (*imageFile, error) {
	src, err := m.e.openSource(path)
	if err != nil {
		return nil, err
	}
	m.open = append(m.open, src.file)
	if src.kind != sourceImage {
		return nil, usagef("%s: is %s, not an EROFS image: several sources are merged", path, sourceNames[src.kind])
	}
	im, err := src.openImage(nil)
	if err != nil {
		return nil, err
	}
	m.open = append(m.open, im)
	if im.complete() != nil {
		return nil, usagef("%s: has its data in another file", path)
	}
	return im, nil
}

// devices makes the device table of an index. Its blocks are the smallest of all.
func (f *mkfsFront) devices(images []*imageFile) error {
	o := &f.job.options.Mkfs
	given := o.BlockSize
	for i, im := range images {
		s := im.Superblock()
		bs := int(s.BlockSize())
		if given > bs {
			return usagef("-b%d: %s has blocks of %d bytes: an index cannot have larger ones", given, f.sources[i], bs)
		}
		if given == 0 && (o.BlockSize == 0 || bs < o.BlockSize) {
			o.BlockSize = bs
		}
		o.Devices = append(o.Devices, mkfs.Device{Data: im.image, Size: im.size, Tag: hex.EncodeToString(s.UUID[:])})
	}
	if err := o.Validate(); err != nil {
		return joinUsage(fmt.Errorf("an index of images: %w", err))
	}
	return f.checkVMDKDevices()
}
