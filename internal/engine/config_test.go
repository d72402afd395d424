package engine

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/pelletier/go-toml/v2"
)

func TestSampleIsTheDefaults(t *testing.T) {
	c, problems := Parse([]byte(Sample()))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if want := Default(); !reflect.DeepEqual(c, want) {
		t.Errorf("the sample means\n%+v\nthe defaults are\n%+v", c, want)
	}
	if p := (&Config{}).Validate(); len(p) == 0 {
		t.Error("an empty Config is valid")
	}
}

func TestSampleHasEveryKey(t *testing.T) {
	var m map[string]any
	if err := toml.Unmarshal([]byte(Sample()), &m); err != nil {
		t.Fatal(err)
	}
	var walk func(typ reflect.Type, m map[string]any, at string)
	walk = func(typ reflect.Type, m map[string]any, at string) {
		for _, f := range reflect.VisibleFields(typ) {
			if f.Tag.Get("toml") == "-" {
				continue
			}
			v, ok := m[f.Tag.Get("toml")]
			if !ok {
				t.Errorf("%s%s is not in the sample", at, f.Tag.Get("toml"))
			} else if f.Type.Kind() == reflect.Struct {
				walk(f.Type, v.(map[string]any), f.Tag.Get("toml")+".")
			}
		}
	}
	walk(reflect.TypeFor[Config](), m, "")
}

func TestEveryProblemIsReportedWithItsLine(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"nothing":      {"", nil},
		"unknown keys": {"rot = 1\n[snapshotter]\nx.y = 2\nmount_mode = \"host\"\n", []string{"1: rot: unknown key", "3: snapshotter.x.y: unknown key"}},
		"types": {
			"root = 5\n[metrics]\n# c\naddress = [\"a\"]\npprof = \"yes\"\n[registry]\nmax_concurrent_downloads = 1.5\n",
			[]string{"1: root: wants a string", "4: metrics.address: wants a string", "5: metrics.pprof: wants true or false", "7: registry.max_concurrent_downloads: wants a whole number"},
		},
		"array of numbers": {"[snapshotter]\novl_mount_options = [\"a\", 5]", []string{"2: snapshotter.ovl_mount_options: wants an array of strings"}},
		"tables":           {"[nope]\na = 1\n[root]\nb = 1\n[[log]]\n", []string{"1: nope: no such table", "3: root: is a string, not a table written like this", "5: log: is a table, not a table written like this"}},
		"keys and values":  {"rot = 1\nsocket = \"rel\"\n[metrics]\npprof = 1\n[log]\nlevel = \"loud\"\n", []string{"1: rot", "2: socket: \"rel\"", "4: metrics.pprof: wants", "6: log.level: \"loud\""}},
		"inline":           {"log = { level = 5, colour = true }", []string{"1: log.level: wants a string", "1: log.colour: unknown key"}},
		"syntax":           {"root = \"/a\"\nsocket = \n", []string{"2: unexpected"}},
		"twice":            {"root = \"/a\"\nroot = \"/b\"\n", []string{"2: root: key"}},
		"values": {
			"version = 2\nroot = \"rel\"\n[snapshotter]\nmount_mode = \"vm\"\ndefault_size = \"10 bananas\"\novl_mount_options = [\"upperdir=/x\", \"\"]\n[metrics]\npprof = true\n",
			[]string{"1: version: 2", "2: root: \"rel\"", "4: snapshotter.mount_mode: \"vm\"", "5: snapshotter.default_size", "6: snapshotter.ovl_mount_options: \"upperdir", "6: snapshotter.ovl_mount_options: \"\"", "8: metrics.pprof: needs"},
		},
		"containerd's keys": {"[differ]\nmkfs_options = [\"-z\"]", []string{"2: differ.mkfs_options: unknown key: no mkfs.erofs"}},
	} {
		_, problems := Parse([]byte(c.text))
		if len(problems) != len(c.want) {
			t.Errorf("%s: %q, want %q", name, problems, c.want)
			continue
		}
		for i, p := range problems {
			if !strings.HasPrefix(p.String(), c.want[i]) {
				t.Errorf("%s: %q, want %q", name, p, c.want[i])
			}
		}
	}
}

func TestLoad(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.toml")
	if c, err := Load(file, true); err != nil || !reflect.DeepEqual(c, Default()) {
		t.Error("a missing file is not the defaults", err)
	}
	if _, err := Load(file, false); err == nil {
		t.Error("a missing file that was asked for is none")
	}
	if err := os.WriteFile(file, []byte("root=\"/data/lamina\"\nx=1\ny=2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Load(file, true)
	want := "config: " + file + ":2: x: unknown key; " + file + ":3: y: unknown key"
	if err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(Sample())
	f.Add("log = { level = 5 }\n[[log]]\n\"\".a = 1")
	f.Fuzz(func(t *testing.T, text string) {
		c, problems := Parse([]byte(text))
		if len(problems) == 0 && len(c.Validate()) > 0 {
			t.Error("accepted, yet not valid")
		}
		for _, p := range problems {
			if p.Line < 0 || p.Line > 1+strings.Count(text, "\n") || p.Why == "" {
				t.Errorf("%+v of %d lines", p, strings.Count(text, "\n"))
			}
		}
	})
}
