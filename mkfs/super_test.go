package mkfs

import (
	"fmt"
	"testing"

	"github.com/laminafs/lamina/tree"
)

// The UUID depends on all metadata, wherever it is: on names in packed directories, on inodes before the data.
func TestUUIDDependsOnAllMetadata(t *testing.T) {
	for _, c := range []*Compression{
		nil, {Directories: true}, {Directories: true, Tails: TailFragments}, {Directories: true, Metabox: &Metabox{}},
	} {
		uuid := func(name string) [16]byte {
			tr := tree.New()
			d := tree.NewDir(0o755)
			tr.Root.Add("d", d)
			for k := range 200 {
				d.Add(fmt.Sprintf("%s%d", name, k), &tree.Node{Mode: tree.TypeRegular | 0o644})
			}
			w, err := New(&memFile{}, Options{Compression: c})
			if err != nil {
				t.Fatal(err)
			}
			s, err := w.Finish(tr)
			if err != nil {
				t.Fatal(err)
			}
			return s.UUID
		}
		one, two := uuid("abcdefgh_one"), uuid("abcdefgh_two")
		if one == two {
			t.Errorf("%+v: names differ, but not the UUID %x", c, one)
		}
		if again := uuid("abcdefgh_one"); again != one {
			t.Errorf("%+v: UUID %x, then %x of the same tree", c, one, again)
		}
	}
}
