package mkfs

import (
	"strings"
	"testing"

	"github.com/laminafs/lamina/tree"
)

// The build time is told from the time that inodes count from, and the error names that.
func TestBuildTimeTooLateNamesWhatItCountsFrom(t *testing.T) {
	for _, c := range []struct {
		box  *Metabox
		want string
	}{
		{nil, "behind the most frequent time, 1000"},
		{&Metabox{}, "behind the earliest time that is stored, 500"},
	} {
		tr := tree.New()
		tr.Root.Mtime = 1000
		for name, at := range map[string]int64{"a": 1000, "b": 1000, "early": 500} {
			tr.Root.Add(name, &tree.Node{Mode: tree.TypeRegular | 0o644, Mtime: at})
		}
		w, err := New(&memFile{}, Options{BuildTime: 1 << 33, Compression: &Compression{Metabox: c.box}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Finish(tr); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("metabox %v: %v, want %q", c.box != nil, err, c.want)
		}
	}
}
