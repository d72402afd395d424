package fsck

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"github.com/laminafs/lamina/internal/disk"
	"github.com/laminafs/lamina/internal/image"
)

const (
	// smallPage is the smallest page of machines that run Linux: what mounts there mounts everywhere.
	smallPage = 4096
	second    = 1e9 // ns
)

// super checks the superblock and what it points to directly. It tells whether inodes can be reached.
func (c *checker) super(r io.ReaderAt) bool {
	size := c.space[0].size
	if size < disk.SuperOffset+disk.SuperSize {
		c.add(SuperShort, size, nil, "the image has %d bytes; its superblock ends at %d", size, disk.SuperOffset+disk.SuperSize)
		return false
	}
	w := image.NewWindow(r, "")
	b, err := w.Read(disk.SuperOffset, disk.SuperSize, "superblock")
	if err != nil {
		c.fail(0, disk.SuperOffset, err)
		return false
	}
	sb := new(disk.Superblock)
	sb.Decode((*[disk.SuperSize]byte)(b))
	if sb.Magic != disk.Magic {
		c.add(SuperMagic, disk.SuperOffset, hex(sb.Magic), "must be 0xe0f5e1e2")
		return false
	}
	if sb.BlockBits < disk.MinBlockBits || sb.BlockBits > disk.MaxBlockBits {
		c.add(SuperBlockSize, super(0x0C), sb.BlockBits, "log2 of the block size must be from 9 to 16")
		return false
	}
	if size < disk.SuperOffset+sb.Size() {
		c.add(SuperShort, size, nil, "the image ends within the extension slots of its superblock")
		return false
	}
	if !c.open(r, sb) {
		return false
	}
	c.superFields()
	c.superReserved()
	c.checksum()
	c.superDevices()
	c.superPrefixes()
	c.superCompression()
	c.rep.Stats.BlockSize, c.rep.Stats.ImageSize = c.bs, size
	return c.err == nil
}

// super returns the byte address of a field of the superblock.
func super(field int64) int64 { return disk.SuperOffset + field }

// open opens the image as the reader does. What the reader objects to is found again, one by one,
// by the checks that follow.
func (c *checker) open(r io.ReaderAt, sb *disk.Superblock) bool {
	n := 0
	if sb.Incompat&disk.HasDeviceTable != 0 {
		n = int(sb.ExtraDevices)
	}
	devices := c.o.Devices
	if len(devices) != 0 && len(devices) != n {
		c.add(DeviceCount, super(0x56), len(devices), "devices given; the image has %d", n)
		devices = nil
	}
	var readers []io.ReaderAt
	for _, d := range devices {
		readers = append(readers, d.R)
	}
	var err error
	c.im, err = image.Open(r, readers, image.Options{Report: func(err error) { c.known(disk.SuperOffset, err) }})
	if err != nil && !isCorrupt(err) {
		c.fail(0, disk.SuperOffset, err)
		return false
	}
	if err != nil {
		c.add(SuperShort, disk.SuperOffset, nil, "%s", why(err))
		return false
	}
	c.sb, c.bits, c.bs = &c.im.Super, c.im.BlockBits(), c.im.BlockSize()
	for i := 1; i < len(c.im.Devices); i++ {
		c.space = append(c.space, space{})
		if len(devices) > 0 {
			c.space[i].size = max(devices[i-1].Size, 0)
		}
	}
	if c.im.Window(image.MetaboxDevice) != nil {
		box, err := c.im.Inode(c.sb.MetaboxNID)
		if err != nil {
			c.fail(0, disk.SuperOffset, err)
			return false
		}
		c.box = len(c.space)
		c.space = append(c.space, space{size: box.Size})
	}
	c.clashes = make([][]span, len(c.space))
	return true
}

// superFields checks the fields one by one, in the order of erofs_read_superblock (fs/erofs/super.c).
func (c *checker) superFields() {
	sb := c.sb
	c.claimMeta(0, disk.SuperOffset, sb.Size(), KindSuper)
	if c.bs > smallPage {
		c.add(SuperPageSize, super(0x0C), c.bs, "Linux mounts blocks up to the page size of the machine only")
	}
	if bad := sb.Incompat.Unknown(); bad != 0 {
		c.add(SuperIncompat, super(0x50), hex(bad), "unknown bits of feature_incompat")
	}
	if odd := sb.Compat.Unknown(); odd != 0 {
		c.add(SuperCompat, super(0x08), hex(odd), "unknown bits of feature_compat")
	}
	if sb.DirBlkBits != 0 {
		c.add(SuperDirBlock, super(0x5A), sb.DirBlkBits, "must be 0")
	}
	if end := disk.SuperOffset + sb.Size(); end > smallPage {
		c.add(SuperExtSlots, super(0x0D), sb.ExtSlots, "the superblock ends at %d, behind the first page", end)
	}
	if sb.FixedNsec >= second {
		c.add(InodeTime, super(0x20), sb.FixedNsec, "fixed_nsec of all compact inodes: a second has 1000000000")
	}
	c.superNIDs()
	label := sb.VolumeName[:]
	if end := bytes.IndexByte(label, 0); end < 0 {
		c.add(SuperLabel, super(0x40), label, "no NUL at the end")
	} else if !isZero(label[end:]) {
		c.add(SuperReserved, super(0x40), label, "bytes behind the end of the label")
	}
	if n := sb.Blocks(); n > uint64(c.space[0].size)>>c.bits && !c.roundsUp(n) {
		c.add(SuperBlocks, super(0x24), n, "blocks of %d bytes are more than the %d bytes of the image", c.bs, c.space[0].size)
	}
	if c.space[0].size%c.bs != 0 {
		c.add(ImageLength, c.space[0].size, c.space[0].size, "no multiple of the block size %d", c.bs)
	}
}

// roundsUp tells whether n blocks are the length of the image, rounded up: ImageLength says so.
func (c *checker) roundsUp(n uint64) bool {
	return n == uint64(c.space[0].size)>>c.bits+1 && c.space[0].size%c.bs != 0
}

// superNIDs checks what the numbers of the special inodes may be at all.
func (c *checker) superNIDs() {
	sb := c.sb
	if sb.Incompat&disk.HasFragments != 0 || c.prefixesInPacked() {
		c.packed = sb.PackedNID
	} else if sb.PackedNID != 0 {
		c.add(SuperReserved, super(0x60), sb.PackedNID, "packed_nid without a feature that uses it")
	}
	if c.packed&disk.MetaboxNID != 0 {
		c.add(SuperPacked, super(0x60), sb.PackedNID, "the packed inode may not be in the metabox")
		c.packed = 0
	}
	if sb.Incompat&disk.HasMetabox != 0 {
		switch {
		case sb.ExtSlots == 0:
			c.add(SuperMetabox, super(0x0D), sb.ExtSlots, "no extension slot that holds metabox_nid")
		case sb.MetaboxNID&disk.MetaboxNID != 0:
			c.add(SuperMetabox, super(0x80), sb.MetaboxNID, "the metabox may not be in itself")
		}
	}
	if sb.Compat&disk.HasIshareXattrs != 0 && sb.IshareXattrPrefixID >= sb.XattrPrefixCount {
		c.add(SuperPrefixes, super(0x69), sb.IshareXattrPrefixID, "ishare_xattr_prefix_id: there are %d prefixes", sb.XattrPrefixCount)
	}
}

// superReserved checks what must be zero.
func (c *checker) superReserved() {
	sb := c.sb
	for _, f := range []struct {
		off   int64
		value uint64
		name  string
	}{
		{0x68, uint64(sb.XattrFilterReserved), "xattr_filter_reserved"},
		{0x6A, uint64(sb.Reserved6A), "reserved"},
		{0x78, sb.Reserved78, "reserved"},
	} {
		if f.value != 0 {
			c.add(SuperReserved, super(f.off), f.value, "%s: must be 0", f.name)
		}
	}
	if sb.Incompat&disk.Has48Bit == 0 && sb.RootNID8 != 0 {
		c.add(SuperReserved, super(0x70), sb.RootNID8, "rootnid_8b without 48BIT")
	}
	if sb.Incompat&disk.HasDeviceTable == 0 && sb.ExtraDevices != 0 {
		c.add(SuperReserved, super(0x56), sb.ExtraDevices, "extra_devices without a device table")
	}
	if sb.Incompat&disk.HasMetabox == 0 && sb.ExtSlots > 0 && sb.MetaboxNID != 0 {
		c.add(SuperReserved, super(0x80), sb.MetaboxNID, "metabox_nid without METABOX")
	}
	rest := sb.Size() - disk.SuperSize - 8
	if rest <= 0 {
		return
	}
	if b := c.read(0, super(0x88), rest, "extension slots"); b != nil && !isZero(b) {
		c.add(SuperReserved, super(0x88), nil, "bytes of the extension slots that must be 0")
	}
}

// checksum verifies the checksum of the first block (section 1.2).
func (c *checker) checksum() {
	if c.sb.Compat&disk.HasChecksum == 0 {
		return
	}
	off, n := disk.ChecksumRange(c.bits)
	if !c.within(0, off, n) {
		c.add(SuperChecksum, off, nil, "the image ends within the block that has the checksum")
		return
	}
	if b := c.read(0, off, n, "superblock"); b != nil {
		if sum := disk.Checksum(b); sum != c.sb.Checksum {
			c.add(SuperChecksum, super(0x04), hex(c.sb.Checksum), "the block has %#x", sum)
		}
	}
}

// superCompression checks the configuration of the compression algorithms (section 7.2).
func (c *checker) superCompression() {
	if c.sb.Incompat&disk.HasComprCfgs == 0 {
		return
	}
	set := c.sb.Algorithms()
	if bad := set.Unknown(); bad != 0 {
		c.add(SuperCompression, super(0x54), hex(bad), "unknown algorithms")
	}
	off := super(c.sb.Size())
	for a := disk.LZ4; a.Known(); a++ {
		if !set.Has(a) {
			continue
		}
		off = disk.Align(off, disk.ComprCfgAlign)
		n := c.config(a, off)
		if n < 0 {
			return
		}
		off += disk.ComprCfgLenLen + n
	}
}

// config checks the record of an algorithm at off and returns its length, -1 if it is not there.
func (c *checker) config(a disk.Algorithm, off int64) int64 {
	n, body := int64(0), off+disk.ComprCfgLenLen
	if c.within(0, off, disk.ComprCfgLenLen) {
		b := c.read(0, off, disk.ComprCfgLenLen, "compression configuration")
		if b == nil {
			return -1
		}
		n = int64(binary.LittleEndian.Uint16(b))
	}
	if !c.within(0, body, n) {
		c.add(SuperCompression, off, n, "the record of %v is beyond the end", a)
		return -1
	}
	c.claimMeta(0, off, disk.ComprCfgLenLen+n, KindCompression)
	if least := int64(disk.ComprCfgSize(a)); n < least {
		c.add(SuperCompression, off, n, "the record of %v has at least %d bytes", a, least)
	} else if b := c.read(0, body, least, "compression configuration"); b != nil && image.RefusedConfig(a, b, c.bits) {
		c.add(SuperCompression, body, fmt.Sprintf("% x", b), "the kernel refuses these parameters of %v", a)
	}
	return n
}

func isZero(b []byte) bool {
	for len(b) >= 8 {
		if binary.LittleEndian.Uint64(b) != 0 {
			return false
		}
		b = b[8:]
	}
	for _, v := range b {
		if v != 0 {
			return false
		}
	}
	return true
}

// clamp returns n as an int64, the largest one if it is larger.
func clamp(n uint64) int64 { return int64(min(n, math.MaxInt64)) }
