package image

import (
	"fmt"

	"github.com/laminafs/lamina/internal/disk"
)

// minPage is the smallest page of machines that mount images: the superblock must end in the first page,
// and a page holds at least a block.
const minPage = 4096

// openSuper reads the superblock. Only what nothing can be read without is an error here.
func (im *Image) openSuper(Options) error {
	w := im.Devices[0].Window
	b, err := w.Read(disk.SuperOffset, disk.SuperSize, "superblock")
	if err != nil {
		return err
	}
	im.Super.Decode((*[disk.SuperSize]byte)(b))
	if im.Super.Magic != disk.Magic {
		return super(0x00, "magic", im.Super.Magic, "not an EROFS image")
	}
	if bits := im.Super.BlockBits; bits < disk.MinBlockBits || bits > disk.MaxBlockBits {
		return super(0x0C, "blkszbits", bits, "not from 9 to 16")
	}
	if im.Super.ExtSlots > 0 {
		b, err := w.Read(disk.SuperOffset+disk.SuperSize, disk.SuperSlotSize, "superblock: extension slot")
		if err != nil {
			return err
		}
		im.Super.DecodeExt((*[disk.SuperSlotSize]byte)(b))
	}
	im.bits = im.Super.BlockBits
	w.setBlock(im.bits)
	im.metaBase = int64(im.Super.MetaBlkAddr) << im.bits
	return nil
}

func super(at int64, field string, got any, why string) error {
	return &disk.FormatError{Off: disk.SuperOffset + at, Field: "superblock: " + field, Got: got, Why: why}
}

// checkSuper checks the fields as erofs_read_superblock does.
func (im *Image) checkSuper(o Options) error {
	sb := &im.Super
	rules := []struct {
		broken bool
		err    error
	}{
		{sb.Incompat.Unknown() != 0, unsupported("feature_incompat bits %#x", uint32(sb.Incompat.Unknown()))},
		{sb.DirBlkBits != 0, super(0x5A, "dirblkbits", sb.DirBlkBits, "must be 0")},
		{disk.SuperOffset+sb.Size() > max(minPage, im.BlockSize()), super(0x0D, "sb_extslots", sb.ExtSlots, "superblock exceeds a page")},
		{sb.Algorithms().Unknown() != 0, unsupported("compression algorithms %#x", uint16(sb.Algorithms().Unknown()))},
		{sb.Incompat&disk.HasFragments != 0 && sb.PackedNID&disk.MetaboxNID != 0,
			super(0x60, "packed_nid", sb.PackedNID, "may not be in the metabox")},
		{sb.Incompat&disk.HasMetabox != 0 && sb.ExtSlots == 0, super(0x0D, "sb_extslots", sb.ExtSlots, "no room for metabox_nid")},
		{sb.Incompat&disk.HasMetabox != 0 && sb.MetaboxNID&disk.MetaboxNID != 0,
			super(0x80, "metabox_nid", sb.MetaboxNID, "the metabox may not be in itself")},
		{sb.Compat&disk.HasIshareXattrs != 0 && sb.IshareXattrPrefixID >= sb.XattrPrefixCount,
			super(0x69, "ishare_xattr_prefix_id", sb.IshareXattrPrefixID, "there is no such prefix")},
		{sb.XattrPrefixCount > disk.LongPrefixMax, super(0x5B, "xattr_prefix_count", sb.XattrPrefixCount, "above 128")},
	}
	for _, r := range rules {
		if r.broken {
			if err := o.broken(r.err); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkSum verifies the checksum if there is one (erofs_superblock_csum_verify).
func (im *Image) checkSum(o Options) error {
	if im.Super.Compat&disk.HasChecksum == 0 {
		return nil
	}
	off, n := disk.ChecksumRange(im.bits)
	b, err := im.Devices[0].Window.Read(off, n, "superblock: block of the checksum")
	if err != nil {
		return o.broken(err)
	}
	if sum := disk.Checksum(b); sum != im.Super.Checksum {
		return o.broken(super(0x04, "checksum", im.Super.Checksum, fmt.Sprintf("the block has %#x", sum)))
	}
	return nil
}

func unsupported(format string, args ...any) error {
	return &disk.UnsupportedError{Feature: fmt.Sprintf(format, args...)}
}
