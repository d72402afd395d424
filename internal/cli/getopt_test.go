package cli

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// record makes options that write down how they were called.
func record(log *[]string) []option {
	note := func(name string) func(string) error {
		return func(v string) error {
			*log = append(*log, fmt.Sprintf("%s=%s", name, v))
			return nil
		}
	}
	return append([]option{
		{short: 'b', arg: needArg, set: note("b")},
		{short: 'E', arg: needArg, set: note("E")},
		{short: 'V', long: "version", set: note("version")},
		{short: 'd', arg: needArg, set: note("d")},
		{short: 'p', set: note("p")},
		{long: "tar", arg: mayArg, set: note("tar")},
		{long: "force-uid", arg: needArg, set: note("force-uid")},
		{long: "force-gid", arg: needArg, set: note("force-gid")},
		{long: "force", set: note("force")},
	}, refuse(mayArg, "clean")...)
}

func TestGetoptReadsWhatGetoptLongReads(t *testing.T) {
	for _, c := range []struct {
		in       string
		log      string
		operands string
	}{
		{"-b4096 out src", "b=4096", "out src"},
		{"-b 4096 out src", "b=4096", "out src"},
		{"out -b4096 src -Ea,b", "b=4096 E=a,b", "out src"},
		{"-pV out", "p= version=", "out"},
		{"-pb512 out", "p= b=512", "out"},
		{"--tar out", "tar=", "out"},
		{"--tar=f out", "tar=f", "out"},
		{"--force-uid=1 --force-gid 2", "force-uid=1 force-gid=2", ""},
		{"--force", "force=", ""},
		{"--ver", "version=", ""},
		{"--force-u=7", "force-uid=7", ""},
		{"-- -b out", "", "-b out"},
		{"- out", "", "- out"},
		{"-d -1", "d=-1", ""},
	} {
		var log []string
		operands, err := getopt(strings.Fields(c.in), record(&log))
		if err != nil {
			t.Errorf("%s: %v", c.in, err)
		}
		if got := strings.Join(log, " "); got != c.log {
			t.Errorf("%s: options %q, want %q", c.in, got, c.log)
		}
		if want := strings.Fields(c.operands); !slices.Equal(operands, want) {
			t.Errorf("%s: operands %q, want %q", c.in, operands, want)
		}
	}
}

func TestGetoptNamesTheOptionItRefuses(t *testing.T) {
	for in, want := range map[string]string{
		"--nonsense":  "option --nonsense: unknown, not supported by lamina",
		"-q":          "option -q: unknown, not supported by lamina",
		"--force-":    "option --force-: ambiguous: --force-uid or --force-gid",
		"-b":          "option -b: needs a value",
		"--force-uid": "option --force-uid: needs a value",
		"--force=1":   "option --force: takes no value",
		"--clean":     "option --clean: not supported by lamina",
		"--clean=0":   "option --clean: 0: not supported by lamina",
		"--=x":        "option --: unknown, not supported by lamina",
	} {
		var log []string
		_, err := getopt(strings.Fields(in), record(&log))
		if err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", in, err, want)
		}
		if exitCode(err) != exitUsage {
			t.Errorf("%s: exit code %d", in, exitCode(err))
		}
	}
}
