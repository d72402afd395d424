package disk

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/laminafs/lamina/tree"
)

func TestChecksumOfForeignImages(t *testing.T) {
	for _, s := range readDump(t, "checksum.txt") {
		blockBits := s.bytes[0x0C]
		off, n := ChecksumRange(blockBits)
		if off != SuperOffset || n != int64(len(s.bytes)) {
			t.Errorf("%s: range %d+%d, want %d+%d", s.note, off, n, SuperOffset, len(s.bytes))
		}
		want := binary.LittleEndian.Uint32(s.bytes[4:])
		if got := Checksum(s.bytes); got != want {
			t.Errorf("%s: checksum %#x, want %#x", s.note, got, want)
		}
		s.bytes[len(s.bytes)-1] ^= 1
		if Checksum(s.bytes) == want {
			t.Errorf("%s: the last byte does not count", s.note)
		}
	}
}

// Every xattr of a dumped inode clears its bit of the name filter, and nothing else is cleared.
func TestXattrFilterOfForeignImages(t *testing.T) {
	for _, file := range []string{"plain.txt", "prefixes.txt"} {
		var long []LongPrefix
		var header XattrHeader
		filter, place := uint32(0), ""
		check := func() {
			if place != "" && filter != header.NameFilter {
				t.Errorf("%s: filter %#x, want %#x", place, filter, header.NameFilter)
			}
		}
		for _, s := range readDump(t, file) {
			switch s.kind {
			case "long-prefix":
				long = append(long, decodeLongPrefix(s))
			case "xattr-header":
				check()
				header.Decode((*[XattrHeaderSize]byte)(s.bytes))
				filter, place = 1<<32-1, file+": "+s.note
			case "xattr-entry":
				index, rest := entryName(t, s, long)
				filter &^= XattrFilterBit(index, rest)
			}
		}
		check()
		if place == "" {
			t.Errorf("%s has no xattrs", file)
		}
	}
}

// entryName returns the short prefix of an entry and what follows it.
func entryName(t *testing.T, s *section, long []LongPrefix) (index uint8, rest string) {
	t.Helper()
	var e XattrEntry
	e.Decode((*[XattrEntrySize]byte)(s.bytes))
	rest = string(s.bytes[XattrEntrySize:][:e.NameLen])
	if e.NameIndex&XattrLongPrefix == 0 {
		return e.NameIndex, rest
	}
	p := long[e.NameIndex&XattrLongPrefixMask]
	return p.BaseIndex, p.Infix + rest
}

func decodeLongPrefix(s *section) (p LongPrefix) {
	p.Decode(s.bytes[2:][:binary.LittleEndian.Uint16(s.bytes)])
	return p
}

func TestLongPrefixesOfForeignImages(t *testing.T) {
	for _, s := range readDump(t, "prefixes.txt") {
		if s.kind != "long-prefix" {
			continue
		}
		p := decodeLongPrefix(s)
		if want := string(annotatedBytes(t, s.get("Infix"))); p.Infix != want || fmt.Sprint(p.BaseIndex) != s.get("BaseIndex") {
			t.Errorf("got %d %q, want %s %q", p.BaseIndex, p.Infix, s.get("BaseIndex"), want)
		}
		if got := p.Append([]byte("12345678")); string(got[8:]) != string(s.bytes) {
			t.Errorf("%q encodes to %x, want %x", p.Infix, got[8:], s.bytes)
		}
	}
}

func TestXattrNamesSplitAsInForeignImages(t *testing.T) {
	names := []string{"user.shared", "trusted.overlay.opaque", "security.capability",
		"user.a name that is longer than sixteen bytes", "system.posix_acl_access"}
	var want, got []string
	for _, s := range readDump(t, "plain.txt") {
		if s.kind == "xattr-entry" && strings.HasSuffix(s.note, "of file") {
			index, rest := entryName(t, s, nil)
			want = append(want, fmt.Sprintf("%d %q", index, rest))
		}
	}
	for _, n := range names {
		index, rest, ok := SplitXattr(n)
		if p, _ := XattrPrefix(index); !ok || p+rest != n {
			t.Errorf("%s: %q + %q, %v", n, p, rest, ok)
		}
		got = append(got, fmt.Sprintf("%d %q", index, rest))
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("names split to %q, want %q", got, want)
	}
}

func TestXattrNamesThatErofsCannotStore(t *testing.T) {
	for _, n := range []string{"", "user", "user.", "foo.bar", "system.posix_acl_access.x", "system.nfs4_acl", "lustre.lov", "trusted."} {
		if index, rest, ok := SplitXattr(n); ok {
			t.Errorf("%q splits to %d %q", n, index, rest)
		}
	}
}

// Published vectors, below and above the 16 bytes at which the algorithm changes.
func TestXXH32KnownAnswers(t *testing.T) {
	for _, v := range []struct {
		in   string
		seed uint32
		want uint32
	}{
		{"", 0, 0x02CC5D05},
		{"a", 0, 0x550D7456},
		{"abc", 0, 0x32D153FF},
		{"Nobody inspects the spammish repetition", 0, 0xE2293B2F},
	} {
		if got := xxh32(v.in, v.seed); got != v.want {
			t.Errorf("xxh32(%q, %d) = %#x, want %#x", v.in, v.seed, got, v.want)
		}
	}
}

func TestDeviceNumbersOfForeignImages(t *testing.T) {
	all := readDump(t, "plain.txt")
	for _, v := range []struct {
		name         string
		major, minor uint32
	}{{"char", 259, 70000}, {"whiteout", 0, 0}} {
		want := uint32(number(t, find(t, all, "inode-compact", v.name).get("U")))
		if got := tree.Dev(v.major, v.minor); got != want {
			t.Errorf("%s: device %d:%d is %#x, want %#x", v.name, v.major, v.minor, got, want)
		}
		if major, minor := tree.DevMajorMinor(want); major != v.major || minor != v.minor {
			t.Errorf("%s: %#x is %d:%d, want %d:%d", v.name, want, major, minor, v.major, v.minor)
		}
	}
}

func TestXattrCountsAndAreas(t *testing.T) {
	for _, area := range []int64{0, 16, 20, XattrMaxArea} {
		if got := XattrAreaSize(XattrICount(area)); got != area {
			t.Errorf("an area of %d bytes comes back as %d", area, got)
		}
	}
}
