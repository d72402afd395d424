package disk

import (
	"bytes"
	"reflect"
	"testing"
)

// fuzz seeds a target with the foreign structures of a kind and with all-ones, and checks that
// Decode → Encode → Decode is a fixed point and, where every bit belongs to a field, that Encode
// gives the bytes back.
func fuzz(f *testing.F, kind string) {
	c := codecs[kind]
	for _, file := range dumps(f) {
		for _, s := range readDump(f, file) {
			if s.kind == kind {
				f.Add(s.bytes[:c.size])
			}
		}
	}
	f.Add(bytes.Repeat([]byte{0xFF}, c.size))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < c.size {
			return
		}
		v, enc := c.trip(b[:c.size])
		again, _ := c.trip(enc)
		if !reflect.DeepEqual(v, again) {
			t.Errorf("%x decodes to %+v, then to %+v", b[:c.size], v, again)
		}
		if c.exact && !bytes.Equal(enc, b[:c.size]) {
			t.Errorf("%x encodes to %x", b[:c.size], enc)
		}
	})
}

func FuzzSuperblock(f *testing.F)     { fuzz(f, "superblock") }
func FuzzSuperblockSlot(f *testing.F) { fuzz(f, "superblock-slot") }
func FuzzInodeCompact(f *testing.F)   { fuzz(f, "inode-compact") }
func FuzzInodeExtended(f *testing.F)  { fuzz(f, "inode-extended") }
func FuzzDirent(f *testing.F)         { fuzz(f, "dirent") }
func FuzzXattrHeader(f *testing.F)    { fuzz(f, "xattr-header") }
func FuzzXattrEntry(f *testing.F)     { fuzz(f, "xattr-entry") }
func FuzzDevice(f *testing.F)         { fuzz(f, "device") }
func FuzzChunkIndex(f *testing.F)     { fuzz(f, "chunk-index") }
func FuzzLZ4Config(f *testing.F)      { fuzz(f, "lz4-config") }
func FuzzLZMAConfig(f *testing.F)     { fuzz(f, "lzma-config") }
func FuzzDeflateConfig(f *testing.F)  { fuzz(f, "deflate-config") }
func FuzzZSTDConfig(f *testing.F)     { fuzz(f, "zstd-config") }
func FuzzMapHeader(f *testing.F)      { fuzz(f, "map-header") }
func FuzzLcluster(f *testing.F)       { fuzz(f, "lcluster") }
func FuzzCompact4(f *testing.F)       { fuzz(f, "compact4") }
func FuzzCompact2(f *testing.F)       { fuzz(f, "compact2") }
func FuzzExtent8(f *testing.F)        { fuzz(f, "extent8") }
func FuzzExtent16(f *testing.F)       { fuzz(f, "extent16") }
func FuzzExtent32(f *testing.F)       { fuzz(f, "extent32") }

func FuzzCompact4OfLargeLclusters(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7}, uint8(14))
	f.Fuzz(func(t *testing.T, b []byte, lclusterBits uint8) {
		if len(b) < Compact4Size {
			return
		}
		lclusterBits = 9 + lclusterBits%(CompactMaxLclusterBits-8)
		var p, again Compact4
		var enc [Compact4Size]byte
		p.Decode((*[Compact4Size]byte)(b), lclusterBits)
		p.Encode(&enc, lclusterBits)
		if again.Decode(&enc, lclusterBits); again != p {
			t.Errorf("%x at %d bits: %+v, then %+v", b, lclusterBits, p, again)
		}
	})
}

func FuzzLongPrefix(f *testing.F) {
	f.Add([]byte{4, 'o', 'v', 'e', 'r', 'l', 'a', 'y', '.'})
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < 1 || len(b) > 1+LongPrefixMaxInfix {
			return
		}
		var p LongPrefix
		p.Decode(b)
		enc := p.Append(nil)
		if int64(len(enc)) != Align(2+int64(len(b)), 4) || !bytes.Equal(enc[2:2+len(b)], b) {
			t.Errorf("%x encodes to %x", b, enc)
		}
	})
}
