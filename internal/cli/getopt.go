package cli

import (
	"fmt"
	"strings"
)

// argKind says whether an option takes a value.
type argKind uint8

const (
	noArg   argKind = iota
	needArg         // -b4096, -b 4096, --opt=value, --opt value
	mayArg          // --opt, --opt=value
)

// option is an option of a program of erofs-utils. It has a long name, a letter, or both.
type option struct {
	long  string
	short byte
	arg   argKind
	// set takes the value; "" if there is none.
	set func(value string) error
}

// String is the option as people write it.
func (o *option) String() string {
	if o.long == "" {
		return "-" + string(o.short)
	}
	return "--" + o.long
}

// getopt reads arguments as getopt_long(3) does: options and operands in any order, letters bundled
// (-dV) with a value attached or following, long names abbreviated where that is unambiguous, "--"
// ends the options. It returns the operands.
func getopt(args []string, opts []option) (operands []string, err error) {
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		switch {
		case arg == "--":
			return append(operands, args...), nil
		case strings.HasPrefix(arg, "--"):
			args, err = longOption(arg[2:], args, opts)
		case len(arg) > 1 && arg[0] == '-':
			args, err = shortOptions(arg[1:], args, opts)
		default:
			operands = append(operands, arg)
		}
		if err != nil {
			return nil, err
		}
	}
	return operands, nil
}

func longOption(arg string, rest []string, opts []option) ([]string, error) {
	name, value, hasValue := strings.Cut(arg, "=")
	o, err := findLong(name, opts)
	if err != nil {
		return nil, err
	}
	switch {
	case hasValue && o.arg == noArg:
		return nil, usagef("option --%s: takes no value", o.long)
	case !hasValue && o.arg == needArg:
		if len(rest) == 0 {
			return nil, usagef("option --%s: needs a value", o.long)
		}
		value, rest = rest[0], rest[1:]
	}
	return rest, o.apply(value)
}

// findLong finds an option by its name or by an abbreviation that only one has.
func findLong(name string, opts []option) (*option, error) {
	var found []*option
	for i := range opts {
		o := &opts[i]
		if o.long == "" || name == "" || !strings.HasPrefix(o.long, name) {
			continue
		}
		if o.long == name {
			return o, nil
		}
		found = append(found, o)
	}
	switch len(found) {
	case 0:
		return nil, usagef("option --%s: unknown, not supported by lamina", name)
	case 1:
		return found[0], nil
	}
	return nil, usagef("option --%s: ambiguous: %s or %s", name, found[0], found[1])
}

func shortOptions(letters string, rest []string, opts []option) ([]string, error) {
	for letters != "" {
		c := letters[0]
		letters = letters[1:]
		o := findShort(c, opts)
		if o == nil {
			return nil, usagef("option -%c: unknown, not supported by lamina", c)
		}
		if o.arg == noArg {
			if err := o.apply(""); err != nil {
				return nil, err
			}
			continue
		}
		if letters == "" {
			if len(rest) == 0 {
				return nil, usagef("option -%c: needs a value", c)
			}
			letters, rest = rest[0], rest[1:]
		}
		return rest, o.apply(letters)
	}
	return rest, nil
}

func findShort(c byte, opts []option) *option {
	for i := range opts {
		if opts[i].short == c {
			return &opts[i]
		}
	}
	return nil
}

func (o *option) apply(value string) error {
	if err := o.set(value); err != nil {
		if value != "" {
			return fmt.Errorf("option %s: %s: %w", o, value, err)
		}
		return fmt.Errorf("option %s: %w", o, err)
	}
	return nil
}

// errNotOurs is why an option of erofs-utils is refused.
var errNotOurs = &usageError{fmt.Errorf("not supported by lamina")}

// refuse are options of the original that lamina does not have.
func refuse(arg argKind, names ...string) []option {
	var out []option
	for _, n := range names {
		o := option{arg: arg, set: func(string) error { return errNotOurs }}
		if len(n) == 1 {
			o.short = n[0]
		} else {
			o.long = n
		}
		out = append(out, o)
	}
	return out
}

// ignored is the setter of options that change nothing here.
func ignored(string) error { return nil }
