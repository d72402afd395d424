package erofs

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/laminafs/lamina/internal/disk"
)

func TestSuperblocksThatAMountRefuses(t *testing.T) {
	for what, change := range map[string]func(*disk.Superblock){
		"magic":                 func(s *disk.Superblock) { s.Magic++ },
		"blkszbits: 0x8":        func(s *disk.Superblock) { s.BlockBits = 8 },
		"blkszbits: 0x11":       func(s *disk.Superblock) { s.BlockBits = 17 },
		"dirblkbits":            func(s *disk.Superblock) { s.DirBlkBits = 1 },
		"bits 0x200":            func(s *disk.Superblock) { s.Incompat |= 0x200 },
		"sb_extslots":           func(s *disk.Superblock) { s.ExtSlots = 255 },
		"algorithms 0x10":       func(s *disk.Superblock) { s.Incompat |= disk.HasComprCfgs; s.ComprAlgs = 0x11 },
		"packed_nid":            func(s *disk.Superblock) { s.Incompat |= disk.HasFragments; s.PackedNID = 1<<63 + 1 },
		"no room for metabox":   func(s *disk.Superblock) { s.Incompat |= disk.HasMetabox },
		"ishare_xattr":          func(s *disk.Superblock) { s.Compat |= disk.HasIshareXattrs },
		"xattr_prefix_count":    func(s *disk.Superblock) { s.XattrPrefixCount = 129 },
		"i_format":              func(s *disk.Superblock) { s.RootNID2 = 34 },
		"not a directory":       func(s *disk.Superblock) { s.RootNID2 = 64 },
		"device table":          func(s *disk.Superblock) { s.Incompat |= disk.HasDeviceTable; s.ExtraDevices, s.DevtSlotOff = 3, 65535 },
		"long xattr prefix":     func(s *disk.Superblock) { s.XattrPrefixCount = 1 },
		"beyond the end":        func(s *disk.Superblock) { s.MetaBlkAddr = 1 << 31 },
		"lz4 configuration":     func(s *disk.Superblock) { s.Incompat |= disk.HasComprCfgs; s.ComprAlgs = 1 },
		"root in the metabox":   nil,
		"checksum: 0x12345678:": nil,
	} {
		m := newMaker(t, 9)
		m.file("hello") // NID 64
		b := m.with()
		switch {
		case change != nil:
			change(&m.sb)
		case strings.HasPrefix(what, "checksum"):
			m.sb.Compat |= disk.HasChecksum
			m.sb.Checksum = 0x12345678
		default:
			m.sb.Incompat |= disk.HasMetabox | disk.Has48Bit
			m.sb.ExtSlots, m.sb.RootNID8, m.sb.MetaboxNID = 1, 1<<63+36, 64
		}
		m.super(b)
		if what == "i_format" {
			b[34*disk.SlotSize] = 0xE0 // of NID 34, which lies in the volume name
		}
		_, err := Open(bytes.NewReader(b))
		if what == "root in the metabox" {
			what = "beyond the end"
		}
		if err == nil || !strings.Contains(err.Error(), what) || !errors.Is(err, ErrCorrupt) && !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestWhatAMountIgnoresIsIgnored(t *testing.T) {
	m := newMaker(t, 12)
	file := m.file("hello")
	m.sb.Compat |= 1 << 30
	m.sb.Inos, m.sb.BlocksLo = 1<<60, 0
	m.sb.ExtraDevices, m.sb.DevtSlotOff = 9, 9 // without the feature bit
	m.sb.PackedNID, m.sb.XattrBlkAddr = 1<<40, 1<<31
	copy(m.sb.VolumeName[:], "sixteen letters!")
	im := open(t, bytes.NewReader(m.with(DirEntry{"f", file, 0})))
	if got := read(im, "f"); got != "hello" || im.Label() != "sixteen letters!" {
		t.Errorf("%q, label %q", got, im.Label())
	}
	if _, err := Open(bytes.NewReader(m.with()), bytes.NewReader(nil)); err == nil {
		t.Error("a device given to an image that has none: opened")
	}
}

func TestCompressionConfigsThatAMountRefuses(t *testing.T) {
	good := map[disk.Algorithm]string{
		disk.LZ4: "\x0e\x00\xff\xff\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", disk.LZMA: "\x0e\x00\x00\x10\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
		disk.Deflate: "\x06\x00\x0f\x00\x00\x00\x00\x00", disk.ZSTD: "\x06\x00\x00\x0a\x00\x00\x00\x00",
	}
	bad := map[disk.Algorithm][]string{
		disk.LZ4: {"\x0d\x00", "\x0e\x00\x00\x00\x01\x01"}, disk.LZMA: {"\x0e\x00\xff\x0f", "\x0e\x00\x01\x00\x80\x00", "\x0e\x00\x00\x10\x00\x00\x01"},
		disk.Deflate: {"\x05\x00", "\x06\x00\x10"}, disk.ZSTD: {"\x06\x00\x01\x00", "\x06\x00\x00\x0b"},
	}
	try := func(a disk.Algorithm, cfg string) error {
		m := newMaker(t, 12)
		m.sb.Incompat |= disk.HasComprCfgs
		m.sb.ComprAlgs = 1 << a
		b := m.with()
		copy(b[disk.SuperOffset+disk.SuperSize:], good[a])
		copy(b[disk.SuperOffset+disk.SuperSize:], cfg)
		_, err := Open(bytes.NewReader(b))
		return err
	}
	for a := range good {
		if err := try(a, ""); err != nil {
			t.Errorf("%v: %v", a, err)
		}
		for _, cfg := range bad[a] {
			if err := try(a, cfg); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), a.String()) {
				t.Errorf("%v: % x: %v", a, cfg, err)
			}
		}
	}
}
