package fsck

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"testing"

	"github.com/laminafs/lamina/internal/disk"
	"github.com/laminafs/lamina/mkfs"
)

// blobImage returns an image whose data is on a device of its own.
func blobImage(t testing.TB) (image, blob []byte) {
	t.Helper()
	f := &memFile{}
	image = build(t, sample(), mkfs.Options{ChunkSize: 4096, DataDevice: f})
	return image, f.b
}

func device(b []byte) Device { return Device{R: bytes.NewReader(b), Size: int64(len(b))} }

// deviceMutation breaks an image with a device, or what is given for the device.
type deviceMutation struct {
	name string
	edit func(e *edit, blob []byte) []Device
	want []Code
}

func slot(e *edit) int64 { e.t.Helper(); return e.find("", KindDevices).Off }

var deviceMutations = []deviceMutation{
	{"none", func(_ *edit, blob []byte) []Device { return []Device{device(blob)} }, nil},
	{"device not given", func(*edit, []byte) []Device { return nil }, []Code{DeviceAbsent}},
	{"flattened", func(e *edit, blob []byte) []Device {
		e.b = append(e.b, blob...)
		return nil
	}, nil},
	{"flattened and cut", func(e *edit, blob []byte) []Device {
		e.b = append(e.b, blob[:len(blob)-4096]...)
		return nil
	}, []Code{DataRange}},
	{"two given", func(_ *edit, blob []byte) []Device { return []Device{device(blob), device(blob)} }, []Code{DeviceCount, DeviceAbsent}},
	{"device cut", func(_ *edit, blob []byte) []Device { return []Device{device(blob[:len(blob)-4096])} }, []Code{DeviceLength, DataRange}},
	{"device cut in a block", func(_ *edit, blob []byte) []Device { return []Device{device(blob[:len(blob)-1])} },
		[]Code{DeviceLength, DataShortBlock}},
	{"another device than the slot has the digest of", func(e *edit, blob []byte) []Device {
		copy(e.b[slot(e):], fmt.Sprintf("%x", sha256.Sum256(append(bytes.Clone(blob), 0))))
		return []Device{device(blob)}
	}, []Code{DeviceDigest}},
	{"the device that the slot has the digest of", func(e *edit, blob []byte) []Device {
		copy(e.b[slot(e):], fmt.Sprintf("%x", sha256.Sum256(blob)))
		return []Device{device(blob)}
	}, nil},
	{"slot says less", func(e *edit, blob []byte) []Device {
		e.put32(slot(e)+0x40, 1)
		return []Device{device(blob)}
	}, nil},
	{"uniaddr within the image", func(e *edit, blob []byte) []Device {
		e.put32(slot(e)+0x44, 1)
		return []Device{device(blob)}
	}, []Code{DeviceSlot, DirBlock, OverlapDataMeta}},
	{"high half of uniaddr", func(e *edit, blob []byte) []Device {
		e.put16(slot(e)+0x4A, 1)
		return []Device{device(blob)}
	}, []Code{SuperReserved}},
	{"reserved bytes of the slot", func(e *edit, blob []byte) []Device {
		e.put8(slot(e)+0x60, 1)
		return []Device{device(blob)}
	}, []Code{SuperReserved}},
	{"two slots that overlap", func(e *edit, blob []byte) []Device {
		at := slot(e)
		copy(e.b[at+disk.DeviceSize:], e.b[at:at+disk.DeviceSize])
		e.put16(super(0x56), 2)
		return []Device{device(blob), device(blob)}
	}, []Code{DeviceSlot}},
	{"chunk on device 3 of 2", func(e *edit, blob []byte) []Device {
		at := slot(e)
		copy(e.b[at+disk.DeviceSize:], e.b[at:at+disk.DeviceSize])
		e.put32(at+disk.DeviceSize+0x44, 1<<20)
		e.put16(super(0x56), 2)
		e.put16(e.find("/dir/tail", KindChunks).Off+2, 3)
		return []Device{device(blob), device(blob)}
	}, []Code{DataDevice}},
	{"chunk beyond the end of the device", func(e *edit, blob []byte) []Device {
		e.put32(e.find("/dir/tail", KindChunks).Off+4, uint32(len(blob)>>12))
		return []Device{device(blob)}
	}, []Code{DataRange}},
	{"directory on the device", func(e *edit, blob []byte) []Device {
		// The block with the entries of /dir/sub moves to the end of the device.
		r := e.find("/dir/sub", KindDirents)
		entries := bytes.Clone(e.b[r.Off:][:r.Len])
		in := e.inode("/dir/sub")
		e.put8(in, uint8(disk.ChunkBased)<<1)
		e.put32(in+iU, uint32(disk.ChunkIndexes))
		clear(e.b[r.Off:][:r.Len])
		e.put16(r.Off+2, 1)
		e.put32(r.Off+4, uint32(len(blob)>>12))
		block := make([]byte, 4096)
		copy(block, entries)
		e.put32(slot(e)+0x40, uint32(len(blob)>>12+1))
		return []Device{device(append(bytes.Clone(blob), block...))}
	}, nil},
}

func TestDevicesAreChecked(t *testing.T) {
	image, blob := blobImage(t)
	for _, m := range deviceMutations {
		t.Run(m.name, func(t *testing.T) {
			e := newEdit(t, image)
			devices := m.edit(e, blob)
			expect(t, checked(t, e.done(), Options{Devices: devices, ReadData: true}), m.want)
			covers(t, e.b)
		})
	}
}

func TestFlattenedDeviceIsPartOfTheMap(t *testing.T) {
	image, blob := blobImage(t)
	own := int64(len(image))
	image = append(image, blob...)
	image = append(image, bytes.Repeat([]byte("header"), 1000)...)
	ranges, err := Map(bytes.NewReader(image), int64(len(image)), Options{})
	if err != nil {
		t.Fatal(err)
	}
	data, rest := int64(0), int64(0)
	for _, r := range ranges {
		switch {
		case r.Kind == KindData && r.Off >= own:
			data += r.Len
		case r.Kind == KindDevice && r.Off >= own:
			rest += r.Len
		case r.Off >= own:
			t.Errorf("%+v behind the image", r)
		}
	}
	if data == 0 || data+rest != int64(len(image))-own || rest < 6000 {
		t.Errorf("%d bytes of data and %d others behind the image", data, rest)
	}
}

// expect fails unless the codes of the report are these.
func expect(t testing.TB, rep *Report, codes []Code) {
	t.Helper()
	got, want := map[Code]bool{}, map[Code]bool{}
	for _, f := range rep.Findings {
		got[f.Code] = true
	}
	for _, c := range codes {
		want[c] = true
	}
	if g, w := codeNames(got), codeNames(want); g != w {
		t.Errorf("found %q, want %q", g, w)
		for _, f := range rep.Findings {
			t.Log(f)
		}
	}
}
