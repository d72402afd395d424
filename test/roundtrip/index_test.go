package roundtrip

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"testing"

	"github.com/laminafs/lamina/erofs"
	"github.com/laminafs/lamina/mkfs"
	"github.com/laminafs/lamina/tartree"
	"github.com/laminafs/lamina/tree"
)

// FuzzIndex: an index shows what the layer shows, with the tar as a device and with the tar behind it.
func FuzzIndex(f *testing.F) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, n := range []int{0, 1, 512, 513, 5000} {
		if err := w.WriteHeader(&tar.Header{Name: fmt.Sprintf("d/%d", n), Size: int64(n), Mode: 0o644}); err != nil {
			f.Fatal(err)
		}
		if _, err := w.Write(bytes.Repeat([]byte{byte(n)}, n)); err != nil {
			f.Fatal(err)
		}
	}
	f.Add(b.Bytes())
	f.Add(sparseTar("0,512,1024,512,3072,1024", 4096, 2048))
	f.Add(sparseTar("100,412,1024,512", 4096, 924))
	f.Add(sparseTar("0,512,1024,288230376151711744", 1<<58+1024, 512))
	f.Fuzz(func(t *testing.T, archive []byte) {
		index := &memory{}
		x, err := mkfs.NewIndex(index, mkfs.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = x.Close() }()
		tr, err := tartree.Read(bytes.NewReader(archive), x, tartree.Options{MaxNodes: 5000})
		if err != nil {
			return
		}
		if _, err := x.Finish(tr, mkfs.Tar{Size: int64(len(archive))}); err != nil {
			return
		}
		image := &memory{}
		l, err := mkfs.New(image, mkfs.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		want, err := tartree.Read(bytes.NewReader(archive), l, tartree.Options{MaxNodes: 5000})
		if err != nil || total(want) > 16<<20 {
			return
		}
		if _, err := l.Finish(want); err != nil {
			return
		}
		padded := append(bytes.Clone(archive), make([]byte, 512)...)
		a := shown(t, bytes.NewReader(image.b))
		if got := shown(t, bytes.NewReader(index.b), bytes.NewReader(padded)); got != a {
			t.Errorf("with a device: %s", firstDifference(got, a))
		}
		if got := shown(t, bytes.NewReader(append(index.b, padded...))); got != a {
			t.Errorf("flattened: %s", firstDifference(got, a))
		}
	})
}

// sparseTar has one file of GNU sparse version 0.1, with a map of offsets and lengths.
func sparseTar(sparseMap string, size, payload int64) []byte {
	var b bytes.Buffer
	rec := func(k, v string) string {
		n := len(k) + len(v) + 3
		for n != len(fmt.Sprintf("%d %s=%s\n", n, k, v)) {
			n = len(fmt.Sprintf("%d %s=%s\n", n, k, v))
		}
		return fmt.Sprintf("%d %s=%s\n", n, k, v)
	}
	pax := rec("GNU.sparse.size", fmt.Sprint(size)) + rec("GNU.sparse.numblocks", fmt.Sprint((1+bytes.Count([]byte(sparseMap), []byte(",")))/2)) + rec("GNU.sparse.map", sparseMap)
	header(&b, 'x', int64(len(pax)))
	b.WriteString(pax)
	b.Write(make([]byte, -len(pax)&511))
	header(&b, '0', payload)
	b.Write(bytes.Repeat([]byte{7}, int(payload)))
	b.Write(make([]byte, -int(payload)&511+1024))
	return b.Bytes()
}

func header(b *bytes.Buffer, typ byte, size int64) {
	h := make([]byte, 512)
	copy(h, "sparse")
	copy(h[100:], "0000644\x000000000\x000000000\x00")
	copy(h[124:], fmt.Sprintf("%011o\x0000000000000\x00        ", size))
	h[156] = typ
	copy(h[257:], "ustar\x0000")
	sum := 0
	for _, c := range h {
		sum += int(c)
	}
	copy(h[148:], fmt.Sprintf("%06o\x00 ", sum))
	b.Write(h)
}

func total(t *tree.Tree) (n int64) {
	for _, i := range t.Inodes() {
		n = max(n, n+i.Size, i.Size)
	}
	return n
}

func shown(t *testing.T, image io.ReaderAt, devices ...io.ReaderAt) string {
	t.Helper()
	im, err := erofs.Open(image, devices...)
	if err != nil {
		t.Fatal(err)
	}
	tr, err := im.Tree()
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := tree.Dump(&b, tr); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// memory is a mkfs.File.
type memory struct{ b []byte }

func (m *memory) ReadAt(p []byte, off int64) (int, error) { return bytes.NewReader(m.b).ReadAt(p, off) }

func (m *memory) WriteAt(p []byte, off int64) (int, error) {
	if end := off + int64(len(p)); end > int64(len(m.b)) {
		m.b = append(m.b, make([]byte, end-int64(len(m.b)))...)
	}
	return copy(m.b[off:], p), nil
}

func (m *memory) Truncate(n int64) error {
	m.b = append(m.b, make([]byte, max(0, n-int64(len(m.b))))...)[:n]
	return nil
}
