package mount

import (
	"strings"
	"testing"
)

const sampleTable = `22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
90 22 0:40 / /mnt/a\040b rw,nosuid master:2 propagate_from:3 - overlay over\134lay rw,lowerdir=/x\072y:/z
91 22 0:41 /sub /mnt/ab ro - erofs /img\011tab ro,user_xattr
92 91 0:42 / /mnt/ab/\134 ro - erofs none ro,opt=a - b
`

func TestTableIsUnescapedAndCutToThePrefix(t *testing.T) {
	for prefix, want := range map[string][]string{
		"/":        {"/", "/mnt/a b", "/mnt/ab", `/mnt/ab/\`},
		"/mnt/ab":  {"/mnt/ab", `/mnt/ab/\`},
		"/mnt/a":   nil,
		"/mnt/a b": {"/mnt/a b"},
	} {
		table, err := readTable(strings.NewReader(sampleTable), prefix)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range table {
			got = append(got, e.Target)
		}
		if strings.Join(got, "|") != strings.Join(want, "|") {
			t.Errorf("%s: %q, want %q", prefix, got, want)
		}
	}
	table, _ := readTable(strings.NewReader(sampleTable), "/mnt")
	want := Entry{90, 22, "0:40", "/", "/mnt/a b", "rw,nosuid", "overlay", `over\lay`, "rw,lowerdir=/x:y:/z"}
	if table[0] != want {
		t.Errorf("entry %+v, want %+v", table[0], want)
	}
	if e := table[1]; e.Root != "/sub" || e.Source != "/img\ttab" || table[2].Super != "ro,opt=a - b" {
		t.Errorf("entries %+v", table[1:])
	}
}

func TestLinesThatAreNoMountsAreRefused(t *testing.T) {
	for _, line := range []string{"", "1 2 3", "x 1 0:1 / / rw - a b c", "1 x 0:1 / / rw - a b c", "1 1 0:1 / / rw - a b", strings.Repeat("x", maxLine+1)} {
		if table, err := readTable(strings.NewReader(line+"\n"), "/"); err == nil {
			t.Errorf("%.40q: %v", line, table)
		}
	}
}

func FuzzTable(f *testing.F) {
	f.Add(sampleTable)
	f.Fuzz(func(t *testing.T, s string) {
		table, err := readTable(strings.NewReader(s), "/mnt")
		for _, e := range table {
			if err != nil || !below(e.Target, "/mnt") {
				t.Fatalf("%+v, %v", e, err)
			}
		}
	})
}
