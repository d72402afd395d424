package erofs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"runtime/metrics"
	"strings"
	"testing"

	"github.com/laminafs/lamina/internal/disk"
	"github.com/laminafs/lamina/tree"
)

// memoryBound is what reading everything in a small hostile image may allocate, garbage included.
const memoryBound = 64 << 20

// stepBound is how many names a walk over a small hostile image may meet.
const stepBound = 1 << 20

// exercise calls everything there is on an image. Errors are expected; they are of the known kinds.
func exercise(t testing.TB, r io.ReaderAt, devices ...io.ReaderAt) {
	t.Helper()
	im, err := Open(r, devices...)
	if err != nil {
		expected(t, "Open", err)
		return
	}
	steps := 0
	err = fs.WalkDir(im, ".", func(path string, d fs.DirEntry, err error) error {
		if steps++; steps > stepBound {
			return fmt.Errorf("the walk does not end")
		}
		if err != nil {
			expected(t, "walk", err)
			return nil
		}
		st, err := d.Info()
		if err != nil {
			expected(t, "Info", err)
			return nil
		}
		expected(t, "inode", inspect(st.Sys().(*Inode)))
		if st.Mode()&fs.ModeSymlink != 0 {
			_, err = im.Stat(path)
			expected(t, "Stat", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	tr, err := im.Tree()
	expected(t, "Tree", err)
	if err == nil {
		tr.Inodes()
	}
}

// inspect reads everything about an inode, of its data the first and last bytes.
func inspect(i *Inode) error {
	_, err := i.Xattrs()
	errs := []error{err}
	if i.IsSymlink() {
		_, err := i.ReadLink()
		errs = append(errs, err)
	}
	if i.IsRegular() {
		var b [3000]byte
		for _, off := range []int64{0, max(0, i.Size-int64(len(b)))} {
			if _, err := i.Content().ReadAt(b[:], off); err != io.EOF {
				errs = append(errs, err)
			}
		}
		i.Content().Data()
		_, err = i.Extents()
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func expected(t testing.TB, what string, err error) {
	t.Helper()
	for _, ok := range []error{nil, ErrCorrupt, errors.ErrUnsupported, errNotDir, errTooDeep, errLoop, fs.ErrNotExist} {
		if errors.Is(err, ok) {
			return
		}
	}
	if !strings.Contains(err.Error(), "not given") { // an extra device
		t.Errorf("%s: %v", what, err)
	}
}

// allocated returns how many bytes were allocated since the program began.
func allocated() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// bounded fails the test if fn allocates more than memoryBound.
func bounded(t testing.TB, what string, fn func()) {
	t.Helper()
	before := allocated()
	fn()
	if n := allocated() - before; n > memoryBound {
		t.Errorf("%s: %d bytes allocated", what, n)
	}
}

func TestEveryTruncationIsReadOrAnError(t *testing.T) {
	for _, name := range goldenImages {
		b := golden(t, name)
		step := 1
		if testing.Short() {
			step = 13
		}
		for n := 0; n < len(b); n += step {
			bounded(t, fmt.Sprintf("%s, %d bytes", name, n), func() { exercise(t, bytes.NewReader(b[:n])) })
		}
	}
}

func TestEveryBitFlipIsReadOrAnError(t *testing.T) {
	for _, name := range goldenImages {
		step := 1
		switch {
		case testing.Short():
			step = 101
		case name == "wide" || name == "packed":
			step = 3 // they differ in a few fields only
		}
		b := golden(t, name)
		data := dataOf(t, b)
		for bit := 8 * disk.SuperOffset; bit < 8*len(b); bit += step {
			if data[bit/8] {
				continue
			}
			b[bit/8] ^= 1 << (bit % 8)
			bounded(t, fmt.Sprintf("%s, bit %d of byte %d", name, bit%8, bit/8), func() { exercise(t, bytes.NewReader(b)) })
			b[bit/8] ^= 1 << (bit % 8)
		}
	}
}

// Decoders meet every kind of damage: in headers, indexes, pclusters, and what lies in the metabox.
func TestDamagedCompressedImagesAreReadOrAnError(t *testing.T) {
	flips, cuts := 1000, 40
	if testing.Short() {
		flips, cuts = 100, 5
	}
	for _, name := range compressedImages {
		b := golden(t, name)
		rng := rand.New(rand.NewPCG(1, uint64(len(b))))
		for range flips {
			at, bit := disk.SuperOffset+rng.IntN(len(b)-disk.SuperOffset), byte(1)<<rng.IntN(8)
			b[at] ^= bit
			bounded(t, fmt.Sprintf("%s, bit %#x of byte %d", name, bit, at), func() { exercise(t, bytes.NewReader(b)) })
			b[at] ^= bit
		}
		for range cuts {
			n := rng.IntN(len(b))
			bounded(t, fmt.Sprintf("%s, %d bytes", name, n), func() { exercise(t, bytes.NewReader(b[:n])) })
		}
	}
}

// dataOf tells which bytes of an image are in blocks of files: flipping them changes what is read, and
// nothing else.
func dataOf(t *testing.T, b []byte) []bool {
	t.Helper()
	data := make([]bool, len(b))
	im := open(t, bytes.NewReader(b))
	err := fs.WalkDir(im, ".", func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		st, err := d.Info()
		if err != nil {
			return err
		}
		list, err := st.Sys().(*Inode).Extents()
		for _, e := range list {
			for k := e.Physical; k < e.Physical+e.Length && !e.Hole && !e.Encoded && !e.Packed; k++ {
				data[k] = true
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestChecksumCoversTheFirstBlock(t *testing.T) {
	b := golden(t, "flat")
	sb := open(t, bytes.NewReader(b)).Superblock()
	off, n := disk.ChecksumRange(sb.BlockBits)
	for bit := 8 * int(off); bit < 8*int(off+n); bit++ {
		if bit == 8*int(off+8) { // the feature bit that says there is a checksum
			continue
		}
		b[bit/8] ^= 1 << (bit % 8)
		if _, err := Open(bytes.NewReader(b)); err == nil {
			t.Errorf("bit %d of byte %d flipped: opened", bit%8, bit/8)
		}
		b[bit/8] ^= 1 << (bit % 8)
	}
}

// corrupt opens an image and fails unless Tree returns a FormatError that mentions what.
func corrupt(t *testing.T, image []byte, what string) *Image {
	t.Helper()
	var im *Image
	bounded(t, what, func() {
		im = open(t, bytes.NewReader(image))
		_, err := im.Tree()
		if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), what) {
			t.Errorf("Tree: %v, want a FormatError with %q", err, what)
		}
		exercise(t, bytes.NewReader(image))
	})
	return im
}

func TestDirectoryCycleEnds(t *testing.T) {
	m := newMaker(t, 9)
	a, b := m.reserve(), m.reserve()
	m.become(a, DirEntry{".", a, 2}, DirEntry{"..", b, 2}, DirEntry{"b", b, 2})
	m.become(b, DirEntry{".", b, 2}, DirEntry{"..", a, 2}, DirEntry{"a", a, 2})
	im := corrupt(t, m.with(DirEntry{"a", a, 2}), "another name")
	if _, err := im.Lookup("a/b/a"); !errors.Is(err, ErrCorrupt) {
		t.Errorf("Lookup: %v", err)
	}
	if i, err := im.Lookup("a/b"); err != nil || !i.IsDir() {
		t.Errorf("Lookup of what is in order: %v", err)
	}
}

func TestRootInsideItselfEnds(t *testing.T) {
	m := newMaker(t, 9)
	root := m.reserve()
	m.become(root, DirEntry{".", root, 2}, DirEntry{"..", root, 2}, DirEntry{"again", root, 2})
	corrupt(t, m.image(root), "another name")
}

// Each directory has two names for the next: 2^60 paths in 60 blocks.
func TestDirectoriesThatDoubleEnd(t *testing.T) {
	m := newMaker(t, 9)
	next := m.dir(DirEntry{".", 0, 2}, DirEntry{"..", 0, 2})
	for range 60 {
		next = m.dir(DirEntry{".", 0, 2}, DirEntry{"..", 0, 2}, DirEntry{"x", next, 2}, DirEntry{"y", next, 2})
	}
	corrupt(t, m.with(DirEntry{"d", next, 2}), "another name")
}

// A thousand directories share one block of entries: 100 KiB that would be 250,000 names.
func TestDirectoriesThatShareTheirDataEnd(t *testing.T) {
	m := newMaker(t, 12)
	file := m.file("x")
	var names []DirEntry
	for k := range 250 {
		names = append(names, DirEntry{fmt.Sprintf("%03d", k), file, 1})
	}
	data := dirents(names...)
	i := disk.InodeExtended{Mode: 0o40755, Nlink: 2, Size: uint64(len(data)), U: m.blocks(data)}
	var top []byte
	for d := 0; d < 1000; {
		names = names[:0]
		for range 200 {
			names = append(names, DirEntry{fmt.Sprintf("%05d", d), m.inode(i, nil), 2})
			d++
		}
		data := dirents(names...)
		top = append(append(top, data...), make([]byte, 4096-len(data))...)
	}
	corrupt(t, m.image(m.rawDir(top)), "overlaps")
}

// The xattr areas of thousands of inodes, up to 256 KiB each, lie over each other.
func TestXattrsThatOverlapEnd(t *testing.T) {
	m := newMaker(t, 12)
	var names []DirEntry
	entry := xattr(1, "a", strings.Repeat("v", 48-6))
	for k := range 200 {
		// The rest of the inode and the next 64 inodes are one attribute, and so on.
		nid := m.inode(disk.InodeExtended{Mode: 0o100644, Nlink: 1, XattrICount: 1<<16 - 1}, bytes.Repeat(entry, 2)[:12])
		names = append(names, DirEntry{fmt.Sprintf("%03d", k), nid, 1})
	}
	m.b = append(m.b, bytes.Repeat(xattr(1, "", strings.Repeat("v", 60000)), 6)...)
	corrupt(t, m.with(names...), "")
}

func TestDeepDirectoriesAreRefused(t *testing.T) {
	m := newMaker(t, 9)
	next := m.dir(DirEntry{".", 0, 2}, DirEntry{"..", 0, 2})
	for range tree.MaxDepth + 10 {
		next = m.dir(DirEntry{".", 0, 2}, DirEntry{"..", 0, 2}, DirEntry{"d", next, 2})
	}
	b := m.with(DirEntry{"d", next, 2})
	im := open(t, bytes.NewReader(b))
	if _, err := im.Tree(); !errors.Is(err, errTooDeep) {
		t.Errorf("Tree: %v", err)
	}
	if _, err := im.Lookup(strings.Repeat("d/", tree.MaxDepth+5)); !errors.Is(err, errTooDeep) {
		t.Errorf("Lookup: %v", err)
	}
	if _, err := im.Lookup(strings.Repeat("d/", tree.MaxDepth-1)); err != nil {
		t.Errorf("Lookup of what is not too deep: %v", err)
	}
	if !testing.Short() { // every path is walked from the root
		exercise(t, bytes.NewReader(b))
	}
}

func TestBrokenDirectoriesAreErrors(t *testing.T) {
	long := strings.Repeat("n", 256)
	patch := func(at int, b ...byte) []byte {
		d := dirents(DirEntry{"a", 70, 1}, DirEntry{"b", 70, 1}, DirEntry{"c", 70, 1})
		copy(d[at:], b)
		return d
	}
	for what, data := range map[string][]byte{
		"before it":               dirents(DirEntry{"b", 70, 1}, DirEntry{"a", 70, 1}),
		"come after the name":     dirents(DirEntry{"a", 70, 1}, DirEntry{"a", 70, 1}),
		"slash":                   dirents(DirEntry{"a", 70, 1}, DirEntry{"b/c", 70, 1}),
		"a NUL":                   dirents(DirEntry{"a\x00", 70, 1}, DirEntry{"b", 70, 1}),
		"not from 1 to 255":       dirents(DirEntry{"a", 70, 1}, DirEntry{long, 70, 1}),
		"the name would end":      dirents(DirEntry{"", 70, 1}, DirEntry{"b", 70, 1}),
		"256: length":             dirents(DirEntry{long, 70, 1}, DirEntry{"z", 70, 1}),
		"nameoff: 0":              patch(8, 0, 0),
		"nameoff: 13":             patch(8, 13, 0),
		"nameoff: 65535":          patch(8, 255, 255),
		"end at 4":                patch(20, 4, 0),
		"end at 300":              patch(32, 44, 1),
		"shorter than an entry":   {1, 2, 3},
		"0: length":               append(dirents(DirEntry{"a", 70, 1}, DirEntry{"", 70, 1}), 0),
		"is a hole":               nil,
		"beyond the end":          nil,
		"top bit":                 nil,
		"crosses a block":         nil,
		"a metabox that the":      dirents(DirEntry{"a", 1<<63 + 5, 1}),
		"exceeds 63 bits of byte": dirents(DirEntry{"a", 1 << 60, 1}),
	} {
		m := newMaker(t, 12)
		m.file("a file, so that NIDs lead somewhere")
		i := disk.InodeExtended{Mode: 0o40755, Nlink: 2, Size: 4096, U: 1 << 20}
		var nid uint64
		switch what {
		case "is a hole":
			i.U, i.Nb = 1<<32-1, 1<<16-1
			nid = m.inode(i, nil)
		case "beyond the end":
			nid = m.inode(i, nil)
		case "top bit":
			i.Size = 1 << 63
			nid = m.inode(i, nil)
		case "crosses a block":
			i.Format = disk.MakeFormat(true, disk.FlatInline)
			i.Size = 4095
			nid = m.inode(i, nil)
		default:
			nid = m.rawDir(data)
		}
		t.Run(what, func(t *testing.T) { corrupt(t, m.with(DirEntry{"d", nid, 2}), what) })
	}
}

func TestBrokenLinksAreErrors(t *testing.T) {
	m := newMaker(t, 12)
	link := func(size uint64, target string) uint64 {
		return m.inode(disk.InodeExtended{Format: disk.MakeFormat(true, disk.FlatInline), Mode: 0o120777, Nlink: 1, Size: size}, []byte(target))
	}
	long := m.inode(disk.InodeExtended{Mode: 0o120777, Size: 1 << 50, U: 0}, nil)
	nul, empty, loop := link(3, "a\x00b"), link(0, ""), link(4, "loop")
	im := open(t, bytes.NewReader(m.with(DirEntry{"empty", empty, 7}, DirEntry{"long", long, 7}, DirEntry{"loop", loop, 7}, DirEntry{"nul", nul, 7})))
	for name, want := range map[string]error{"long": ErrCorrupt, "nul": ErrCorrupt, "empty": nil, "loop": nil} {
		if _, err := im.ReadLink(name); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
	}
	if _, err := im.Open("loop"); !errors.Is(err, errLoop) {
		t.Errorf("loop: %v", err)
	}
	if _, err := im.Stat("empty"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("empty: %v", err)
	}
}

func TestHugeSparseFilesCostNothing(t *testing.T) {
	m := newMaker(t, 12)
	hole := m.inode(disk.InodeExtended{Mode: 0o100644, Nlink: 1, Size: 1<<63 - 1, U: 1<<32 - 1, Nb: 1<<16 - 1}, nil)
	chunks := m.inode(disk.InodeExtended{Format: disk.MakeFormat(true, disk.ChunkBased), Mode: 0o100644, Nlink: 1, Size: 1<<47 + 10, U: 31},
		bytes.Repeat([]byte{255}, 17*4))
	plain := m.inode(disk.InodeExtended{Mode: 0o100644, Nlink: 1, Size: 1<<63 - 1, U: 0}, nil)
	b := m.with(DirEntry{"chunks", chunks, 1}, DirEntry{"hole", hole, 1}, DirEntry{"plain", plain, 1})
	bounded(t, "sparse", func() {
		im := open(t, bytes.NewReader(b))
		for _, name := range []string{"hole", "chunks"} {
			i, err := im.Lookup(name)
			if err != nil {
				t.Fatal(err)
			}
			p := []byte{1, 1, 1}
			if n, err := i.Content().ReadAt(p, i.Size-2); n != 2 || err != io.EOF || p[0] != 0 || p[1] != 0 || p[2] != 1 {
				t.Errorf("%s: %d, %v, %v", name, n, err, p)
			}
			if list, err := i.Extents(); err != nil || len(list) != 1 || !list[0].Hole || list[0].Length != i.Size {
				t.Errorf("%s: %v, %v", name, list, err)
			}
			if data := i.Content().Data(); data == nil || len(data) != 0 {
				t.Errorf("%s: data %v, want an empty list", name, data)
			}
			if _, err := im.ReadFile(name); err == nil {
				t.Errorf("%s: ReadFile returned it", name)
			}
		}
		i, err := im.Lookup("plain")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := i.Content().ReadAt(make([]byte, 10), 1<<40); !errors.Is(err, ErrCorrupt) {
			t.Errorf("read beyond the image: %v", err)
		}
		exercise(t, bytes.NewReader(b))
	})
}

// failing is a device with a bad place.
type failing struct {
	io.ReaderAt
	from, to int64
}

var errDevice = errors.New("device says no")

func (f failing) ReadAt(p []byte, off int64) (int, error) {
	if off < f.to && off+int64(len(p)) > f.from {
		return 0, errDevice
	}
	return f.ReaderAt.ReadAt(p, off)
}

func TestErrorsOfTheDeviceArePassedOn(t *testing.T) {
	b := golden(t, "chunks")
	for at := int64(0); at < int64(len(b)); at += 64 {
		im, err := Open(failing{bytes.NewReader(b), at, at + 64})
		if err == nil {
			_, err = im.Tree()
		}
		if err != nil && (!errors.Is(err, errDevice) || errors.Is(err, ErrCorrupt)) {
			t.Errorf("device fails at %d: %v", at, err)
		}
	}
	if _, err := Open(failing{bytes.NewReader(b), 1030, 1031}); !errors.Is(err, errDevice) {
		t.Errorf("superblock cannot be read: %v", err)
	}
}
