package disk

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

// codec decodes the bytes of a structure and encodes them again.
type codec struct {
	size  int
	trip  func(b []byte) (decoded any, encoded []byte)
	exact bool // every bit is part of a field
}

// fixed makes a codec of the methods of a fixed-size structure. B is an array.
func fixed[T any, B any](decode func(*T, *B), encode func(*T, *B), array func([]byte) *B, bytes func(*B) []byte) codec {
	var b B
	return codec{len(bytes(&b)), func(in []byte) (any, []byte) {
		v := new(T)
		decode(v, array(in))
		out := new(B)
		for i := range bytes(out) {
			bytes(out)[i] = 0xA5 // Encode must write every byte
		}
		encode(v, out)
		return v, bytes(out)
	}, true}
}

var codecs = map[string]codec{
	"superblock": fixed((*Superblock).Decode, (*Superblock).Encode,
		func(b []byte) *[128]byte { return (*[128]byte)(b) }, func(b *[128]byte) []byte { return b[:] }),
	"inode-compact": fixed((*InodeCompact).Decode, (*InodeCompact).Encode,
		func(b []byte) *[32]byte { return (*[32]byte)(b) }, func(b *[32]byte) []byte { return b[:] }),
	"inode-extended": fixed((*InodeExtended).Decode, (*InodeExtended).Encode,
		func(b []byte) *[64]byte { return (*[64]byte)(b) }, func(b *[64]byte) []byte { return b[:] }),
	"dirent": fixed((*Dirent).Decode, (*Dirent).Encode,
		func(b []byte) *[12]byte { return (*[12]byte)(b) }, func(b *[12]byte) []byte { return b[:] }),
	"xattr-header": fixed((*XattrHeader).Decode, (*XattrHeader).Encode,
		func(b []byte) *[12]byte { return (*[12]byte)(b) }, func(b *[12]byte) []byte { return b[:] }),
	"xattr-entry": fixed((*XattrEntry).Decode, (*XattrEntry).Encode,
		func(b []byte) *[4]byte { return (*[4]byte)(b) }, func(b *[4]byte) []byte { return b[:] }),
	"device": fixed((*Device).Decode, (*Device).Encode,
		func(b []byte) *[128]byte { return (*[128]byte)(b) }, func(b *[128]byte) []byte { return b[:] }),
	"chunk-index": fixed((*ChunkIndex).Decode, (*ChunkIndex).Encode,
		func(b []byte) *[8]byte { return (*[8]byte)(b) }, func(b *[8]byte) []byte { return b[:] }),
	"lz4-config": fixed((*LZ4Config).Decode, (*LZ4Config).Encode,
		func(b []byte) *[14]byte { return (*[14]byte)(b) }, func(b *[14]byte) []byte { return b[:] }),
	"lzma-config": fixed((*LZMAConfig).Decode, (*LZMAConfig).Encode,
		func(b []byte) *[14]byte { return (*[14]byte)(b) }, func(b *[14]byte) []byte { return b[:] }),
	"deflate-config": fixed((*DeflateConfig).Decode, (*DeflateConfig).Encode,
		func(b []byte) *[6]byte { return (*[6]byte)(b) }, func(b *[6]byte) []byte { return b[:] }),
	"zstd-config": fixed((*ZSTDConfig).Decode, (*ZSTDConfig).Encode,
		func(b []byte) *[6]byte { return (*[6]byte)(b) }, func(b *[6]byte) []byte { return b[:] }),
	"map-header": fixed((*MapHeader).Decode, (*MapHeader).Encode,
		func(b []byte) *[8]byte { return (*[8]byte)(b) }, func(b *[8]byte) []byte { return b[:] }),
	"lcluster": fixed((*Lcluster).Decode, (*Lcluster).Encode,
		func(b []byte) *[8]byte { return (*[8]byte)(b) }, func(b *[8]byte) []byte { return b[:] }),
	"extent8": fixed((*Extent).Decode8, (*Extent).Encode8,
		func(b []byte) *[8]byte { return (*[8]byte)(b) }, func(b *[8]byte) []byte { return b[:] }),
	"extent16": fixed((*Extent).Decode16, (*Extent).Encode16,
		func(b []byte) *[16]byte { return (*[16]byte)(b) }, func(b *[16]byte) []byte { return b[:] }),
	"extent32": fixed((*Extent).Decode32, (*Extent).Encode32,
		func(b []byte) *[32]byte { return (*[32]byte)(b) }, func(b *[32]byte) []byte { return b[:] }),
	"superblock-slot": loose(fixed((*Superblock).DecodeExt, (*Superblock).EncodeExt,
		func(b []byte) *[16]byte { return (*[16]byte)(b) }, func(b *[16]byte) []byte { return b[:] })),
	"compact2": loose(fixed((*Compact2).Decode, (*Compact2).Encode,
		func(b []byte) *[32]byte { return (*[32]byte)(b) }, func(b *[32]byte) []byte { return b[:] })),
	"compact4": loose(fixed(
		func(p *Compact4, b *[8]byte) { p.Decode(b, 12) }, func(p *Compact4, b *[8]byte) { p.Encode(b, 12) },
		func(b []byte) *[8]byte { return (*[8]byte)(b) }, func(b *[8]byte) []byte { return b[:] })),
}

// loose marks a structure with bits that belong to no field: they are lost by decoding.
func loose(c codec) codec {
	c.exact = false
	return c
}

// Sections that other tests read.
var otherKinds = map[string]bool{"checksum-range": true, "compact-shape": true, "config-length": true,
	"shared-id": true, "extent-base": true, "extent4": true, "long-prefix": true}

func dumps(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no dumps", err)
	}
	for i := range files {
		files[i] = filepath.Base(files[i])
	}
	return files
}

func TestForeignStructuresDecodeToTheirAnnotations(t *testing.T) {
	seen := map[string]bool{}
	for _, file := range dumps(t) {
		for _, s := range readDump(t, file) {
			seen[s.kind] = true
			c, ok := codecs[s.kind]
			if !ok {
				if !otherKinds[s.kind] {
					t.Errorf("%s: nothing reads [%s]", file, s.kind)
				}
				continue
			}
			place := fmt.Sprintf("%s: [%s] %s", file, s.kind, s.note)
			b := s.bytes[:c.size]
			v, enc := c.trip(b)
			if !bytes.Equal(enc, b) {
				t.Errorf("%s: encodes to\n%x, want\n%x", place, enc, b)
			}
			for _, f := range s.fields {
				checkField(t, place, v, f)
				checkAlone(t, place, c, s, f)
			}
		}
	}
	for kind := range codecs {
		if !seen[kind] {
			t.Errorf("no dump has a [%s]", kind)
		}
	}
}

// checkField compares a decoded field with its annotation. Names in lower case are not fields.
func checkField(t *testing.T, place string, v any, f field) {
	t.Helper()
	if f.name[0] >= 'a' {
		return
	}
	got := reflect.ValueOf(v).Elem().FieldByName(f.name)
	if !got.IsValid() {
		t.Errorf("%s: %T has no field %s", place, v, f.name)
	} else if !reflect.DeepEqual(got.Interface(), annotated(t, got.Type(), f.value)) {
		t.Errorf("%s: %s = %v, want %s", place, f.name, got, f.value)
	}
}

// checkAlone decodes the bytes of one field among zeros: no other field may take notice.
func checkAlone(t *testing.T, place string, c codec, s *section, f field) {
	t.Helper()
	if f.name[0] >= 'a' || f.end > c.size {
		return
	}
	b := make([]byte, c.size)
	for i := f.off; i < f.end; i++ {
		b[i] = 0xFF
	}
	v, _ := c.trip(b)
	got := reflect.ValueOf(v).Elem()
	for i := range got.NumField() {
		if name := got.Type().Field(i).Name; got.Field(i).IsZero() == (name == f.name) {
			t.Errorf("%s: bytes %#x to %#x are %s: decoding them alone gives %s = %v", place, f.off, f.end, f.name, name, got.Field(i))
		}
	}
}

// annotated turns the text of an annotation into a value of a type.
func annotated(t testing.TB, typ reflect.Type, text string) any {
	t.Helper()
	v := reflect.New(typ).Elem()
	switch {
	case v.CanUint():
		v.SetUint(number(t, text))
	case v.CanInt():
		n, err := strconv.ParseInt(text, 0, 64)
		if err != nil {
			t.Fatal(err)
		}
		v.SetInt(n)
	case typ.Elem() == reflect.TypeFor[CompactEntry]():
		for i, e := range strings.Fields(text) {
			v.Index(i).Set(reflect.ValueOf(compactEntry(t, e)))
		}
	default:
		reflect.Copy(v, reflect.ValueOf(annotatedBytes(t, text)))
	}
	return v.Interface()
}

func annotatedBytes(t testing.TB, text string) []byte {
	t.Helper()
	if strings.HasPrefix(text, `"`) {
		s, err := strconv.Unquote(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		return []byte(s)
	}
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return b
}

func compactEntry(t testing.TB, text string) CompactEntry {
	t.Helper()
	name, lo, _ := strings.Cut(text, ":")
	for typ := range LclusterType(4) {
		if typ.String() == name {
			return CompactEntry{typ, uint16(number(t, lo))}
		}
	}
	t.Fatalf("%s: no type of lclusters", text)
	return CompactEntry{}
}

func number(t testing.TB, text string) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(text, 0, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
