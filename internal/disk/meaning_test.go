package disk

import "testing"

func TestFileTypesOfForeignImagesFollowTheModes(t *testing.T) {
	all := readDump(t, "plain.txt")
	for name, kind := range map[string]string{"file": "inode-compact", "empty": "inode-extended", "link": "inode-compact",
		"char": "inode-compact", "fifo": "inode-compact", "dir": "inode-compact"} {
		var d Dirent
		d.Decode((*[DirentSize]byte)(find(t, all, "dirent", name).bytes))
		mode := uint32(number(t, find(t, all, kind, name).get("Mode")))
		if got := FileTypeOf(mode); got != d.FileType || got == FileUnknown {
			t.Errorf("%s: mode %#o is type %d, want %d", name, mode, got, d.FileType)
		}
	}
	if got := FileTypeOf(0o777); got != FileUnknown {
		t.Errorf("a mode without type is type %d", got)
	}
}

func TestFormatsOfForeignInodes(t *testing.T) {
	for _, v := range []struct {
		file, kind, name string
		want             Format
	}{
		{"plain.txt", "inode-compact", "file", MakeFormat(false, FlatInline)},
		{"plain.txt", "inode-extended", "empty", MakeFormat(true, FlatPlain)},
		{"chunks.txt", "inode-compact", "file", MakeFormat(false, ChunkBased)},
		{"full.txt", "inode-compact", "file", MakeFormat(false, CompressedFull)},
		{"compact.txt", "inode-compact", "file", MakeFormat(false, CompressedCompact)},
		{"extent32.txt", "inode-extended", "huge", MakeFormat(true, CompressedFull)},
	} {
		got := Format(number(t, find(t, readDump(t, v.file), v.kind, v.name).get("Format")))
		if got != v.want || got.Extended() != (v.kind == "inode-extended") || got != MakeFormat(got.Extended(), got.Layout()) {
			t.Errorf("%s: %s: format %#x (%v), want %#x", v.file, v.name, got, got.Layout(), v.want)
		}
	}
}

func TestRootsOfForeignImages(t *testing.T) {
	for file, want := range map[string]uint64{"plain.txt": 42, "metabox.txt": MetaboxNID} {
		s := superblock(t, file)
		if got := s.RootNID(); got != want {
			t.Errorf("%s: root %#x, want %#x", file, got, want)
		}
		if got := s.Blocks(); got != uint64(s.BlocksLo) {
			t.Errorf("%s: %d blocks, want %d", file, got, s.BlocksLo)
		}
	}
	wide := Superblock{Incompat: Has48Bit, RootNID8: 7, RootNID2: 3, BlocksLo: 5}
	if wide.RootNID() != 7 || wide.Blocks() != 3<<32|5 {
		t.Errorf("with 48BIT: root %d, %#x blocks", wide.RootNID(), wide.Blocks())
	}
}

func TestChunksOfForeignImages(t *testing.T) {
	all := readDump(t, "chunks.txt")
	f := ChunkFormat(number(t, find(t, all, "inode-compact", "file").get("U")))
	if f.Bits() != 1 || f.EntrySize() != ChunkIndexSize || f&^ChunkKnown != 0 {
		t.Errorf("chunk format %#x: %d bits, entries of %d bytes", f, f.Bits(), f.EntrySize())
	}
	for i, note := range []string{"chunk 0", "chunk 1", "chunk 2"} {
		var c ChunkIndex
		c.Decode((*[ChunkIndexSize]byte)(find(t, all, "chunk-index", note).bytes))
		block, hole := c.Block(f)
		if hole != (i == 1) || !hole && c.DeviceID != 1 {
			t.Errorf("%s: block %d of device %d, hole %v", note, block, c.DeviceID, hole)
		}
		if hole && c.StartLo != HoleIndex().StartLo {
			t.Errorf("%s: a hole is %+v", note, c)
		}
	}
	low := ChunkIndex{StartHi: 1, StartLo: NullAddr32}
	if _, hole := low.Block(Chunk48Bit); hole {
		t.Error("48-bit block 0x1ffffffff is a hole")
	}
	if block, _ := (&ChunkIndex{StartHi: 1, StartLo: 2}).Block(Chunk48Bit); block != 1<<32|2 {
		t.Errorf("48-bit block %#x, want 0x100000002", block)
	}
	if _, hole := (&ChunkIndex{StartHi: 7, StartLo: NullAddr32}).Block(0); !hole {
		t.Error("the high half counts without its format bit")
	}
}

func TestDevicesOfForeignImages(t *testing.T) {
	var d Device
	d.Decode((*[DeviceSize]byte)(find(t, readDump(t, "tarindex.txt"), "device", "").bytes))
	s := superblock(t, "tarindex.txt")
	if d.UniAddr(s.Incompat) != s.Blocks() || d.Blocks(s.Incompat) == 0 {
		t.Errorf("device of %d blocks at %d, behind a primary of %d", d.Blocks(s.Incompat), d.UniAddr(s.Incompat), s.Blocks())
	}
	d.BlocksHi = 1
	if d.Blocks(0) >= 1<<32 || d.Blocks(Has48Bit) < 1<<32 {
		t.Error("the high half of a length counts with 48BIT only")
	}
}
