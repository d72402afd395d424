package disk

import (
	"bytes"
	"reflect"
	"testing"
)

// A target takes the structures that lie near each other in an image, and reads every input as each of
// them: time spent on a target is spent on all its structures.

func FuzzSuperblock(f *testing.F) { fuzz(f, nil, "superblock", "superblock-slot", "device") }

func FuzzInode(f *testing.F) {
	f.Add([]byte{4, 'o', 'v', 'e', 'r', 'l', 'a', 'y', '.'})
	fuzz(f, checkLongPrefix, "inode-compact", "inode-extended", "dirent", "xattr-header", "xattr-entry")
}

func FuzzBlockMap(f *testing.F) {
	fuzz(f, checkCompact4, "chunk-index", "map-header", "lcluster", "compact2", "compact4", "extent8", "extent16", "extent32")
}

func FuzzConfig(f *testing.F) {
	fuzz(f, nil, "lz4-config", "lzma-config", "deflate-config", "zstd-config")
}

// fuzz seeds a target with the foreign structures of its kinds and with all-ones. also checks what is no codec;
// nil if there is nothing.
func fuzz(f *testing.F, also func(*testing.T, []byte), kinds ...string) {
	seeds := map[string]bool{}
	for _, kind := range kinds {
		seeds[string(bytes.Repeat([]byte{0xFF}, codecs[kind].size))] = true
	}
	for _, file := range dumps(f) {
		for _, s := range readDump(f, file) {
			for _, kind := range kinds {
				if s.kind == kind {
					seeds[string(s.bytes[:codecs[kind].size])] = true
				}
			}
		}
	}
	for s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, kind := range kinds {
			checkTrip(t, kind, b)
		}
		if also != nil {
			also(t, b)
		}
	})
}

// checkTrip checks that Decode → Encode → Decode is a fixed point and, where every bit belongs to a
// field, that Encode gives the bytes back.
func checkTrip(t *testing.T, kind string, b []byte) {
	c := codecs[kind]
	if len(b) < c.size {
		return
	}
	b = b[:c.size]
	v, enc := c.trip(b)
	again, _ := c.trip(enc)
	if !reflect.DeepEqual(v, again) {
		t.Errorf("%s: %x decodes to %+v, then to %+v", kind, b, v, again)
	}
	if c.exact && !bytes.Equal(enc, b) {
		t.Errorf("%s: %x encodes to %x", kind, b, enc)
	}
}

// checkCompact4 is checkTrip for every size that a logical cluster can have with this index.
func checkCompact4(t *testing.T, b []byte) {
	if len(b) < Compact4Size {
		return
	}
	for bits := uint8(9); bits <= CompactMaxLclusterBits; bits++ {
		var p, again Compact4
		var enc [Compact4Size]byte
		p.Decode((*[Compact4Size]byte)(b), bits)
		p.Encode(&enc, bits)
		if again.Decode(&enc, bits); again != p {
			t.Errorf("%x at %d bits: %+v, then %+v", b, bits, p, again)
		}
	}
}

// checkLongPrefix is checkTrip for the only structure of variable size.
func checkLongPrefix(t *testing.T, b []byte) {
	if len(b) < 1 || len(b) > 1+LongPrefixMaxInfix {
		return
	}
	var p LongPrefix
	p.Decode(b)
	enc := p.Append(nil)
	if int64(len(enc)) != Align(2+int64(len(b)), 4) || !bytes.Equal(enc[2:2+len(b)], b) {
		t.Errorf("%x encodes to %x", b, enc)
	}
}
