package disk

import (
	"bufio"
	"encoding/hex"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A dump is annotated bytes, written by testdata/golden.py:
//
//	# comment
//	[kind] note
//	00  e2 e1 f5 e0    Magic = 0xe0f5e1e2
//
// A field may be longer than a line: its name stands on the last one. "*" stands for lines of zeros, and
// an offset alone ends a section that has no fields.
type section struct {
	kind, note string
	bytes      []byte
	fields     []field
}

// field is an annotated part of a section.
type field struct {
	name, value string
	off, end    int
}

// get returns the annotated value of a field.
func (s *section) get(name string) string {
	for _, f := range s.fields {
		if f.name == name {
			return f.value
		}
	}
	return ""
}

var (
	dumpHead = regexp.MustCompile(`^\[([a-z0-9-]+)\](?: (.*))?$`)
	dumpLine = regexp.MustCompile(`^([0-9a-f]+)(?:  ((?:[0-9a-f]{2} )*[0-9a-f]{2})(?: +([A-Za-z0-9]+) = (.*))?)?$`)
)

// readDump parses a file of testdata.
func readDump(t testing.TB, name string) []*section {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []*section
	begun, zeros := 0, false
	for lines := bufio.NewScanner(f); lines.Scan(); {
		l := lines.Text()
		if m := dumpHead.FindStringSubmatch(l); m != nil {
			all = append(all, &section{kind: m[1], note: m[2]})
			begun = 0
			continue
		}
		if l == "" || l[0] == '#' {
			continue
		}
		if l == "*" {
			zeros = true
			continue
		}
		m := dumpLine.FindStringSubmatch(l)
		if m == nil || len(all) == 0 {
			t.Fatalf("%s: cannot read %q", name, l)
		}
		s := all[len(all)-1]
		off := number(t, "0x"+m[1])
		for zeros && len(s.bytes) < int(off) {
			s.bytes = append(s.bytes, 0)
		}
		zeros = false
		if len(s.bytes) != int(off) {
			t.Fatalf("%s: %q is at %#x", name, l, len(s.bytes))
		}
		b, _ := hex.DecodeString(strings.ReplaceAll(m[2], " ", ""))
		s.bytes = append(s.bytes, b...)
		if m[3] != "" {
			s.fields = append(s.fields, field{m[3], m[4], begun, len(s.bytes)})
			begun = len(s.bytes)
		}
	}
	return all
}

// find returns the only section of a kind with the note.
func find(t testing.TB, all []*section, kind, note string) *section {
	t.Helper()
	for _, s := range all {
		if s.kind == kind && s.note == note {
			return s
		}
	}
	t.Fatalf("no section [%s] %s", kind, note)
	return nil
}
