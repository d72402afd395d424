package e2e

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/laminafs/lamina/erofs"
	"github.com/laminafs/lamina/tree"
)

// read returns the listing of an image as our reader sees it.
func read(t testing.TB, image string, devices ...string) listing {
	t.Helper()
	var open []io.ReaderAt
	for _, name := range append([]string{image}, devices...) {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Close() })
		open = append(open, f)
	}
	im, err := erofs.Open(open[0], open[1:]...)
	if err != nil {
		t.Fatal(err)
	}
	tr, err := im.Tree()
	if err != nil {
		t.Fatal(err)
	}
	return listed(t, tr)
}

// listed returns the listing of a tree.
func listed(t testing.TB, tr *tree.Tree) listing {
	t.Helper()
	tr.Inodes() // counts the links
	first := map[*tree.Node]string{}
	records := map[string]map[string]any{}
	err := tr.Walk(func(path string, n *tree.Node) error {
		if p, ok := first[n]; !ok || path < p {
			first[n] = path
		}
		records[path] = record(t, path, n)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return encode(t, tr, records, first)
}

func encode(t testing.TB, tr *tree.Tree, records map[string]map[string]any, first map[*tree.Node]string) (out listing) {
	t.Helper()
	var paths []string
	err := tr.Walk(func(path string, n *tree.Node) error {
		if n.Links() > 1 && !n.IsDir() {
			records[path]["link"] = latin1(first[n])
		}
		paths = append(paths, path)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(paths)
	for _, p := range paths {
		b, err := json.Marshal(records[p])
		if err != nil {
			t.Fatal(err)
		}
		out = append(append(out, b...), '\n')
	}
	return out
}

var kinds = map[uint32]string{tree.TypeRegular: "file", tree.TypeDir: "dir", tree.TypeSymlink: "symlink",
	tree.TypeChar: "char", tree.TypeBlock: "block", tree.TypeFifo: "fifo", tree.TypeSocket: "socket"}

func record(t testing.TB, path string, n *tree.Node) map[string]any {
	t.Helper()
	r := map[string]any{
		"path": latin1(path), "type": kinds[n.Type()], "mode": fmt.Sprintf("%04o", n.Mode&tree.PermMask),
		"uid": n.UID, "gid": n.GID, "mtime": fmt.Sprintf("%d.%09d", n.Mtime, n.Nsec), "nlink": n.Links(), "link": "",
	}
	xattrs := map[string]string{}
	for _, x := range n.Xattrs {
		if strings.HasPrefix(x.Name, "user.") && !n.IsRegular() && !n.IsDir() {
			continue // the kernel hides those
		}
		xattrs[latin1(x.Name)] = hex.EncodeToString([]byte(x.Value))
	}
	r["xattrs"] = xattrs
	switch n.Type() {
	case tree.TypeRegular:
		r["size"], r["data"] = n.Size, digest(t, n)
	case tree.TypeSymlink:
		r["target"] = latin1(n.Target)
	case tree.TypeChar, tree.TypeBlock:
		major, minor := tree.DevMajorMinor(n.Rdev)
		r["rdev"] = fmt.Sprintf("%d:%d", major, minor)
	}
	return r
}

// digest is digest of listing.py.
func digest(t testing.TB, n *tree.Node) string {
	t.Helper()
	const window = 1 << 16
	h := sha256.New()
	ranges := []tree.Extent{{Off: 0, Len: n.Size}}
	if n.Content != nil && n.Content.Data() != nil {
		ranges = n.Content.Data()
	}
	var done int64
	buf := make([]byte, min(window, n.Size))
	for _, x := range ranges {
		for at := max(x.Off/window*window, done); at < min(x.Off+x.Len, n.Size); at += window {
			b := buf[:min(window, n.Size-at)]
			if _, err := n.Content.ReadAt(b, at); err != nil && !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
			done = at + window
			if slices.ContainsFunc(b, func(c byte) bool { return c != 0 }) {
				h.Write(binary.LittleEndian.AppendUint64(nil, uint64(at/window)))
				h.Write(b)
			}
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// latin1 spells bytes as listing.py does.
func latin1(s string) string {
	r := make([]rune, len(s))
	for i := range len(s) {
		r[i] = rune(s[i])
	}
	return string(r)
}
