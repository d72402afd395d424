package layers

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// pkg is what `go list` says about a package.
type pkg struct {
	ImportPath   string
	Dir          string
	Standard     bool
	Imports      []string
	TestImports  []string
	XTestImports []string
	GoFiles      []string
	Module       *struct{ Path string }
}

// name is the path below the module.
func (p *pkg) name() string { return strings.TrimPrefix(p.ImportPath, Module+"/") }

// list runs `go list -json` for an operating system in the root of the module.
func list(t *testing.T, goos string, args ...string) []*pkg {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-e", "-json=ImportPath,Dir,Standard,Imports,TestImports,XTestImports,GoFiles,Module"}, args...)...)
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+goos)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	var all []*pkg
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		p := new(pkg)
		if err := d.Decode(p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

var ours = sync.OnceValue(func() func(*testing.T) []*pkg {
	var all []*pkg
	return func(t *testing.T) []*pkg {
		if all == nil {
			all = list(t, "linux", "./...")
		}
		return all
	}
})()

func isUnlevelled(name string) bool {
	return slices.ContainsFunc(unlevelled, func(u string) bool { return name == u || strings.HasPrefix(name, u+"/") })
}

func TestImportsGoDown(t *testing.T) {
	for _, p := range ours(t) {
		if isUnlevelled(p.name()) {
			continue
		}
		own, ok := table[p.name()]
		if !ok {
			t.Errorf("%s has no level: add it to the table and to doc/design/architecture.md", p.name())
			continue
		}
		for _, imp := range p.Imports {
			dep, inside := strings.CutPrefix(imp, Module+"/")
			if !inside {
				continue
			}
			if r, ok := table[dep]; !ok {
				t.Errorf("%s imports %s, which has no level", p.name(), dep)
			} else if r.level >= own.level {
				t.Errorf("%s (level %d) imports %s (level %d): imports go to lower levels only", p.name(), own.level, dep, r.level)
			}
		}
	}
}

// Names that say nothing about a package's subject.
var vague = []string{"util", "utils", "common", "base", "helper", "helpers", "types", "manager", "misc"}

func TestPackageNamesSaySomething(t *testing.T) {
	for _, p := range ours(t) {
		if slices.Contains(vague, path.Base(p.ImportPath)) {
			t.Errorf("package %s: a name for its subject, please", p.name())
		}
	}
}

func TestPublicPackagesNeedFewModules(t *testing.T) {
	var public []string
	for _, p := range ours(t) {
		if table[p.name()].public {
			public = append(public, "./"+p.name())
		}
	}
	for _, goos := range []string{"linux", "darwin", "windows"} {
		for _, p := range list(t, goos, append([]string{"-deps"}, public...)...) {
			if p.Standard || p.Module == nil || p.Module.Path == Module || publicModules[p.Module.Path] != "" {
				continue
			}
			t.Errorf("GOOS=%s: public packages pull in %s of module %s", goos, p.ImportPath, p.Module.Path)
		}
	}
}

var dependencyRow = regexp.MustCompile("(?m)^\\| `?([a-z0-9.]+\\.[a-z]+/[^` |]+)")

func TestEveryDependencyHasItsRow(t *testing.T) {
	doc, err := os.ReadFile("../../doc/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]bool{}
	for _, m := range dependencyRow.FindAllStringSubmatch(string(doc), -1) {
		rows[m[1]] = true
	}
	modules := map[string]string{} // package -> module
	for _, p := range list(t, "linux", "-deps", "-test", "./...") {
		if !p.Standard && p.Module != nil && p.Module.Path != Module {
			modules[p.ImportPath] = p.Module.Path
		}
	}
	for _, p := range ours(t) {
		for _, imp := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
			if m := modules[imp]; m != "" && !rows[m] {
				t.Errorf("%s imports %s: module %s has no row in doc/dependencies.md", p.name(), imp, m)
			}
		}
	}
}
