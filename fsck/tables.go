package fsck

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/laminafs/lamina/internal/disk"
)

// superDevices checks the device table (section 6). im has the slots that are in the image.
func (c *checker) superDevices() {
	c.absent = make([]bool, len(c.space))
	if c.sb.Incompat&disk.HasDeviceTable == 0 {
		return
	}
	if have := len(c.im.Devices) - 1; have < int(c.sb.ExtraDevices) {
		c.add(SuperDevices, super(0x58), c.sb.DevtSlotOff, "slot %d of %d is beyond the end", have+1, c.sb.ExtraDevices)
	}
	type place struct{ start, blocks, device int64 }
	var unified []place
	for i := 1; i < len(c.im.Devices); i++ {
		d := &c.im.Devices[i]
		start, blocks := clamp(d.Slot.UniAddr(c.sb.Incompat)), clamp(d.Slot.Blocks(c.sb.Incompat))
		c.claimMeta(0, d.Off, disk.DeviceSize, KindDevices)
		c.deviceSlot(i, start, blocks)
		if start != 0 {
			unified = append(unified, place{start, blocks, int64(i)})
		}
	}
	slices.SortFunc(unified, func(a, b place) int { return cmp.Compare(a.start, b.start) })
	end, owner := clamp(c.sb.Blocks()), "the image itself"
	for _, u := range unified {
		if u.start < end {
			c.add(DeviceSlot, c.im.Devices[u.device].Off+0x44, u.start, "uniaddr of device %d lies within %s, which ends at block %d", u.device, owner, end)
		}
		if u.start+u.blocks > end {
			end, owner = u.start+u.blocks, fmt.Sprintf("device %d", u.device)
		}
	}
}

// deviceSlot checks one slot, and the device given for it.
func (c *checker) deviceSlot(i int, start, blocks int64) {
	d := &c.im.Devices[i]
	if !isZero(d.Slot.Reserved[:]) {
		c.add(SuperReserved, d.Off+0x4C, nil, "reserved bytes of device slot %d", i)
	}
	if c.sb.Incompat&disk.Has48Bit == 0 && d.Slot.BlocksHi|d.Slot.UniAddrHi != 0 {
		c.add(SuperReserved, d.Off+0x48, nil, "high halves in device slot %d without 48BIT", i)
	}
	if c.im.Flat {
		if c.absent[i] = start == 0 || start >= c.space[0].size>>c.bits; c.absent[i] {
			c.add(DeviceAbsent, d.Off, i, "neither given nor part of the image: its data is not checked")
		}
	} else if size := c.space[i].size; size>>c.bits < blocks {
		c.add(DeviceLength, d.Off+0x40, size, "bytes of device %d; its slot says %d blocks of %d", i, blocks, c.bs)
	}
}

// prefixesInPacked tells whether the long xattr prefixes are in the data of the packed inode.
func (c *checker) prefixesInPacked() bool {
	return c.sb.XattrPrefixCount > 0 && c.sb.Compat&disk.HasPlainXattrPfx == 0 &&
		c.sb.Incompat&(disk.HasMetabox|disk.HasFragments) == disk.HasFragments && c.sb.PackedNID != 0
}

// superPrefixes checks the table of long xattr prefixes (section 5.4) where it lies in the image. One
// in the data of the packed inode or the metabox is checked by what the reader could make of it.
func (c *checker) superPrefixes() {
	sb := c.sb
	if sb.XattrPrefixCount != 0 && sb.Incompat&disk.HasXattrPrefixes == 0 {
		c.add(SuperFeature, super(0x5B), sb.XattrPrefixCount, "long xattr prefixes without XATTR_PREFIXES: Linux reads them all the same")
	}
	if sb.XattrPrefixCount > disk.LongPrefixMax {
		c.add(SuperPrefixes, super(0x5B), sb.XattrPrefixCount, "an xattr can name %d prefixes", disk.LongPrefixMax)
	}
	if sb.Compat&disk.HasPlainXattrPfx == 0 && (sb.Incompat&disk.HasMetabox != 0 || c.prefixesInPacked()) {
		if err := c.im.PrefixError(); err != nil && isCorrupt(err) {
			c.add(SuperPrefixes, -1, nil, "%v", err)
		}
		return
	}
	off := int64(sb.XattrPrefixStart) * 4
	for k := range int(sb.XattrPrefixCount) {
		size := c.prefix(k, off)
		if size == 0 {
			return
		}
		c.claimMeta(0, off, size, KindPrefixes)
		off += disk.Align(size, 4)
	}
}

// prefix checks the long prefix k at off and returns its length, 0 if what follows cannot be found.
func (c *checker) prefix(k int, off int64) int64 {
	if !c.within(0, off, 3) {
		c.add(SuperPrefixes, off, k, "this prefix is beyond the end")
		return 0
	}
	b := c.read(0, off, 3, "long xattr prefix")
	if b == nil {
		return 0
	}
	n := int64(binary.LittleEndian.Uint16(b))
	if n < 1 || n > 1+disk.LongPrefixMaxInfix {
		c.add(SuperPrefixes, off, n, "the length of a prefix must be from 1 to 256")
		return 0
	}
	if !c.within(0, off, 2+n) {
		c.add(SuperPrefixes, off, k, "this prefix is beyond the end")
		return 0
	}
	// Base 0 is what hidden attributes have, fingerprints for example.
	if _, ok := disk.XattrPrefix(b[2]); !ok && b[2] != disk.XattrIndexNone {
		c.add(XattrPrefix, off+2, b[2], "base_index of long prefix %d", k)
	}
	return 2 + n
}
