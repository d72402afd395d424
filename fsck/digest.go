package fsck

import (
	"crypto/sha256"
	digits "encoding/hex"
)

// deviceDigest compares an extra device with the tag of its slot, if that is a SHA-256 in hexadecimal digits:
// what tar indexes and images on bases have there.
func (c *checker) deviceDigest(device int) {
	if device == 0 || device == c.box || c.im == nil || c.im.Flat || device >= len(c.im.Devices) || c.err != nil {
		return
	}
	d := &c.im.Devices[device]
	want, err := digits.DecodeString(string(d.Slot.Tag[:]))
	if err != nil || len(want) != sha256.Size {
		return
	}
	h := sha256.New()
	buf := make([]byte, readSize)
	for off, size := int64(0), c.space[device].size; off < size; {
		b := buf[:min(size-off, readSize)]
		if err := d.Window.Fill(b, off, "device"); err != nil {
			c.fail(device, off, err)
			return
		}
		h.Write(b)
		off += int64(len(b))
		c.observe(PhaseSpace)
	}
	if got := h.Sum(nil); string(got) != string(want) {
		c.add(DeviceDigest, d.Off, digits.EncodeToString(got), "is the SHA-256 of device %d; its slot says %x", device, want)
	}
}
