package cli

import (
	"fmt"

	"github.com/laminafs/lamina/internal/disk"
)

// extra is how many devices an image has besides itself.
func (s *super) extra() int {
	if s.Incompat&disk.HasDeviceTable == 0 {
		return 0
	}
	return int(s.ExtraDevices)
}

// complete is a usage error if the image has a device that was not given and is not behind the image in
// its file (flattened), and an error if a device cannot be the one.
func (im *imageFile) complete() error {
	if len(im.devices) > 0 {
		return im.devicesFit()
	}
	s, err := im.super()
	if err != nil {
		return err
	}
	for i, d := range s.devices {
		if d.Blocks != 0 && (d.UniAddr == 0 || d.UniAddr >= uint64(im.size)>>s.BlockBits) {
			return usagef("device %d of the image is not given: --device %s", i+1, deviceText(&sizedDevice{d, int64(d.Blocks) << s.BlockBits}))
		}
	}
	return nil
}

// devicesFit refuses devices that are too few, too many or too short: every finding would follow from that.
func (im *imageFile) devicesFit() error {
	if len(im.devices) == 0 {
		return nil
	}
	s, err := im.super()
	if err != nil {
		return nil // the check says more
	}
	if s.extra() != len(im.devices) {
		return usagef("%s given, the image has %d", plural(len(im.devices), "--device"), s.extra())
	}
	for i, f := range im.open[1:] {
		size, err := sizeOf(f)
		if err != nil {
			return err
		}
		if i < len(s.devices) && uint64(size)>>s.BlockBits < s.devices[i].Blocks {
			return &codeError{exitCorrupt, fmt.Errorf("device %d: %s has %d bytes, the image says %d blocks of %d: --device %s",
				i+1, f.Name(), size, s.devices[i].Blocks, 1<<s.BlockBits, deviceText(&sizedDevice{s.devices[i], int64(s.devices[i].Blocks) << s.BlockBits}))}
		}
	}
	return nil
}
