package roundtrip

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/laminafs/lamina/fsck"
	"github.com/laminafs/lamina/mkfs"
	"github.com/laminafs/lamina/tree"
)

// smallTree has a file in pclusters of its own, fragments and what does not compress.
func smallTree() *tree.Tree {
	rnd := rand.New(rand.NewPCG(31, 32))
	t := tree.New()
	add(t, "large", words(rnd, 60_000))
	add(t, "small", words(rnd, 3000))
	add(t, "other", words(rnd, 5000))
	add(t, "noise", noise(rnd, 20_000))
	return t
}

// built makes an image of a tree on one base; nil if the base is refused.
func built(t *testing.T, source *tree.Tree, c mkfs.Compression, base io.ReaderAt, size int64) ([]byte, mkfs.Summary) {
	t.Helper()
	bases, err := mkfs.NewFileBases(0, mkfs.Base{Data: base, Size: size})
	if err != nil {
		return nil, mkfs.Summary{}
	}
	var out memory
	w, err := mkfs.New(&out, mkfs.Options{Compression: &c, Bases: bases})
	if err != nil {
		return nil, mkfs.Summary{} // its pclusters lie at any byte
	}
	sum, err := w.Finish(source)
	if err != nil {
		t.Fatalf("a base was taken, and cannot be built on: %v", err)
	}
	return out.b, sum
}

// Whatever a base is, an image on it shows its source.
func FuzzCompressedBases(f *testing.F) {
	var images [][]byte
	forms := []mkfs.Compression{
		{Tails: mkfs.TailFragments, PclusterSize: 16384}, {Index: mkfs.IndexFull, Tails: mkfs.TailInline}, {Index: mkfs.IndexExtents, Tails: mkfs.TailFragments},
	}
	for _, c := range forms {
		var out memory
		w, err := mkfs.New(&out, mkfs.Options{Compression: &c, Dedupe: true, NoChecksum: true})
		if err == nil {
			_, err = w.Finish(smallTree())
		}
		if err != nil {
			f.Fatal(err)
		}
		images = append(images, out.b)
	}
	f.Add(uint8(0), uint16(1104), uint8(1), uint16(2000), uint8(7), uint16(0))
	f.Add(uint8(1), uint16(4096), uint8(255), uint16(9000), uint8(255), uint16(5000))
	f.Add(uint8(2), uint16(20000), uint8(3), uint16(30000), uint8(4), uint16(0))
	f.Fuzz(func(t *testing.T, form uint8, at1 uint16, v1 uint8, at2 uint16, v2 uint8, cut uint16) {
		form %= uint8(len(images))
		b := bytes.Clone(images[form])
		// From the end on as well: the metadata is there.
		b[int(at1)%len(b)] ^= v1
		b[len(b)-1-int(at2)%len(b)] ^= v2
		b = b[:len(b)-int(cut)%len(b)]
		img, sum := built(t, smallTree(), forms[form], bytes.NewReader(b), int64(len(b)))
		if img == nil {
			return
		}
		var want strings.Builder
		if err := tree.Dump(&want, smallTree()); err != nil {
			t.Fatal(err)
		}
		var devices []io.ReaderAt
		if len(sum.Bases) > 0 {
			devices = append(devices, bytes.NewReader(b))
		}
		readsBack(t, "mutated base", img, devices, want.String())
	})
}

// Every byte of a base, one after the other, is wrong: no image on it shows anything but its source.
func TestBrokenBasesDoNoHarmToCompressedImages(t *testing.T) {
	c := mkfs.Compression{Tails: mkfs.TailFragments}
	first, _ := imageOn(t, smallTree, mkfs.Options{Compression: &c, Dedupe: true, NoChecksum: true})
	var want strings.Builder
	if err := tree.Dump(&want, smallTree()); err != nil {
		t.Fatal(err)
	}
	taken := 0
	for at := 1024; at < len(first); at += 211 {
		b := bytes.Clone(first)
		b[at] ^= 0x55
		img, sum := built(t, smallTree(), c, bytes.NewReader(b), int64(len(b)))
		if img == nil {
			continue
		}
		var devices []io.ReaderAt
		if len(sum.Bases) > 0 {
			devices, taken = append(devices, bytes.NewReader(b)), taken+1
		}
		readsBack(t, "broken base", img, devices, want.String())
	}
	if taken == 0 {
		t.Error("no broken base was of any use")
	}
}

// A base that is changed or cut while an image is built on it is found out, or does no harm.
func TestCompressedBasesThatDoNotStayAsTheyAre(t *testing.T) {
	c := mkfs.Compression{Tails: mkfs.TailFragments}
	first, _ := imageOn(t, smallTree, mkfs.Options{Compression: &c, Dedupe: true})
	for _, v := range []struct {
		name  string
		spoil func(b []byte) []byte
		fails bool
	}{
		{"cut", func(b []byte) []byte { return b[:6000] }, true},
		{"changed", func(b []byte) []byte { b[5000]++; return b }, false},
		{"all changed", func(b []byte) []byte { clear(b); return b }, false},
	} {
		data := &memory{b: bytes.Clone(first)}
		bases, err := mkfs.NewFileBases(0, mkfs.Base{Data: data, Size: int64(len(first))})
		if err != nil {
			t.Fatal(err)
		}
		data.b = v.spoil(data.b)
		out := &memory{}
		w, err := mkfs.New(out, mkfs.Options{Compression: &c, Bases: bases})
		if err != nil {
			t.Fatal(err)
		}
		sum, err := w.Finish(smallTree())
		if v.fails {
			if !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(err.Error(), "it was longer") {
				t.Errorf("%s: %v", v.name, err)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", v.name, err)
		}
		var want strings.Builder
		if err := tree.Dump(&want, smallTree()); err != nil {
			t.Fatal(err)
		}
		var devices []io.ReaderAt
		if len(sum.Bases) > 0 {
			devices = []io.ReaderAt{data}
		}
		readsBack(t, v.name, out.b, devices, want.String())
		if len(devices) == 0 {
			continue
		}
		rep, err := fsck.Check(out, int64(len(out.b)), fsck.Options{ReadData: true, Devices: []fsck.Device{{R: data, Size: int64(len(first))}}})
		if err != nil || rep.Errors != 1 || rep.Findings[0].Code != fsck.DeviceDigest {
			t.Errorf("%s: the check says %+v, %v; want that the device is another one", v.name, rep, err)
		}
	}
}

// Bases that are none are refused, with a reason.
func TestBasesOfCompressedImagesAreImages(t *testing.T) {
	plain, _ := imageOn(t, smallTree, mkfs.Options{})
	for _, v := range []struct {
		name  string
		block int
		b     []byte
		why   string
	}{
		{"zeros", 0, make([]byte, 8192), "not an EROFS image, nor a device of one"},
		{"nothing", 0, nil, "not an EROFS image, nor a device of one"},
		{"other blocks", 512, plain, "blocks of 4096 bytes"},
		{"superblock only", 0, plain[:1200], ""},
	} {
		_, err := mkfs.NewFileBases(v.block, mkfs.Base{Data: bytes.NewReader(v.b), Size: int64(len(v.b))})
		if err == nil || !strings.Contains(err.Error(), v.why) || !strings.HasPrefix(err.Error(), "mkfs: base 1: ") {
			t.Errorf("%s: %v; want %q", v.name, err, v.why)
		}
	}
	bases, err := mkfs.NewFileBases(0, mkfs.Base{Data: bytes.NewReader(plain), Size: int64(len(plain))})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := mkfs.New(&memory{}, mkfs.Options{Bases: bases}); err == nil {
		t.Error("bases for compressed images in one without: no error")
	}
}
