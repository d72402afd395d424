//go:build linux

package containerd

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/laminafs/lamina/internal/oracle"
)

// A listing is a tree by path: one record of everything that a file system shows. Link counts are left out, which
// overlayfs does not keep, and of hard links only that the contents are the same.
type listing map[string]map[string]any

// walked is the tree below a directory, by test/e2e/treewalk.py.
func walked(t testing.TB, dir string) listing {
	t.Helper()
	return parse(t, oracle.Run(t, oracle.Need(t, "python3"), script(t, "treewalk.py"), dir))
}

// modelled is the tree that layers mean, the lowest first, by test/e2e/tarmodel.py, an interpreter of tar of its own.
func modelled(t testing.TB, tars ...string) listing {
	t.Helper()
	return parse(t, oracle.Run(t, oracle.Need(t, "python3"), append([]string{script(t, "tarmodel.py")}, tars...)...))
}

func script(t testing.TB, name string) string {
	t.Helper()
	return filepath.Join(oracle.Root(t), "test/e2e", name)
}

func parse(t testing.TB, text []byte) listing {
	t.Helper()
	l := listing{}
	for line := range bytes.Lines(text) {
		var r map[string]any
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		delete(r, "nlink")
		delete(r, "link")
		l[r["path"].(string)] = r
	}
	if len(l) == 0 {
		t.Fatal("an empty listing")
	}
	return l
}

// same wants two trees to be equal.
func same(t testing.TB, what string, got, want listing) {
	t.Helper()
	n := 0
	report := func(format string, args ...any) {
		if n++; n <= 10 {
			t.Errorf(what+": "+format, args...)
		}
	}
	for _, l := range []listing{got, want} { // overlayfs shows the root of the top layer, which few archives have
		if root := l[""]; root != nil {
			delete(root, "mtime")
		}
	}
	for path, w := range want {
		if g, ok := got[path]; !ok {
			report("lacks %q: %v", path, w)
		} else if !reflect.DeepEqual(g, w) {
			report("%q\n  is  %v\n  not %v", path, g, w)
		}
	}
	for path, g := range got {
		if _, ok := want[path]; !ok {
			report("has %q: %v", path, g)
		}
	}
	if n > 10 {
		t.Errorf("%s: %d differences of %d names", what, n, len(want))
	}
}

// seconds cuts the times of modification to seconds, which is what containerd's archives of changes have.
func (l listing) seconds() listing {
	for _, r := range l {
		if t, ok := r["mtime"].(string); ok {
			r["mtime"], _, _ = strings.Cut(t, ".")
		}
	}
	return l
}
