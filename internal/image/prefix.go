package image

import (
	"encoding/binary"

	"github.com/laminafs/lamina/internal/disk"
)

// LongPrefixes returns the table of long xattr prefixes. It belongs to the image.
func (im *Image) LongPrefixes() []disk.LongPrefix { return im.prefixes }

// openPrefixes reads the table of long prefixes (erofs_xattr_prefixes_init, section 5.4). One that
// lies in data this reader cannot decode is kept as an error for whoever needs a prefix.
func (im *Image) openPrefixes() error {
	sb := &im.Super
	if sb.XattrPrefixCount == 0 { // Linux does not ask for the feature bit
		return nil
	}
	read := func(off, n int64) ([]byte, error) {
		return im.Devices[0].Window.Read(off, n, "long xattr prefix")
	}
	switch {
	case sb.Compat&disk.HasPlainXattrPfx != 0:
	case sb.Incompat&disk.HasMetabox != 0:
		im.noPrefix = unsupported("long xattr prefixes in the metabox")
		return nil
	case sb.Incompat&disk.HasFragments != 0 && sb.PackedNID != 0:
		packed, err := im.Inode(sb.PackedNID)
		if err != nil {
			return err
		}
		if l := packed.Layout(); l == disk.CompressedFull || l == disk.CompressedCompact {
			im.noPrefix = unsupported("long xattr prefixes in a compressed packed inode")
			return nil
		}
		read = func(off, n int64) ([]byte, error) {
			if n > packed.Size || off > packed.Size-n {
				return nil, packed.bad("long xattr prefix", off, "beyond the end of the packed inode")
			}
			b := make([]byte, n)
			return b, im.ReadAt(&packed, b, off)
		}
	}
	return im.readPrefixes(read)
}

func (im *Image) readPrefixes(read func(off, n int64) ([]byte, error)) error {
	off := int64(im.Super.XattrPrefixStart) * 4
	for range im.Super.XattrPrefixCount {
		b, err := read(off, 2)
		if err != nil {
			return err
		}
		size := int64(binary.LittleEndian.Uint16(b))
		if size < 1 || size > 1+disk.LongPrefixMaxInfix {
			return &disk.FormatError{Off: off, Field: "long xattr prefix: size", Got: size, Why: "not from 1 to 256"}
		}
		if b, err = read(off+2, size); err != nil {
			return err
		}
		im.prefixes = append(im.prefixes, disk.LongPrefix{BaseIndex: b[0], Infix: string(b[1:])})
		off += disk.Align(2+size, 4)
	}
	return nil
}
