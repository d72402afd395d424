package differ

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/laminafs/lamina/tree"
)

// flat describes a tree, a line for each path; names of one inode say so.
func flat(t testing.TB, tr *tree.Tree) map[string]string {
	t.Helper()
	tr.Inodes()
	all := map[string]string{}
	first := map[*tree.Node]string{}
	err := tr.Walk(func(path string, n *tree.Node) error {
		s := fmt.Sprintf("%o %d:%d %d.%09d rdev %d %q xattrs %q", n.Mode, n.UID, n.GID, n.Mtime, n.Nsec, n.Rdev, n.Target, n.Xattrs)
		if n.IsRegular() && n.Size > 0 {
			b := make([]byte, n.Size)
			if _, err := n.Content.ReadAt(b, 0); err != nil {
				return fmt.Errorf("%q: %w", path, err)
			}
			s += fmt.Sprintf(" %d bytes %x", n.Size, sha256.Sum256(b))
		}
		if !n.IsDir() && !n.IsWhiteout() && n.Links() > 1 {
			if first[n] == "" {
				first[n] = path
			}
			s += " = " + first[n]
		}
		all[path] = s
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// equal compares what flat returned.
func equal(t testing.TB, got, want map[string]string) {
	t.Helper()
	for _, path := range slices.Sorted(maps.Keys(want)) {
		if got[path] != want[path] {
			t.Errorf("%q: got %s\nwant %s", path, got[path], want[path])
		}
	}
	for _, path := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[path]; !ok {
			t.Errorf("%q should not be there: %s", path, got[path])
		}
	}
}
