package mkfs

import (
	"io"

	"github.com/laminafs/lamina/internal/disk"
)

// encodeHeader returns what is before the data but for the superblock: device table and long prefixes,
// from byte 0.
func (w *Writer) encodeHeader() []byte {
	b := make([]byte, disk.SuperOffset+w.superSize())
	b = append(b, w.comprConfigs()...)
	if len(w.slots)+len(w.prefixes()) > 0 {
		b = append(b, make([]byte, disk.Align(int64(len(b)), disk.DeviceSize)-int64(len(b)))...)
		for i := range w.slots {
			b = append(b, make([]byte, disk.DeviceSize)...)
			w.slots[i].encode((*[disk.DeviceSize]byte)(b[len(b)-disk.DeviceSize:]), w.uniaddr(i))
		}
	}
	for _, p := range w.prefixes() {
		b = p.Append(b)
	}
	return b
}

// uniaddr returns where device i begins in the unified address space: behind the image and the devices
// before it. It is known once the image is planned.
func (w *Writer) uniaddr(i int) int64 {
	return w.behind(w.end, i)
}

// behind returns the block where device i begins in the unified address space of an image of size bytes.
func (w *Writer) behind(size int64, i int) int64 {
	addr := size >> w.bits
	for _, s := range w.slots[:i] {
		addr += s.blocks
	}
	return addr
}

func (s *deviceSlot) encode(b *[disk.DeviceSize]byte, uniaddr int64) {
	d := disk.Device{
		BlocksLo: uint32(s.blocks), BlocksHi: uint16(s.blocks >> 32),
		UniAddrLo: uint32(uniaddr), UniAddrHi: uint16(uniaddr >> 32),
	}
	copy(d.Tag[:], s.tag)
	d.Encode(b)
}

// writeSuper writes block 0: the image becomes one with it.
func (w *Writer) writeSuper(p *plan) ([16]byte, error) {
	b := w.encodeHeader()
	b = append(b, make([]byte, w.header-int64(len(b)))...)
	copy(b[w.outer.off:], w.outer.b)
	s := w.super(p)
	if w.derivesUUID() {
		var err error
		if s.UUID, err = w.metadataUUID(p); err != nil {
			return s.UUID, err
		}
	}
	s.Encode((*[disk.SuperSize]byte)(b[disk.SuperOffset:]))
	if s.ExtSlots > 0 {
		s.EncodeExt((*[disk.SuperSlotSize]byte)(b[disk.SuperOffset+disk.SuperSize:]))
	}
	if !w.o.NoChecksum {
		off, n := disk.ChecksumRange(w.bits)
		covered := b[off:]
		if int64(len(covered)) < n { // blocks of 512 and 1024 bytes: the header is longer than the range
			panic("mkfs: header shorter than the checksum's range")
		}
		s.Checksum = disk.Checksum(covered[:n])
		s.Encode((*[disk.SuperSize]byte)(b[disk.SuperOffset:]))
	}
	_, err := w.f.WriteAt(b, 0)
	return s.UUID, err
}

// derivesUUID tells whether the UUID comes from the metadata.
func (w *Writer) derivesUUID() bool { return w.o.UUID == [16]byte{} && !w.o.NoUUID }

// super computes the superblock without UUID default and checksum.
func (w *Writer) super(p *plan) disk.Superblock {
	s := disk.Superblock{
		Magic: disk.Magic, Compat: disk.HasMtime, BlockBits: w.bits, Inos: uint64(p.inos),
		Epoch: p.epoch, FixedNsec: p.nsec, BlocksLo: uint32(p.end >> w.bits),
		MetaBlkAddr: uint32(p.metaBlock), UUID: w.o.UUID, RootNID2: uint16(p.root),
	}
	if w.o.BuildTime != 0 {
		s.BuildTime = uint32(w.o.BuildTime - p.epoch)
	}
	copy(s.VolumeName[:], w.o.Label)
	if !w.o.NoChecksum {
		s.Compat |= disk.HasChecksum
	}
	if p.x.used {
		s.Compat |= disk.HasXattrFilter
		s.XattrBlkAddr = uint32(p.xattrBlock)
	}
	if p.wide {
		s.Incompat |= disk.Has48Bit
		s.RootNID2, s.RootNID8 = uint16(p.end>>w.bits>>32), p.root
	}
	if p.boxed {
		s.Incompat |= disk.HasMetabox
		s.ExtSlots, s.MetaboxNID = 1, p.boxNID
		if len(p.x.order) > 0 {
			s.Compat |= disk.HasSharedEAInMB
		}
	}
	if n := len(p.x.prefixes); n > 0 {
		s.Incompat |= disk.HasXattrPrefixes
		s.XattrPrefixCount = uint8(n)
		s.XattrPrefixStart = uint32(w.devicesEnd() / 4)
		if p.packed || p.boxed || w.o.Fingerprints { // else they would be in it
			s.Compat |= disk.HasPlainXattrPfx
		}
		if w.o.Fingerprints {
			s.Compat |= disk.HasIshareXattrs
			s.IshareXattrPrefixID = uint8(n - 1)
		}
	}
	if n := len(w.slots); n > 0 {
		s.Incompat |= disk.HasDeviceTable
		s.ExtraDevices = uint16(n)
		s.DevtSlotOff = uint16(w.devicesStart() / disk.DeviceSize)
	}
	if p.chunked {
		s.Incompat |= disk.HasChunkedFile
	}
	w.announceCompression(&s, p)
	return s
}

// superSize is the length of the superblock: with an extension slot if it has to say where the metabox is.
func (w *Writer) superSize() int64 {
	if c := w.o.Compression; c != nil && c.Metabox != nil {
		return disk.SuperSize + disk.SuperSlotSize
	}
	return disk.SuperSize
}

// devicesStart returns the offset of the device table.
func (w *Writer) devicesStart() int64 {
	return disk.Align(disk.SuperOffset+w.superSize()+int64(len(w.comprConfigs())), disk.DeviceSize)
}

// devicesEnd returns the offset behind the device table, where the long prefixes begin.
func (w *Writer) devicesEnd() int64 {
	return w.devicesStart() + int64(len(w.slots))*disk.DeviceSize
}

// metadataUUID derives a UUID (version 8, RFC 9562) from the metadata: directories in the packed inode, inodes before
// the data, and all that is behind it.
func (w *Writer) metadataUUID(p *plan) (u [16]byte, err error) {
	w.ident.Write(w.outer.b)
	if _, err := io.Copy(w.ident, io.NewSectionReader(w.f, p.base, p.end-p.base)); err != nil {
		return u, err
	}
	return UUIDFrom(w.ident.Sum(nil)), nil
}

// UUIDFrom makes a UUID of version 8 (RFC 9562) from the first 16 bytes of a digest.
func UUIDFrom(digest []byte) (u [16]byte) {
	copy(u[:], digest)
	u[6] = u[6]&0x0f | 0x80
	u[8] = u[8]&0x3f | 0x80
	return u
}
