package mkfs

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
)

// memFile is a File in memory.
type memFile struct {
	b    []byte
	fail int64 // writes at or behind this offset fail, if positive
}

var errFull = errors.New("no space left")

func (m *memFile) WriteAt(p []byte, off int64) (int, error) {
	if m.fail > 0 && off+int64(len(p)) > m.fail {
		return 0, errFull
	}
	if end := off + int64(len(p)); end > int64(len(m.b)) {
		m.b = append(m.b, make([]byte, end-int64(len(m.b)))...)
	}
	return copy(m.b[off:], p), nil
}

func (m *memFile) ReadAt(p []byte, off int64) (int, error) {
	return bytes.NewReader(m.b).ReadAt(p, off)
}

func (m *memFile) Truncate(n int64) error {
	if n <= int64(len(m.b)) {
		m.b = m.b[:n]
		return nil
	}
	m.b = append(m.b, make([]byte, n-int64(len(m.b)))...)
	return nil
}

// An output is a file with a position: whatever is written, rewound and read back, also across many
// buffers, is what a plain slice would hold.
func TestOutputIsSequentialFile(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	f := &memFile{}
	o := newOutput(f, 0)
	var model []byte
	for range 300 {
		switch rnd.IntN(6) {
		case 0:
			n := rnd.IntN(3 << 20)
			o.zero(int64(n))
			model = append(model, make([]byte, n)...)
		case 1, 2, 3:
			b := make([]byte, rnd.IntN(200_000))
			for i := range b {
				b[i] = byte(rnd.Uint32())
			}
			o.write(b)
			model = append(model, b...)
		case 4:
			back := int64(max(0, len(model)-rnd.IntN(1<<uint(rnd.IntN(23)))))
			if err := o.rewind(back); err != nil {
				t.Fatal(err)
			}
			model = model[:back]
		case 5:
			if len(model) == 0 {
				continue
			}
			off := rnd.IntN(len(model))
			got := make([]byte, rnd.IntN(min(len(model)-off, 100_000))+1)
			if _, err := o.readAt(got, int64(off)); err != nil && err != io.EOF {
				t.Fatal(err)
			}
			if !bytes.Equal(got, model[off:off+len(got)]) {
				t.Fatalf("read at %d differs", off)
			}
		}
		if o.pos() != int64(len(model)) {
			t.Fatalf("position %d, want %d", o.pos(), len(model))
		}
	}
	if err := o.close(); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(f.b[:len(model)], model) {
		t.Error("file differs")
	}
}

func TestOutputReportsFirstWriteError(t *testing.T) {
	o := newOutput(&memFile{fail: 3 << 20}, 0)
	o.zero(8 << 20)
	if err := o.sync(); !errors.Is(err, errFull) {
		t.Errorf("sync: %v", err)
	}
	if err := o.close(); !errors.Is(err, errFull) {
		t.Errorf("close: %v", err)
	}
}

// Tails come back whether they are in memory, in the spill file, or were dropped and written again.
func TestTailsSurviveSpilling(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	tl := tails{dir: t.TempDir()}
	defer tl.close()
	type kept struct {
		off int64
		b   []byte
	}
	var all []kept
	for i := range 20_000 {
		b := bytes.Repeat([]byte{byte(i), byte(i >> 8)}, rnd.IntN(900)+1)
		off, err := tl.add(b)
		if err != nil {
			t.Fatal(err)
		}
		if i%7 == 0 {
			tl.drop(off)
			continue
		}
		all = append(all, kept{off, b})
	}
	if tl.spill == nil {
		t.Fatal("the test does not spill")
	}
	for _, i := range rnd.Perm(len(all)) {
		got, err := tl.get(all[i].off, len(all[i].b))
		if err != nil || !bytes.Equal(got, all[i].b) {
			t.Fatalf("tail %d: %v", i, err)
		}
	}
}
