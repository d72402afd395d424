package tartree

import (
	"archive/tar"
	"bytes"
	stdgzip "compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/laminafs/lamina/tree"
)

// seeds adds archives of every kind, and the cases of a corpus if there is one.
func seeds(f *testing.F) {
	f.Add([]byte(everything()))
	f.Add([]byte(file("a", "x") + end))
	f.Add([]byte(sparse00("s", 100, "0123456789", 10, 5, 50, 5) + sparse01("t", 100, "01234", "10,5", 1) + end))
	f.Add([]byte(dir("d") + sym("l", "d") + file("l/f", "") + link("h", "l/f") + file(".wh.d", "") + file("d/f", "") + end))
	f.Add([]byte(global("uid", "1") + pax("LIBARCHIVE.xattr.user.a%41", "dg") + hdr("d", 'D', gnu, size(3)) + pad("Yf\x00") + hdr("v", 'V') + file("a", "", v7)))
	f.Add([]byte(file("a", "", big(108, 8, 1<<31), big(136, 12, -5)) + file("b", "", at(508, "tar\x00"), prefix("p")) + file("c", "", gnu, prefix("q"))))
	if dir := os.Getenv("LAMINA_CORPUS"); dir != "" {
		paths, _ := filepath.Glob(filepath.Join(dir, "cases", "*.tar"))
		for _, p := range paths {
			if b, err := os.ReadFile(p); err == nil && len(b) < 32<<10 {
				f.Add(b)
			}
		}
	}
}

// fuzzSpool keeps small files and counts large ones.
type fuzzSpool struct{ left int64 }

func (s *fuzzSpool) Put(f tree.File, r io.Reader) (tree.Content, error) {
	n := f.DataLen()
	if s.left -= n; s.left < 0 {
		copied, err := io.Copy(io.Discard, r)
		if err == nil && copied != n {
			err = io.ErrNoProgress
		}
		return tree.Bytes(""), err
	}
	return spool{int(n % 3)}.Put(f, r)
}

// Read neither panics nor makes a tree that breaks the rules of tree; Write of what it read is read back
// as the same; what archive/tar and containerd read differently is a finding.
func FuzzRead(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, archive []byte) {
		fix := fixChecksums(archive)
		window := 1 + len(archive)%1500
		o := Options{Concatenated: len(archive)%7 == 0, MaxNodes: 1 << 16, Warn: func(Warning) {}}
		small := &fuzzSpool{1 << 20}
		tr, err := Read(&windows{fix, window}, small, o)
		if err != nil {
			if !errors.Is(err, ErrArchive) && !errors.Is(err, errors.ErrUnsupported) {
				t.Fatalf("error of an unknown kind: %v", err)
			}
			return
		}
		if cost := validate(t, tr); small.left < 0 || cost > 4<<20 {
			return // too long to compare
		}
		differential(t, string(fix), tr, o)
		for _, n := range tr.Inodes() {
			if n.IsWhiteout() && n.Links() > 1 {
				return // Write gives each name a whiteout of its own
			}
		}
		var b bytes.Buffer
		if err := Write(&b, tr, WriteOptions{}); err != nil {
			if !errors.Is(err, ErrArchive) {
				t.Fatalf("write: %v", err)
			}
			return
		}
		again := read(t, b.String(), Options{})
		if got, want := dump(t, again), dump(t, tr); got != want {
			t.Fatalf("read back\n%swritten\n%s", got, want)
		}
	})
}

// fixChecksums makes the checksum right of every block that looks like a header, so that the fuzzer gets
// through.
func fixChecksums(archive []byte) []byte {
	b := bytes.Clone(archive)
	for h := b; len(h) >= blockSize; h = h[blockSize:] {
		blk := (*[blockSize]byte)(h)
		if isZero(blk) || string(h[257:262]) != "ustar" && h[148] != '0' {
			continue
		}
		copy(h[148:156], "        ")
		octal(h[148:155], sumBytes(blk))
	}
	return b
}

// validate checks the rules of tree and returns what a comparison costs.
func validate(t *testing.T, tr *tree.Tree) (cost float64) {
	t.Helper()
	err := tr.Walk(func(path string, n *tree.Node) error {
		if strings.Count(path, "/") >= tree.MaxDepth {
			t.Fatalf("%d components", strings.Count(path, "/")+1)
		}
		name := path[strings.LastIndexByte(path, '/')+1:]
		if path != "" && !isName(name) {
			t.Fatalf("name %q", name)
		}
		if n.Nsec >= 1e9 || n.Size < 0 || n.IsDir() && n.Content != nil {
			t.Fatalf("%q: %+v", path, n)
		}
		cost += float64(n.Size) + 64*float64(len(path))
		for i := range n.Xattrs {
			if i > 0 && n.Xattrs[i-1].Name >= n.Xattrs[i].Name {
				t.Fatalf("%q: attributes out of order", path)
			}
		}
		if n.IsRegular() && n.Content.Data() != nil {
			end := int64(-1)
			for _, e := range n.Content.Data() {
				if e.Off <= end || e.Len <= 0 || e.Len > n.Size-e.Off {
					t.Fatalf("%q: extents %v of %d", path, n.Content.Data(), n.Size)
				}
				end = e.Off + e.Len
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return cost
}

// differential compares with the model, unless the archive has what doc.go says is read differently.
func differential(t *testing.T, archive string, tr *tree.Tree, o Options) {
	if o.Concatenated || strings.Contains(strings.ReplaceAll(archive, whiteoutOpaque, ""), whiteoutMeta) {
		return
	}
	r := tar.NewReader(strings.NewReader(archive))
	for {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil || h.Typeflag == tar.TypeXGlobalHeader || h.Typeflag == typeGNUDumpDir || h.Size > 1<<20 {
			return
		}
		if h.PAXRecords["GNU.sparse.size"] != "" && h.PAXRecords["GNU.sparse.map"] == "" {
			return // archive/tar takes a file that is one hole for no sparse file
		}
		for k := range h.PAXRecords {
			if !strings.HasPrefix(k, "SCHILY.xattr.") && strings.HasPrefix(k, "SCHILY.") || strings.HasPrefix(k, "LIBARCHIVE.") || strings.HasPrefix(k, "RHT.") {
				return
			}
		}
	}
	m, err := apply(archive)
	if err != nil {
		return
	}
	if got := treeDump(t, tr); got != m.dump() {
		t.Fatalf("got\n%swant\n%s\n%s", got, m.dump(), listing(archive))
	}
}

// Decompress neither panics nor hangs, passes everything on that it recognizes as uncompressed, and says
// the same as the standard library of gzip.
func FuzzDecompress(f *testing.F) {
	a := text(2000)
	f.Add([]byte(gz(f, a) + gz(f, a)))
	f.Add([]byte(gz(f, a) + "\x00\x00"))
	f.Add([]byte(skippable(0, "x") + zst(f, a) + zst(f, "")))
	f.Add([]byte(a))
	f.Fuzz(func(t *testing.T, in []byte) {
		d, kind, err := Decompress(bytes.NewReader(in))
		if err != nil {
			return
		}
		defer d.Close()
		got, err := io.ReadAll(io.LimitReader(d, 16<<20))
		switch kind {
		case None:
			if err != nil || !bytes.Equal(got, in) {
				t.Fatalf("plain: %v", err)
			}
		case Gzip:
			z, zerr := stdgzip.NewReader(bytes.NewReader(in))
			var want []byte
			if zerr == nil {
				want, zerr = io.ReadAll(io.LimitReader(z, 16<<20))
			}
			if zerr == nil && (err != nil || !bytes.Equal(got, want)) {
				t.Fatalf("got %d bytes, %v; compress/gzip %d", len(got), err, len(want))
			}
			if err == nil && zerr != nil && !bytes.HasSuffix(in, []byte{0}) {
				t.Fatalf("accepted, but compress/gzip: %v", zerr)
			}
		}
	})
}
