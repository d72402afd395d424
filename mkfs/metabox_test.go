package mkfs

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/laminafs/lamina/tree"
)

// random returns n bytes that do not compress.
func random(seed uint64, n int) []byte {
	r, b := rand.New(rand.NewPCG(seed, 1)), make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// A disk that is full while the metabox is written is an error, at once.
func TestFullDiskEndsTheMetabox(t *testing.T) {
	tr := tree.New()
	for i := range 600 {
		n := &tree.Node{Mode: tree.TypeRegular | 0o644}
		n.SetXattr("user.x", string(random(uint64(i), 60000)))
		tr.Root.Add(fmt.Sprintf("f%04d", i), n)
	}
	w, err := New(&memFile{fail: 2 << 20}, Options{
		XattrShare: -1, Compression: &Compression{Workers: 1, Metabox: &Metabox{}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Finish(tr); !errors.Is(err, errFull) {
		t.Errorf("finish: %v", err)
	}
	if w.progress.Inodes == w.progress.InodesAll {
		t.Errorf("all %d inodes were written to a full disk", w.progress.Inodes)
	}
}

// The workers get the segments of directories a few at a time, however many there are.
func TestFewSegmentsOfDirectoriesWait(t *testing.T) {
	tr := tree.New()
	for i := range 60_000 {
		tr.Root.Add(fmt.Sprintf("%06d%s", i, strings.Repeat("x", 220)), &tree.Node{Mode: tree.TypeSymlink | 0o777, Target: "t"})
	}
	w, err := New(&memFile{}, Options{Dedupe: true, Compression: &Compression{Workers: 1, Directories: true}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Finish(tr); err != nil {
		t.Fatal(err)
	}
	if all := int(w.comp.packed.place.size) / w.comp.segment; all < 3*w.comp.most || len(w.comp.free) > w.comp.most+2 {
		t.Errorf("%d segments, %d buffers for them; %d may wait", all, len(w.comp.free), w.comp.most)
	}
}
