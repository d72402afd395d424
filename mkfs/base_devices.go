package mkfs

import (
	"fmt"

	"github.com/laminafs/lamina/internal/disk"
)

// baseUse is which bases an image refers to. The numbers of devices that places and runs have count all bases from 1
// on; those in the image count the bases that it refers to.
type baseUse struct {
	b    *Bases
	used []bool // by base
}

// mark takes note that something refers to a device.
func (u *baseUse) mark(device uint16) { u.used[device-1] = true }

// devices makes the device table of the bases that are referred to, or of all of them: more references may come.
func (u *baseUse) devices(all bool) (slots []deviceSlot) {
	for i, used := range u.used {
		if f := &u.b.list[i]; used || all {
			slots = append(slots, deviceSlot{tag: u.b.tag(i), blocks: disk.Blocks(f.Size, u.b.bits)})
		}
	}
	return slots
}

// numbers returns the bases that are referred to.
func (u *baseUse) numbers() (list []int) {
	for i, used := range u.used {
		if used {
			list = append(list, i)
		}
	}
	return list
}

// deviceID returns the number that a device has in the image: bases that are not referred to have none.
func (w *Writer) deviceID(device uint16) uint16 {
	if w.use == nil || device == 0 {
		return device
	}
	id := uint16(0)
	for _, used := range w.use.used[:device] {
		if used {
			id++
		}
	}
	return id
}

// unified returns the byte of the unified address space at which a device begins, once the plan is made.
func (w *Writer) unified(device uint16) int64 {
	if device == 0 {
		return 0
	}
	return w.uniaddr(int(w.deviceID(device))-1) << w.bits
}

// read fills b with the bytes of a base at off.
func (f *baseFile) read(b []byte, off int64) error {
	if got, err := f.Data.ReadAt(b, off); got < len(b) {
		return fmt.Errorf("mkfs: base with the digest %x: %w", f.digest, baseError(off+int64(got), err))
	}
	return nil
}
