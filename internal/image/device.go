package image

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"math/bits"
	"slices"
	"sort"

	"github.com/laminafs/lamina/internal/disk"
)

// Device is a backing file of an image.
type Device struct {
	Window *Window     // nil for an extra device of a flattened image
	Slot   disk.Device // zero for the primary device
	Off    int64       // where the slot is
}

// span is the range of an extra device in the unified address space, in blocks.
type span struct {
	start, blocks uint64
	device        int
}

// openDevices reads the device table (erofs_scan_devices). Its length is 16 bits wide, so it has at
// most 8 MiB.
func (im *Image) openDevices(extra []io.ReaderAt, o Options) error {
	n := 0
	if im.Super.Incompat&disk.HasDeviceTable != 0 {
		n = int(im.Super.ExtraDevices)
	}
	if len(extra) != 0 && len(extra) != n {
		return fmt.Errorf("erofs: open: %d devices given, the image has %d", len(extra), n)
	}
	im.Flat = n > 0 && len(extra) == 0
	im.idMask = uint16(1<<bits.Len(uint(n)) - 1)
	for i := range n {
		d := Device{Off: (int64(im.Super.DevtSlotOff) + int64(i)) * disk.DeviceSize}
		b, err := im.Devices[0].Window.Read(d.Off, disk.DeviceSize, "device table")
		if err != nil {
			return err
		}
		d.Slot.Decode((*[disk.DeviceSize]byte)(b))
		if !im.Flat {
			d.Window = NewWindow(extra[i], fmt.Sprintf("device %d: ", i+1))
			d.Window.setBlock(im.bits)
		}
		im.Devices = append(im.Devices, d)
	}
	return im.unify(o)
}

// unify orders the devices by their unified addresses. Overlaps would make an address ambiguous.
func (im *Image) unify(o Options) error {
	for i := 1; i < len(im.Devices); i++ {
		d := &im.Devices[i].Slot
		if start, n := d.UniAddr(im.Super.Incompat), d.Blocks(im.Super.Incompat); start != 0 && n != 0 {
			im.unified = append(im.unified, span{start, n, i})
		}
	}
	slices.SortStableFunc(im.unified, func(a, b span) int { return cmp.Compare(a.start, b.start) })
	for i := 1; i < len(im.unified); i++ {
		a, b := im.unified[i-1], im.unified[i]
		if a.start+a.blocks > b.start {
			err := &disk.FormatError{Off: im.Devices[b.device].Off + 0x44, Field: fmt.Sprintf("device %d: uniaddr", b.device), Got: b.start,
				Why: fmt.Sprintf("overlaps device %d", a.device)}
			if err := o.broken(err); err != nil {
				return err
			}
		}
	}
	return nil
}

// locate turns a block of the device called id on disk into a device and a byte offset skip bytes
// after the start of the block (erofs_map_dev). The n bytes there stay below 1<<63.
func (im *Image) locate(id uint16, block uint64, skip, n int64) (device int, pos int64, err error) {
	device = int(id & im.idMask)
	if device >= len(im.Devices) {
		return 0, 0, &disk.FormatError{Off: -1, Field: "device id", Got: device, Why: fmt.Sprintf("the image has %d extra devices", len(im.Devices)-1)}
	}
	switch {
	case device != 0 && im.Flat:
		start := im.Devices[device].Slot.UniAddr(im.Super.Incompat)
		if start == 0 {
			return 0, 0, fmt.Errorf("erofs: device %d: not given, and not part of the primary device", device)
		}
		device, block = 0, block+start // both below 1<<48
	case device == 0 && !im.Flat:
		i := sort.Search(len(im.unified), func(i int) bool { return im.unified[i].start > block })
		if i > 0 && block-im.unified[i-1].start < im.unified[i-1].blocks {
			device, block = im.unified[i-1].device, block-im.unified[i-1].start
		}
	}
	if skip > math.MaxInt64-n || block > uint64(math.MaxInt64-n-skip)>>im.bits {
		return 0, 0, &disk.FormatError{Off: -1, Field: "block address", Got: block, Why: "exceeds 63 bits of bytes"}
	}
	return device, int64(block)<<im.bits + skip, nil
}
