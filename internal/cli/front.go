package cli

import (
	"fmt"
	"io"
)

// fronts are the programs of erofs-utils that the binary stands in for, by argv[0] or as a first argument.
var fronts = map[string]func(e *env, name string, args []string) int{
	"mkfs.erofs": (*env).mkfsErofs,
	"fsck.erofs": (*env).fsckErofs,
	"dump.erofs": (*env).dumpErofs,
}

// frontend is what the stand-ins have in common.
type frontend struct {
	name      string
	help      string
	showHelp  bool
	showVer   bool
	verbosity int
}

// common are -h, -V and -d.
func (f *frontend) common() []option {
	return []option{
		{short: 'h', long: "help", set: func(string) error { f.showHelp = true; return nil }},
		{short: 'V', long: "version", set: func(string) error { f.showVer = true; return nil }},
		{short: 'd', arg: needArg, set: func(v string) error {
			n, err := parseSize(v)
			if err != nil || n > 9 {
				return usagef("not a level from 0 to 9")
			}
			f.verbosity = int(n)
			return nil
		}},
	}
}

// parse reads the arguments and answers -h and -V; done says that there is nothing else to do.
func (f *frontend) parse(w io.Writer, args []string, opts []option) (operands []string, done bool, err error) {
	operands, err = getopt(args, opts)
	switch {
	case err != nil:
		return nil, false, err
	case f.showHelp:
		fmt.Fprint(w, f.help)
		return nil, true, nil
	case f.showVer:
		fmt.Fprintf(w, "%s (lamina) %s\n%s\n", f.name, erofsVersion, "version of lamina: "+version())
		return nil, true, nil
	}
	return operands, false, nil
}

// frontExit is the exit code of the originals: 0 or 1.
func (e *env) frontExit(name string, err error) int {
	if err == nil {
		return exitOK
	}
	if code := e.report(name, err); code > exitSignal {
		return code
	}
	return exitFailure
}

// flag sets a variable.
func flag(to *bool, value bool) func(string) error {
	return func(string) error { *to = value; return nil }
}

// text keeps the value of an option.
func text(to *string) func(string) error {
	return func(v string) error { *to = v; return nil }
}

// list collects the values of an option.
func list(to *[]string) func(string) error {
	return func(v string) error { *to = append(*to, v); return nil }
}
