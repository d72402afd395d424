package image

import (
	"io"

	"github.com/laminafs/lamina/internal/disk"
)

// MetaboxDevice is the number that stands for the decoded data of the metabox where another number is an
// index of Devices.
const MetaboxDevice = -1

// openSpecial reads the inodes that hold data of the file system itself (erofs_fc_fill_super): the metabox,
// which holds other inodes, and the packed inode, which holds tails of files.
func (im *Image) openSpecial(o Options) error {
	sb := &im.Super
	if sb.Incompat&disk.HasMetabox != 0 {
		i, err := im.special(sb.MetaboxNID)
		if im.noMetabox = err; err != nil {
			if err := o.broken(err); err != nil {
				return err
			}
		} else {
			im.metabox = NewWindow(&data{im, i}, "metabox: ")
			im.metabox.setBlock(im.bits)
		}
	}
	if sb.Incompat&disk.HasFragments != 0 && sb.PackedNID != 0 {
		i, err := im.special(sb.PackedNID)
		if im.noPacked = err; err != nil {
			return o.broken(err)
		}
		im.packed = &i
	}
	return nil
}

// special reads an inode that must be a regular file outside of the metabox.
func (im *Image) special(nid uint64) (Inode, error) {
	if nid&disk.MetaboxNID != 0 {
		return Inode{}, &disk.FormatError{Off: -1, Field: "nid", Got: nid, Why: "metabox and packed inode may not be in the metabox"}
	}
	i, err := im.Inode(nid)
	if err == nil && !i.IsRegular() {
		err = i.bad("i_mode", i.Mode, "metabox and packed inode must be regular files")
	}
	return i, err
}

// Packed returns the packed inode, nil if the image has none. It belongs to the image.
func (im *Image) Packed() (*Inode, error) { return im.packed, im.noPacked }

// Meta returns the window that the inode nid lies in with its xattrs, index and inline data: the primary
// device or the metabox.
func (im *Image) Meta(nid uint64) (*Window, error) {
	switch {
	case nid&disk.MetaboxNID == 0:
		return im.Devices[0].Window, nil
	case im.noMetabox != nil:
		return nil, im.noMetabox
	case im.metabox == nil:
		return nil, &disk.FormatError{Off: -1, Field: "nid", Got: nid, Why: "in a metabox that the image does not have"}
	}
	return im.metabox, nil
}

// MetaDevice returns the number of what the inode nid lies in: 0 or MetaboxDevice.
func MetaDevice(nid uint64) int {
	if nid&disk.MetaboxNID != 0 {
		return MetaboxDevice
	}
	return 0
}

// Window returns the window of a device of an Extent; nil if the device was not given.
func (im *Image) Window(device int) *Window {
	if device == MetaboxDevice {
		return im.metabox
	}
	return im.Devices[device].Window
}

// data is the data of an inode as an io.ReaderAt.
type data struct {
	im *Image
	i  Inode
}

// ReadAt implements io.ReaderAt.
func (d *data) ReadAt(p []byte, off int64) (int, error) {
	if off >= d.i.Size {
		return 0, io.EOF
	}
	n := int(min(int64(len(p)), d.i.Size-off))
	if err := d.im.ReadAt(&d.i, p[:n], off); err != nil {
		return 0, err
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}
