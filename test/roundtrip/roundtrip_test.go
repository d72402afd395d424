// Package roundtrip holds the writer to its promise: whatever tree goes in, with whatever options, the
// reader gives back, fsck finds nothing wrong, and a second run gives the same bytes.
package roundtrip

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/laminafs/lamina/erofs"
	"github.com/laminafs/lamina/fsck"
	"github.com/laminafs/lamina/mkfs"
	"github.com/laminafs/lamina/tree"
)

// FuzzWriter makes a tree and options from a seed and a size.
func FuzzWriter(f *testing.F) {
	for i := range uint64(40) {
		f.Add(i, uint16(10+i*i))
	}
	f.Fuzz(func(t *testing.T, seed uint64, size uint16) {
		rnd := rand.New(rand.NewPCG(seed, uint64(size)))
		o, blob := options(t, rnd)
		name := fmt.Sprintf("seed %d size %d %+v", seed, size, o)
		want := randomTree(rand.New(rand.NewPCG(seed, 7)), int(size)%3000)
		var dump bytes.Buffer
		if err := tree.Dump(&dump, want); err != nil {
			t.Fatal(err)
		}
		image, err := write(t, want, o)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var devices []io.ReaderAt
		if blob != nil {
			devices = append(devices, blob)
		}
		readsBack(t, name, image, devices, dump.String())
		isClean(t, name, image, devices)

		if blob == nil {
			again, err := write(t, randomTree(rand.New(rand.NewPCG(seed, 7)), int(size)%3000), o)
			if err != nil || !bytes.Equal(image, again) {
				t.Errorf("%s: the second image differs: %v", name, err)
			}
		}
	})
}

func write(t *testing.T, tr *tree.Tree, o mkfs.Options) ([]byte, error) {
	f, err := os.Create(filepath.Join(t.TempDir(), "image"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	w, err := mkfs.New(f, o)
	if err != nil {
		return nil, err
	}
	sum, err := w.Finish(tr)
	if err != nil {
		return nil, err
	}
	b, err := os.ReadFile(f.Name())
	if int64(len(b)) != sum.Size {
		err = errors.Join(err, fmt.Errorf("%d bytes, summary says %d", len(b), sum.Size))
	}
	return b, err
}

func readsBack(t *testing.T, name string, image []byte, devices []io.ReaderAt, want string) {
	t.Helper()
	im, err := erofs.Open(bytes.NewReader(image), devices...)
	if err != nil {
		t.Fatalf("%s: open: %v", name, err)
	}
	tr, err := im.Tree()
	if err != nil {
		t.Fatalf("%s: tree: %v", name, err)
	}
	var got bytes.Buffer
	if err := tree.Dump(&got, tr); err != nil {
		t.Fatalf("%s: dump: %v", name, err)
	}
	if got.String() != want {
		t.Errorf("%s: %s", name, firstDifference(got.String(), want))
	}
}

func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range g {
		if i >= len(w) || g[i] != w[i] {
			return fmt.Sprintf("line %d: %.300s\nwant %.300s", i, g[i], w[min(i, len(w)-1)])
		}
	}
	return "shorter"
}

func isClean(t *testing.T, name string, image []byte, devices []io.ReaderAt) {
	t.Helper()
	var o fsck.Options
	for _, d := range devices {
		fi, err := d.(*os.File).Stat()
		if err != nil {
			t.Fatal(err)
		}
		o.Devices = append(o.Devices, fsck.Device{R: d, Size: fi.Size()})
	}
	r, err := fsck.Check(bytes.NewReader(image), int64(len(image)), o)
	if err != nil {
		t.Fatalf("%s: check: %v", name, err)
	}
	for _, f := range r.Findings {
		if f.Severity >= fsck.Warning && f.Code != fsck.SuperPageSize {
			t.Errorf("%s: finding %+v", name, f)
		}
	}
}

// options draws options that do not contradict each other.
func options(t *testing.T, rnd *rand.Rand) (mkfs.Options, *os.File) {
	o := mkfs.Options{
		BlockSize:  []int{0, 512, 1024, 2048, 4096, 16384, 65536}[rnd.IntN(7)],
		Label:      []string{"", "layer"}[rnd.IntN(2)],
		Inline:     []mkfs.Inline{mkfs.InlineTails, mkfs.InlineNone}[rnd.IntN(2)],
		InlineMax:  []int{0, 1, 100, 4095, 70000}[rnd.IntN(5)],
		Dedupe:     rnd.IntN(3) == 0,
		XattrShare: []int{0, 1, 3, -1}[rnd.IntN(4)],
		Inodes:     []mkfs.InodeForm{mkfs.InodeAuto, mkfs.InodeExtended}[rnd.IntN(2)],
		NoChecksum: rnd.IntN(5) == 0,
		Large:      rnd.IntN(4) == 0,
		SizeAlign:  []int64{0, 1 << 16}[rnd.IntN(2)],
	}
	if rnd.IntN(3) == 0 {
		o.XattrPrefixes = []string{"trusted.overlay.", "user.long.", "user.long.er."}
	}
	switch rnd.IntN(5) {
	case 0:
		o.LargeAlign = 1 << 16
	case 1:
		o.ChunkSize = 1 << (16 + rnd.IntN(3))
	case 2:
		o.ChunkSize = 1 << 16
		f, err := os.Create(filepath.Join(t.TempDir(), "blob"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Close() })
		o.DataDevice = f
		return o, f
	}
	return o, nil
}

// randomTree makes a tree of about n entries with everything a file system can have.
func randomTree(rnd *rand.Rand, n int) *tree.Tree {
	t := tree.New()
	dirs := []*tree.Node{t.Root}
	var files []*tree.Node
	for range n {
		d := dirs[rnd.IntN(len(dirs))]
		if rnd.IntN(3) > 0 {
			d = dirs[0] // some directories are large
		}
		name := randomName(rnd)
		if d.Lookup(name) != nil {
			continue
		}
		if rnd.IntN(12) == 0 && len(files) > 0 {
			d.Add(name, files[rnd.IntN(len(files))])
			continue
		}
		c := randomNode(rnd)
		if c.IsDir() {
			dirs = append(dirs, c)
		} else {
			files = append(files, c)
		}
		d.Add(name, c)
	}
	return t
}

func randomName(rnd *rand.Rand) string {
	n := 1 + rnd.IntN(12)
	if rnd.IntN(20) == 0 {
		n = 1 + rnd.IntN(255)
	}
	b := make([]byte, n)
	for {
		for i := range b {
			b[i] = "abc.-_!~\xff\x01 0"[rnd.IntN(12)]
		}
		if s := string(b); s != "." && s != ".." {
			return s
		}
	}
}

func randomNode(rnd *rand.Rand) *tree.Node {
	n := &tree.Node{Mode: rnd.Uint32N(0o10000)}
	switch rnd.IntN(10) {
	case 0:
		n = tree.NewDir(rnd.Uint32N(0o10000))
	case 1:
		n.Mode |= tree.TypeSymlink
		n.Target = strings.Repeat("t", 1+rnd.IntN([]int{10, 4095}[rnd.IntN(2)]))
	case 2:
		n.Mode |= []uint32{tree.TypeChar, tree.TypeBlock}[rnd.IntN(2)]
		n.Rdev = tree.Dev(rnd.Uint32N(1<<12), rnd.Uint32N(1<<20))
	case 3:
		n.Mode |= tree.TypeFifo
	default:
		n.Mode |= tree.TypeRegular
		randomFile(rnd, n)
	}
	if rnd.IntN(2) == 0 {
		n.Mtime, n.Nsec = rnd.Int64N(1<<36)-1<<33, rnd.Uint32N(1e9)
		n.UID, n.GID = rnd.Uint32N(1<<uint(1+rnd.IntN(31))), rnd.Uint32N(1<<uint(1+rnd.IntN(31)))
	}
	for range rnd.IntN(4) * rnd.IntN(3) * rnd.IntN(2) {
		randomXattr(rnd, n)
	}
	return n
}

func randomXattr(rnd *rand.Rand, n *tree.Node) {
	name := []string{"user.a", "user.long.x", "user.long.er.y", "trusted.overlay.opaque", "security.capability",
		"system.posix_acl_access", "user." + strings.Repeat("n", 1+rnd.IntN(250))}[rnd.IntN(7)]
	value := strings.Repeat("v\x00", rnd.IntN(8)*rnd.IntN(1+rnd.IntN(300)))
	if name == "security.capability" {
		value = "\x01\x00\x00\x02" + strings.Repeat("\x00", 16)
	}
	switch {
	case name == "security.capability": // VFS_CAP_REVISION_2: any other length is a finding
		value = "\x01\x00\x00\x02" + strings.Repeat("\x00", 16)
	case strings.HasPrefix(name, "system."):
		value = "\x02\x00\x00\x00" + strings.Repeat("\x01\x00\x06\x00\xff\xff\xff\xff", rnd.IntN(5))
	}
	n.SetXattr(name, value)
}

// randomFile gives n content: of few different kinds, so that some are equal, and some sparse.
func randomFile(rnd *rand.Rand, n *tree.Node) {
	size := []int{0, 1, 100, 511, 512, 513, 2000, 4095, 4096, 4097, 8200, 65536, 70000, 140000}[rnd.IntN(14)]
	if rnd.IntN(3) == 0 {
		size = rnd.IntN(20000)
	}
	b := bytes.Repeat([]byte{byte(rnd.IntN(3))}, size)
	if rnd.IntN(2) == 0 {
		for i := range b {
			b[i] = byte(i * (1 + i>>9))
		}
	}
	n.Size, n.Content = int64(size), tree.Bytes(b)
	if rnd.IntN(6) == 0 && size > 10 {
		n.Content = sparse(rnd, b)
	}
}

// holes is a Content with holes.
type holes struct {
	tree.Bytes
	data []tree.Extent
}

func (h holes) Data() []tree.Extent { return h.data }

func sparse(rnd *rand.Rand, b []byte) tree.Content {
	data := []tree.Extent{}
	end := 0
	for range rnd.IntN(5) {
		gap, length := rnd.IntN(len(b)), 1+rnd.IntN(len(b))
		if end+gap+length > len(b) {
			break
		}
		clear(b[end : end+gap])
		data = append(data, tree.Extent{Off: int64(end + gap), Len: int64(length)})
		end += gap + length
		if gap == 0 && len(data) > 1 {
			data = data[:len(data)-1]
			data[len(data)-1].Len += int64(length)
		}
	}
	clear(b[end:])
	return holes{tree.Bytes(b), data}
}
