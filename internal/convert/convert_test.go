package convert

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/zstd"

	"github.com/laminafs/lamina/erofs"
	"github.com/laminafs/lamina/internal/disk"
	"github.com/laminafs/lamina/tartree"
)

// archive returns a tar with files around block edges and a tail of zeros behind the end mark, which
// belongs to the diffID.
func archive(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	add := func(h *tar.Header, data []byte) {
		h.Size = int64(len(data))
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	add(&tar.Header{Typeflag: tar.TypeDir, Name: "d/", Mode: 0o755}, nil)
	for _, n := range []int{0, 1, 511, 512, 513, 4095, 4096, 4097, 300_000} {
		add(&tar.Header{Name: fmt.Sprintf("d/%d", n), Mode: 0o644}, bytes.Repeat([]byte{byte(n), 7}, n)[:n])
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	b.Write(make([]byte, 7*512))
	return b.Bytes()
}

func compressed(t *testing.T, plain []byte) map[string][]byte {
	t.Helper()
	var gz, zs bytes.Buffer
	g := gzip.NewWriter(&gz)
	_, _ = g.Write(plain)
	_ = g.Close()
	z, err := zstd.NewWriter(&zs)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = z.Write(plain)
	_ = z.Close()
	return map[string][]byte{"none": plain, "gzip": gz.Bytes(), "zstd": zs.Bytes()}
}

func temp(t *testing.T) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "image"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func TestLayerIsTheSameImageFromEveryCompression(t *testing.T) {
	plain := archive(t)
	want := fmt.Sprintf("sha256:%x", sha256.Sum256(plain))
	var first []byte
	for name, layer := range compressed(t, plain) {
		f := temp(t)
		r, err := Layer(bytes.NewReader(layer), f, Options{})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if r.DiffID != want || r.TarSize != int64(len(plain)) {
			t.Errorf("%s: diffID %s of %d bytes, want %s of %d", name, r.DiffID, r.TarSize, want, len(plain))
		}
		got, err := os.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = got
		}
		if !bytes.Equal(first, got) {
			t.Errorf("%s: another image than from another compression", name)
		}
	}
}

// noise is an archive that does not shrink: cuts of its compressed forms are cuts of data.
func noise(t *testing.T) []byte {
	t.Helper()
	data := make([]byte, 100_000)
	rnd := rand.NewChaCha8([32]byte{1})
	_, _ = rnd.Read(data)
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: "noise", Size: int64(len(data)), Mode: 0o644}); err != nil {
		t.Fatal(err)
	}
	_, _ = w.Write(data)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestLayerReportsWhatTheSourceReports(t *testing.T) {
	plain := noise(t)
	for name, layer := range compressed(t, plain) {
		for _, cut := range []int{0, 1, 100, len(layer) / 2, len(layer) - 4000} {
			_, err := Layer(bytes.NewReader(layer[:cut]), temp(t), Options{})
			if !errors.Is(err, tartree.ErrArchive) {
				t.Errorf("%s cut at %d of %d: %v", name, cut, len(layer), err)
			}
			broken := errors.New("broken")
			in := io.MultiReader(bytes.NewReader(layer[:cut]), iotest.ErrReader(broken))
			if _, err := Layer(in, temp(t), Options{}); !errors.Is(err, broken) {
				t.Errorf("%s, source broken at %d of %d: %v", name, cut, len(layer), err)
			}
		}
	}
}

// Both forms of the tar index show the files of the tar, and the second ends in the tar itself.
func TestIndexShowsTheUntouchedTar(t *testing.T) {
	plain := archive(t)
	for name, layer := range compressed(t, plain) {
		two, one := temp(t), temp(t)
		r2, err := Index(bytes.NewReader(layer), two, Options{})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		r1, err := IndexedTar(bytes.NewReader(layer), one, Options{})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		tail := make([]byte, len(plain))
		if _, err := one.ReadAt(tail, r1.Size); err != nil || !bytes.Equal(tail, plain) {
			t.Errorf("%s: the tar behind the index differs: %v", name, err)
		}
		if r1.DiffID != r2.DiffID || r2.Size >= int64(len(plain))/2 {
			t.Errorf("%s: %s, %s, index of %d bytes", name, r1.DiffID, r2.DiffID, r2.Size)
		}
		a, err := erofs.Open(two, bytes.NewReader(plain))
		if err != nil {
			t.Fatal(err)
		}
		b, err := erofs.Open(one)
		if err != nil {
			t.Fatal(err)
		}
		for _, im := range []*erofs.Image{a, b} {
			for _, n := range []int{0, 1, 513, 4097, 300_000} {
				got, err := im.ReadFile(fmt.Sprintf("d/%d", n))
				if err != nil || !bytes.Equal(got, bytes.Repeat([]byte{byte(n), 7}, n)[:n]) {
					t.Errorf("%s: d/%d: %d bytes, %v", name, n, len(got), err)
				}
			}
		}
	}
}

func TestInsertMovesByCopyingWhereTheFileSystemCannot(t *testing.T) {
	f := temp(t)
	want := bytes.Repeat([]byte("0123456789abcdef"), 700_000)
	if _, err := f.Write(want); err != nil {
		t.Fatal(err)
	}
	if err := insert(f, 513, int64(len(want))); err != nil { // no file system inserts 513 bytes
		t.Fatal(err)
	}
	got, err := io.ReadAll(io.NewSectionReader(f, 513, disk.Align(int64(len(want)), 1)))
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("moved bytes differ: %v", err)
	}
}
