package engine

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// maxConfig is how long a configuration file may be: ours has four thousand bytes, comments included.
const maxConfig = 1 << 20

// Problem is a key of a configuration file that makes no sense.
type Problem struct {
	Line int    `json:"line"` // 1 is the first; 0: none, the key is not in the file
	Key  string `json:"key"`
	Why  string `json:"why"`

	path []string // Key in its parts
}

func (p Problem) String() string {
	s := p.Why
	if p.Key != "" {
		s = p.Key + ": " + s
	}
	if p.Line > 0 {
		s = fmt.Sprintf("%d: %s", p.Line, s)
	}
	return s
}

// In is a problem behind the name of its file, as compilers write it.
func (p Problem) In(file string) string {
	if p.Line == 0 {
		return file + ": " + p.String()
	}
	return file + ":" + p.String()
}

// ConfigError is all that is wrong with a configuration file.
type ConfigError struct {
	File     string
	Problems []Problem
}

// Error is one line with every problem.
func (c *ConfigError) Error() string {
	lines := make([]string, len(c.Problems))
	for i, p := range c.Problems {
		lines[i] = p.In(c.File)
	}
	return "config: " + strings.Join(lines, "; ")
}

// Load reads a configuration file. With optional set, a file that does not exist is an empty one. What is
// wrong with its content is a *ConfigError.
func Load(path string, optional bool) (Config, error) {
	f, err := os.Open(path)
	if optional && errors.Is(err, os.ErrNotExist) {
		return Default(), nil
	}
	if err != nil {
		return Config{}, fmt.Errorf("config: %w", err)
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err != nil {
		return Config{}, fmt.Errorf("config: %w", err)
	}
	c, problems := Parse(text)
	if len(problems) > 0 {
		return Config{}, &ConfigError{File: path, Problems: problems}
	}
	return c, nil
}

// Parse reads the text of a configuration file and returns every problem, in the order of the lines. The
// Config is whole only if there is none.
func Parse(text []byte) (Config, []Problem) {
	if len(text) > maxConfig {
		return Config{}, []Problem{{Why: fmt.Sprintf("longer than %d bytes", maxConfig)}}
	}
	lines, problems := checkKeys(text)
	c := Default()
	if err := decodeFile(text, problems, &c); err != nil {
		if len(problems) == 0 {
			problems = append(problems, syntaxProblem(err))
		}
	} else {
		for _, p := range c.Validate() {
			p.Line = lines[p.Key]
			problems = append(problems, p)
		}
	}
	slices.SortStableFunc(problems, func(a, b Problem) int { return a.Line - b.Line })
	return c, problems
}

// decodeFile is what a text means without the keys that are problems, so that those left can be looked at.
func decodeFile(text []byte, problems []Problem, c *Config) error {
	if len(problems) > 0 {
		var all map[string]any
		if err := toml.Unmarshal(text, &all); err != nil {
			return err
		}
		for _, p := range problems {
			drop(all, p.path)
		}
		var err error
		if text, err = toml.Marshal(all); err != nil {
			return err
		}
	}
	return toml.Unmarshal(text, c)
}

// drop removes a key from nested tables.
func drop(m map[string]any, path []string) {
	for len(path) > 1 {
		next, ok := m[path[0]].(map[string]any)
		if !ok {
			break
		}
		m, path = next, path[1:]
	}
	if len(path) > 0 {
		delete(m, path[0])
	}
}

func syntaxProblem(err error) Problem {
	p := Problem{Why: strings.TrimPrefix(err.Error(), "toml: ")}
	var at *toml.DecodeError
	if errors.As(err, &at) {
		p.Line, _ = at.Position()
		p.Key = strings.Join(at.Key(), ".")
	}
	return p
}

// checkKeys holds every key of a text against Config and returns the lines of those that fit. The decoder of
// the library stops at the first wrong type; who repairs a file wants to know all.
func checkKeys(text []byte) (map[string]int, []Problem) {
	k := &keyCheck{text: text, lines: map[string]int{}}
	k.parser.Reset(text)
	var table []string
	for k.parser.NextExpression() {
		e := k.parser.Expression()
		switch e.Kind {
		case unstable.Table, unstable.ArrayTable:
			table = k.table(e)
		case unstable.KeyValue:
			k.value(table, e)
		}
	}
	if err := k.parser.Error(); err != nil {
		p := Problem{Why: strings.TrimPrefix(err.Error(), "toml: ")}
		var at *unstable.ParserError
		if errors.As(err, &at) {
			p.Line = k.line(at.Highlight)
		}
		k.problems = append(k.problems, p)
	}
	return k.lines, k.problems
}

// keyCheck is a walk over a text.
type keyCheck struct {
	text     []byte
	parser   unstable.Parser
	lines    map[string]int
	problems []Problem
}

// line is where a part of the text lies.
func (k *keyCheck) line(part []byte) int {
	if cap(part) > cap(k.text) {
		return 0
	}
	return 1 + bytes.Count(k.text[:min(len(k.text), cap(k.text)-cap(part))], []byte("\n"))
}

// path is the dotted key of an expression below a table, and its line.
func (k *keyCheck) path(table []string, e *unstable.Node) ([]string, int) {
	path, line := slices.Clone(table), 0
	for it := e.Key(); it.Next(); {
		n := it.Node()
		path = append(path, string(n.Data))
		if line == 0 {
			line = k.parser.Shape(n.Raw).Start.Line
		}
	}
	return path, line
}

func (k *keyCheck) add(path []string, line int, why string) {
	k.problems = append(k.problems, Problem{Line: line, Key: strings.Join(path, "."), Why: why, path: path})
}

// table enters a [table] and returns its path; nil and a problem if there is no such table.
func (k *keyCheck) table(e *unstable.Node) []string {
	path, line := k.path(nil, e)
	typ, ok := typeOf(path)
	switch {
	case !ok:
		k.add(path, line, "no such table")
	case typ.Kind() != reflect.Struct || e.Kind == unstable.ArrayTable:
		k.add(path, line, "is "+typeName(typ)+", not a table written like this")
	}
	return path
}

// value checks one `key = value`.
func (k *keyCheck) value(table []string, e *unstable.Node) {
	path, line := k.path(table, e)
	typ, ok := typeOf(path)
	if !ok {
		if parent, ok := typeOf(table); len(table) > 0 && (!ok || parent.Kind() != reflect.Struct) {
			return // the table is the problem, and is reported
		}
		k.add(path, line, unknownKey(path))
		return
	}
	if e.Value().Kind == unstable.InlineTable && typ.Kind() == reflect.Struct {
		for it := e.Value().Children(); it.Next(); {
			k.value(path, it.Node())
		}
		return
	}
	if !fits(e.Value(), typ) {
		k.add(path, line, "wants "+typeName(typ))
		return
	}
	k.lines[strings.Join(path, ".")] = line
}

// typeOf finds the field that a path names.
func typeOf(path []string) (reflect.Type, bool) {
	typ := reflect.TypeFor[Config]()
	for _, name := range path {
		if typ.Kind() != reflect.Struct {
			return nil, false
		}
		i := slices.IndexFunc(reflect.VisibleFields(typ), func(f reflect.StructField) bool { return name != "-" && f.Tag.Get("toml") == name })
		if i < 0 {
			return nil, false
		}
		typ = typ.Field(i).Type
	}
	return typ, true
}

func fits(n *unstable.Node, typ reflect.Type) bool {
	switch typ.Kind() {
	case reflect.String:
		return n.Kind == unstable.String
	case reflect.Bool:
		return n.Kind == unstable.Bool
	case reflect.Int:
		return n.Kind == unstable.Integer
	case reflect.Slice:
		if n.Kind != unstable.Array {
			return false
		}
		for it := n.Children(); it.Next(); {
			if !fits(it.Node(), typ.Elem()) {
				return false
			}
		}
		return true
	}
	return false
}

func typeName(typ reflect.Type) string {
	switch typ.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Int:
		return "a whole number"
	case reflect.Slice:
		return "an array of strings"
	}
	return "a table"
}
