package image

import (
	"encoding/binary"

	"github.com/laminafs/lamina/internal/disk"
)

// LongPrefixes returns the table of long xattr prefixes. It belongs to the image.
func (im *Image) LongPrefixes() []disk.LongPrefix { return im.prefixes }

// openPrefixes reads the table of long prefixes (erofs_xattr_prefixes_init, section 5.4).
func (im *Image) openPrefixes() error {
	sb := &im.Super
	if sb.XattrPrefixCount == 0 { // Linux does not ask for the feature bit
		return nil
	}
	w := im.Devices[0].Window
	switch {
	case sb.Compat&disk.HasPlainXattrPfx != 0:
	case sb.Incompat&disk.HasMetabox != 0:
		if im.noMetabox != nil {
			return im.noMetabox
		}
		w = im.metabox
	case im.noPacked != nil:
		return im.noPacked
	case im.packed != nil:
		w = NewWindow(&data{im, *im.packed}, "packed inode: ")
	}
	return im.readPrefixes(w)
}

func (im *Image) readPrefixes(w *Window) error {
	off := int64(im.Super.XattrPrefixStart) * 4
	for range im.Super.XattrPrefixCount {
		b, err := w.Read(off, 2, "long xattr prefix")
		if err != nil {
			return err
		}
		size := int64(binary.LittleEndian.Uint16(b))
		if size < 1 || size > 1+disk.LongPrefixMaxInfix {
			return &disk.FormatError{Off: off, Field: "long xattr prefix: size", Got: size, Why: "not from 1 to 256"}
		}
		if b, err = w.Read(off+2, size, "long xattr prefix"); err != nil {
			return err
		}
		im.prefixes = append(im.prefixes, disk.LongPrefix{BaseIndex: b[0], Infix: string(b[1:])})
		off += disk.Align(2+size, 4)
	}
	return nil
}
