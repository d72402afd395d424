package erofs

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/laminafs/lamina/internal/disk"
	"github.com/laminafs/lamina/tree"
)

// far is a device of 1<<62 bytes: zeros, with data at the start and at one other place.
type far struct {
	start []byte
	at    int64
	data  []byte
}

func (f far) ReadAt(p []byte, off int64) (int, error) {
	clear(p)
	for _, piece := range []struct {
		at int64
		b  []byte
	}{{0, f.start}, {f.at, f.data}} {
		if d := off - piece.at; d >= 0 && d < int64(len(piece.b)) {
			copy(p, piece.b[d:])
		} else if d < 0 && -d < int64(len(p)) {
			copy(p[-d:], piece.b)
		}
	}
	if off+int64(len(p)) > 1<<62 {
		return 0, io.EOF
	}
	return len(p), nil
}

// read returns what ReadFile has, or the error as text.
func read(im *Image, name string) string {
	b, err := im.ReadFile(name)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func TestAddressesHave48Bits(t *testing.T) {
	const block = 1<<45 | 7
	m := newMaker(t, 12)
	size := uint64(5000)
	extended := m.inode(disk.InodeExtended{Mode: 0o100644, Size: size, Nb: block >> 32, U: block & (1<<32 - 1)}, nil)
	var entry [disk.ChunkIndexSize]byte
	(&disk.ChunkIndex{StartHi: block >> 32, StartLo: block & (1<<32 - 1)}).Encode(&entry)
	chunks := m.inode(disk.InodeExtended{Format: disk.MakeFormat(true, disk.ChunkBased), Mode: 0o100644, Size: size, U: uint32(disk.ChunkIndexes | disk.Chunk48Bit | 1)}, entry[:])
	low := m.inode(disk.InodeExtended{Format: disk.MakeFormat(true, disk.ChunkBased), Mode: 0o100644, Size: size, U: uint32(disk.ChunkIndexes | 1)}, entry[:])
	off := m.space(disk.InodeCompactSize, disk.SlotSize)
	(&disk.InodeCompact{Format: disk.FormatNlink1, Mode: 0o100644, Size: uint32(size), Nb: block >> 32, U: block & (1<<32 - 1)}).Encode((*[disk.InodeCompactSize]byte)(m.b[off:]))
	compact := uint64(off / disk.SlotSize)
	m.sb.Incompat |= disk.Has48Bit
	data := pattern(int(size), 3)
	b := m.with(DirEntry{"chunks", chunks, 1}, DirEntry{"compact", compact, 1}, DirEntry{"extended", extended, 1}, DirEntry{"low", low, 1})
	im := open(t, far{b, block << 12, data})
	for _, name := range []string{"chunks", "compact", "extended"} {
		if got := read(im, name); got != string(data) {
			t.Errorf("%s: %.60q", name, got)
		}
	}
	if got := read(im, "low"); got != string(make([]byte, size)) {
		t.Errorf("without the 48-bit format the high half counts: %.60q", got)
	}
	if i, err := im.Lookup("compact"); err != nil || i.Nlink != 1 {
		t.Errorf("NLINK_1: %+v, %v", i, err)
	}
}

func TestBlockSizesUpTo64K(t *testing.T) {
	for bits := uint8(9); bits <= 16; bits++ {
		m := newMaker(t, bits)
		m.sb.Compat |= disk.HasChecksum
		size := 3<<bits + 100
		data := pattern(size, bits)
		plain := m.inode(disk.InodeExtended{Mode: 0o100644, Size: uint64(size), U: m.blocks(data)}, nil)
		inline := m.inode(disk.InodeExtended{Format: disk.MakeFormat(true, disk.FlatInline), Mode: 0o100644, Size: uint64(size), U: m.blocks(data[:3<<bits])}, data[3<<bits:])
		entries := []DirEntry{{"inline", inline, 1}, {"plain", plain, 1}}
		var big []byte // a directory of three blocks
		for first := 'a'; first < 'd'; first++ {
			var names []DirEntry
			for k := byte(0); len(dirents(names...)) < 1<<bits-100; k++ {
				names = append(names, DirEntry{string(first) + strings.Repeat(string('0'+k/16)+string('0'+k%16), 25), plain, 1})
				if k == 255 {
					break
				}
			}
			block := dirents(names...)
			big = append(append(big, block...), make([]byte, 1<<bits-len(block))...)
		}
		entries = append(entries, DirEntry{"zbig", m.rawDir(big), 2})
		im := open(t, bytes.NewReader(m.with(entries...)))
		for _, name := range []string{"inline", "plain"} {
			if got := read(im, name); got != string(data) {
				t.Errorf("blocks of %d, %s: %.60q", 1<<bits, name, got)
			}
		}
		list, err := im.ReadDir("zbig")
		if err != nil {
			t.Errorf("blocks of %d: %v", 1<<bits, err)
		}
		for _, e := range list {
			if i, err := im.Lookup("zbig/" + e.Name()); err != nil || i.NID != plain {
				t.Errorf("blocks of %d: Lookup(%q): %v", 1<<bits, e.Name(), err)
			}
		}
		if _, err := im.Lookup("zbig/nothing"); err == nil {
			t.Errorf("blocks of %d: found what is not there", 1<<bits)
		}
	}
}

// deviceImage has files with a chunk on each kind of address: device 1 and 2, by id and through the
// unified address space, a hole, the primary device.
func deviceImage(t *testing.T, uni1, uni2 uint32) []byte {
	m := newMaker(t, 9)
	own := m.blocks([]byte("primary"))
	m.sb.Incompat |= disk.HasDeviceTable | disk.HasChunkedFile
	m.sb.ExtraDevices, m.sb.DevtSlotOff = 2, 1
	for k, d := range []disk.Device{{BlocksLo: 4, UniAddrLo: uni1}, {BlocksLo: 4, UniAddrLo: uni2}} {
		d.Tag[0] = byte('a' + k)
		d.Encode((*[disk.DeviceSize]byte)(m.b[(1+k)*disk.DeviceSize:]))
	}
	file := func(unified bool, list ...disk.ChunkIndex) uint64 {
		var entries []byte
		format := disk.ChunkIndexes
		for _, c := range list {
			var b [disk.ChunkIndexSize]byte
			c.Encode(&b)
			entries = append(entries, b[:]...)
			if unified {
				entries = append(entries[:len(entries)-8], b[4:]...)
				format = 0
			}
		}
		return m.inode(disk.InodeExtended{Format: disk.MakeFormat(true, disk.ChunkBased), Mode: 0o100644, Size: uint64(512 * len(list)), U: uint32(format)}, entries)
	}
	return m.with(
		DirEntry{"bad", file(false, disk.ChunkIndex{StartLo: 1, DeviceID: 3}), 1},
		DirEntry{"flat", m.inode(disk.InodeExtended{Mode: 0o100644, Size: 512, U: uni2 + 2}, nil), 1},
		DirEntry{"ids", file(false, disk.ChunkIndex{StartLo: 1, DeviceID: 1}, disk.HoleIndex(), disk.ChunkIndex{StartLo: 2, DeviceID: 2}, disk.ChunkIndex{StartLo: own}, disk.ChunkIndex{StartLo: 2, DeviceID: 4 | 1}), 1},
		DirEntry{"unified", file(true, disk.ChunkIndex{StartLo: uni1 + 1}, disk.HoleIndex(), disk.ChunkIndex{StartLo: uni2 + 2}, disk.ChunkIndex{StartLo: own}, disk.ChunkIndex{StartLo: uni1 + 2}), 1},
	)
}

func deviceData(name string) []byte {
	var b []byte
	for k := range 4 {
		b = append(b, bytes.Repeat([]byte{name[0], byte('0' + k)}, 256)...)
	}
	return b
}

func TestDevicesByIdAndByUnifiedAddress(t *testing.T) {
	one, two := deviceData("x"), deviceData("y")
	primary := make([]byte, 512)
	copy(primary, "primary")
	want := string(one[512:1024]) + string(make([]byte, 512)) + string(two[1024:1536]) + string(primary) + string(one[1024:1536])
	b := deviceImage(t, 1000, 1004)
	im := open(t, bytes.NewReader(b), bytes.NewReader(one), bytes.NewReader(two))
	for _, name := range []string{"ids", "unified"} {
		if got := read(im, name); got != want {
			t.Errorf("%s: %.100q", name, got)
		}
	}
	if got := read(im, "flat"); got != string(two[1024:1536]) {
		t.Errorf("flat: %.100q", got)
	}
	if _, err := im.ReadFile("bad"); !errors.Is(err, ErrCorrupt) {
		t.Errorf("device 3 of 2: %v", err)
	}
	if d := im.Devices(); len(d) != 2 || d[0] != (Device{"a", 4, 1000}) || d[1].Tag != "b" {
		t.Errorf("devices %+v", d)
	}
	i, err := im.Lookup("unified")
	if err != nil {
		t.Fatal(err)
	}
	list, err := i.Extents()
	wantList := []Extent{
		{Physical: 512, Length: 512, Stored: 512, Device: 1}, {Logical: 512, Length: 512, Hole: true},
		{Logical: 1024, Physical: 1024, Length: 512, Stored: 512, Device: 2}, {Logical: 1536, Physical: 2048, Length: 512, Stored: 512},
		{Logical: 2048, Physical: 1024, Length: 512, Stored: 512, Device: 1},
	}
	if err != nil || !slices.Equal(list, wantList) {
		t.Errorf("extents %+v, %v", list, err)
	}

	blocks := uint32(len(b) / 512)
	b = deviceImage(t, blocks, blocks+4)
	im = open(t, bytes.NewReader(slices.Concat(b, one, two)))
	for _, name := range []string{"ids", "unified"} {
		if got := read(im, name); got != want {
			t.Errorf("flattened, %s: %.100q", name, got)
		}
	}

	im = open(t, bytes.NewReader(deviceImage(t, 0, 0)))
	if _, err := im.ReadFile("ids"); err == nil || errors.Is(err, ErrCorrupt) {
		t.Errorf("device without a place in the image: %v", err)
	}
	if _, err := Open(bytes.NewReader(deviceImage(t, 1000, 1003)), bytes.NewReader(one), bytes.NewReader(two)); !errors.Is(err, ErrCorrupt) {
		t.Errorf("devices that overlap: %v", err)
	}
}

func TestXattrRules(t *testing.T) {
	m := newMaker(t, 9)
	shared := m.blocks(slices.Concat(xattr(4, "same", "shared"), xattr(6, "s", "sv")))
	m.sb.XattrBlkAddr = shared
	m.sb.Compat |= disk.HasPlainXattrPfx
	m.sb.XattrPrefixCount = 2
	table := (&disk.LongPrefix{BaseIndex: 4, Infix: "overlay."}).Append(nil)
	m.sb.XattrPrefixStart = m.blocks((&disk.LongPrefix{Infix: "finger"}).Append(table)) * 512 / 4
	with := func(area []byte, icount uint16) uint64 {
		return m.inode(disk.InodeExtended{Mode: 0o100644, XattrICount: icount}, area)
	}
	second := uint32((disk.XattrEntrySize + len("sameshared") + 3) / 4)
	full := with(xattrs([]uint32{0, second, second},
		xattr(1, "b", "\x00binary\xff"), xattr(1, "a", ""), xattr(2, "", "acl"), xattr(4, "same", "inline"),
		xattr(0, "hidden", "h"), xattr(5, "lustre", "l"), xattr(9, "unknown", "u"),
		xattr(0x80, "opaque", "y"), xattr(0x81, "print", "hidden"), xattr(0x82, "no such prefix", "")))
	short, _ := xattrs([]uint32{1, 2})
	beyond := xattr(1, "x", "")
	beyond[2] = 200
	files := []DirEntry{
		{"beyond", with(xattrs(nil, beyond)), 1},
		{"count", with(short[:16], 2), 1},
		{"full", full, 1},
		{"none", with(nil, 0), 1},
		{"one", with(make([]byte, 12), 1), 1},
		{"range", with(xattrs([]uint32{1 << 30})), 1},
	}
	im := open(t, bytes.NewReader(m.with(files...)))
	want := []tree.Xattr{{Name: "security.s", Value: "sv"}, {Name: "system.posix_acl_access", Value: "acl"}, {Name: "trusted.overlay.opaque", Value: "y"},
		{Name: "trusted.same", Value: "inline"}, {Name: "user.a", Value: ""}, {Name: "user.b", Value: "\x00binary\xff"}}
	for name, wantErr := range map[string]error{"full": nil, "none": nil, "beyond": ErrCorrupt, "count": ErrCorrupt, "one": errors.ErrUnsupported, "range": ErrCorrupt} {
		i, err := im.Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		got, err := i.Xattrs()
		if !errors.Is(err, wantErr) {
			t.Errorf("%s: %v, want %v", name, err, wantErr)
		}
		if name == "full" && !slices.Equal(got, want) {
			t.Errorf("%s: %+v", name, got)
		}
	}
	files = slices.DeleteFunc(files, func(e DirEntry) bool { return e.Name != "full" && e.Name != "none" })
	tr, err := open(t, bytes.NewReader(m.with(files...))).Tree()
	if err != nil {
		t.Fatal(err)
	}
	if got := tr.Lookup("full").Xattrs; !slices.Equal(got, want) {
		t.Errorf("Tree: %+v", got)
	}
}

func TestInodesThatAreNotWhatTheySeem(t *testing.T) {
	m := newMaker(t, 9)
	late := m.inode(disk.InodeExtended{Mode: 0o100644, Mtime: -5, MtimeNsec: 3_000_000_007}, nil)
	files := []DirEntry{
		{"format", m.inode(disk.InodeExtended{Mode: 0o100644, Format: 1 << 5}, nil), 1},
		{"late", late, 1},
		{"layout", m.inode(disk.InodeExtended{Mode: 0o100644, Format: 7 << 1}, nil), 1},
		{"metabox", disk.MetaboxNID | 5, 1},
		{"type", m.inode(disk.InodeExtended{Mode: 0o644}, nil), 1},
		{"xchunk", m.inode(disk.InodeExtended{Mode: 0o100644, Format: disk.MakeFormat(true, disk.ChunkBased), U: 0x80}, nil), 1},
	}
	b := m.with(files...)
	im := open(t, bytes.NewReader(b))
	for name, want := range map[string]error{"format": errors.ErrUnsupported, "late": nil, "layout": errors.ErrUnsupported,
		"metabox": ErrCorrupt, "type": ErrCorrupt, "xchunk": errors.ErrUnsupported} {
		if _, err := im.Stat(name); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
	}
	if i, err := im.Lookup("late"); err != nil || i.Mtime != -2 || i.Nsec != 7 {
		t.Errorf("late: %+v, %v", i, err)
	}
}

// A metabox that is not compressed is rare, but valid.
func TestInodesInThePlainMetabox(t *testing.T) {
	inBox := newMaker(t, 9)
	entries := []DirEntry{{"0", 0, 1}, {"1", 0, 1}, {"2", 0, 1}, {"3", disk.MetaboxNID | 1000, 1}}
	for k, size := range []int{4, 200} {
		entries[k].NID = inBox.inode(disk.InodeExtended{Format: disk.MakeFormat(true, disk.FlatInline), Mode: 0o100644, Size: uint64(size)}, pattern(size, 1))
	}
	area, icount := xattrs(nil, xattr(1, "one", "1"))
	entries[2].NID = inBox.inode(disk.InodeExtended{Mode: 0o100600, XattrICount: icount}, area)
	for k := range entries[:3] {
		entries[k].NID = entries[k].NID - 2048/disk.SlotSize | disk.MetaboxNID
	}
	for what, c := range map[string]struct {
		change func(*disk.InodeExtended)
		want   error
	}{
		"whole":     {func(*disk.InodeExtended) {}, nil},
		"no inode":  {func(i *disk.InodeExtended) { i.Mode = 0 }, ErrCorrupt},
		"directory": {func(i *disk.InodeExtended) { i.Mode = 0o40755 }, ErrCorrupt},
	} {
		m := newMaker(t, 9)
		data := inBox.b[2048:]
		box := disk.InodeExtended{Mode: 0o100644, Size: uint64(len(data)), U: m.blocks(data)}
		c.change(&box)
		m.sb.Incompat |= disk.HasMetabox
		m.sb.ExtSlots, m.sb.MetaboxNID = 1, m.inode(box, nil)
		im, err := Open(bytes.NewReader(m.with(entries...)))
		if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s: %v", what, err)
		}
		if err != nil {
			continue
		}
		if read(im, "0") != string(pattern(4, 1)) || read(im, "1") != string(pattern(200, 1)) {
			t.Errorf("%q, %q", read(im, "0"), read(im, "1"))
		}
		i, err := im.Lookup("2")
		if err != nil {
			t.Fatal(err)
		}
		if list, err := i.Xattrs(); err != nil || len(list) != 1 || list[0].Name != "user.one" {
			t.Errorf("xattrs %v, %v", list, err)
		}
		if _, err := im.Stat("3"); !errors.Is(err, ErrCorrupt) {
			t.Errorf("beyond the metabox: %v", err)
		}
		e, err := im.Lookup("1")
		if err != nil {
			t.Fatal(err)
		}
		if list, err := e.Extents(); err != nil || len(list) != 1 || list[0].Device != MetaboxDevice {
			t.Errorf("extents %+v, %v", list, err)
		}
	}
}

// packedPrefixes is an image whose long prefixes lie in the packed inode, which has the format given.
func packedPrefixes(t *testing.T, change func(*maker, *disk.InodeExtended)) []byte {
	m := newMaker(t, 9)
	m.sb.Incompat |= disk.HasXattrPrefixes | disk.HasFragments
	m.sb.XattrPrefixCount, m.sb.XattrPrefixStart = 2, 25
	table := (&disk.LongPrefix{BaseIndex: 1, Infix: strings.Repeat("i", disk.LongPrefixMaxInfix)}).Append(make([]byte, 100))
	table = (&disk.LongPrefix{BaseIndex: 4, Infix: "overlay."}).Append(table)
	packed := disk.InodeExtended{Mode: 0o100644, Size: uint64(len(table)), U: m.blocks(table)}
	change(m, &packed)
	m.sb.PackedNID = m.inode(packed, nil)
	area, icount := xattrs(nil, xattr(0x81, "opaque", "y"))
	long := m.inode(disk.InodeExtended{Mode: 0o100644, XattrICount: icount}, area)
	area, icount = xattrs(nil, xattr(1, "short", ""))
	return m.with(DirEntry{"long", long, 1}, DirEntry{"short", m.inode(disk.InodeExtended{Mode: 0o100644, XattrICount: icount}, area), 1})
}

func TestLongPrefixesInThePackedInode(t *testing.T) {
	get := func(im *Image, name string) string {
		i, err := im.Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		list, err := i.Xattrs()
		if err != nil {
			t.Fatal(err)
		}
		return list[0].Name
	}
	im := open(t, bytes.NewReader(packedPrefixes(t, func(*maker, *disk.InodeExtended) {})))
	if got := get(im, "long"); got != "trusted.overlay.opaque" {
		t.Error(got)
	}
	if got := get(im, "short"); got != "user.short" {
		t.Errorf("a name without long prefix: %s", got)
	}
	for what, change := range map[string]func(*maker, *disk.InodeExtended){
		"short of the table":  func(_ *maker, i *disk.InodeExtended) { i.Size -= 5 },
		"short of its size":   func(_ *maker, i *disk.InodeExtended) { i.Size = 101 },
		"no inode":            func(_ *maker, i *disk.InodeExtended) { i.Mode = 0 },
		"no index":            func(_ *maker, i *disk.InodeExtended) { i.Format = disk.MakeFormat(true, disk.CompressedCompact) },
		"no metabox":          func(m *maker, _ *disk.InodeExtended) { m.sb.Incompat |= disk.HasMetabox; m.sb.ExtSlots = 1 },
		"prefix of no length": func(m *maker, _ *disk.InodeExtended) { m.sb.XattrPrefixStart = 0 },
	} {
		if _, err := Open(bytes.NewReader(packedPrefixes(t, change))); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestLargeFilesAreReadWhole(t *testing.T) {
	m := newMaker(t, 16)
	data := pattern(5<<20+3, 1)
	file := m.inode(disk.InodeExtended{Mode: 0o100644, Size: uint64(len(data)), U: m.blocks(data)}, nil)
	wrap := m.inode(disk.InodeExtended{Mode: 0o100644, Size: 10, U: 3, Nb: 0x8000}, nil)
	im := open(t, bytes.NewReader(m.with(DirEntry{"f", file, 1}, DirEntry{"wrap", wrap, 1})))
	if read(im, "f") != string(data) {
		t.Error("ReadFile differs")
	}
	if _, err := im.ReadFile("wrap"); !errors.Is(err, ErrCorrupt) {
		t.Errorf("block address of 64 bits of bytes: %v", err)
	}
}
