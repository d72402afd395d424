package mkfs

import (
	"os"
)

// tailBudget bounds the memory for inline tails; what exceeds it goes to a file. 60,000 small files have
// about 100 MiB of tails.
const tailBudget = 8 << 20

// tails keeps the bytes that will be stored behind inodes until the metadata is written.
type tails struct {
	dir   string // where the spill file goes
	mem   []byte // bytes from base on
	base  int64  // length of the spill file
	spill *os.File
	near  []byte // read-ahead of the spill file: tails are read nearly in the order they came
	at    int64  // offset of near
}

// add appends b and returns its offset.
func (t *tails) add(b []byte) (int64, error) {
	if len(t.mem)+len(b) > tailBudget {
		if err := t.flush(); err != nil {
			return 0, err
		}
	}
	off := t.base + int64(len(t.mem))
	t.mem = append(t.mem, b...)
	return off, nil
}

func (t *tails) flush() error {
	if t.spill == nil {
		f, err := os.CreateTemp(t.dir, ".lamina-tails-*")
		if err != nil {
			return err
		}
		_ = os.Remove(f.Name()) // where an open file cannot be removed, close does it
		t.spill = f
	}
	if _, err := t.spill.WriteAt(t.mem, t.base); err != nil {
		return err
	}
	t.base += int64(len(t.mem))
	t.mem = t.mem[:0]
	return nil
}

// drop takes back what was added from off on, if it is still in memory; else it is only wasted.
func (t *tails) drop(off int64) {
	if off >= t.base {
		t.mem = t.mem[:off-t.base]
	}
}

// get returns n bytes at off. They are valid until the next call of any method.
func (t *tails) get(off int64, n int) ([]byte, error) {
	if off >= t.base {
		return t.mem[off-t.base:][:n], nil
	}
	if off < t.at || off+int64(n) > t.at+int64(len(t.near)) {
		if cap(t.near) < n || t.near == nil {
			t.near = make([]byte, max(n, 256<<10))
		}
		want := t.near[:min(int64(cap(t.near)), t.base-off)]
		if _, err := t.spill.ReadAt(want, off); err != nil {
			return nil, err
		}
		t.near, t.at = want, off
	}
	return t.near[off-t.at:][:n], nil
}

// read fills b with what is at off. Unlike get it reads no more than that.
func (t *tails) read(b []byte, off int64) error {
	if off >= t.base {
		copy(b, t.mem[off-t.base:])
		return nil
	}
	n := min(int64(len(b)), t.base-off)
	if _, err := t.spill.ReadAt(b[:n], off); err != nil {
		return err
	}
	copy(b[n:], t.mem)
	return nil
}

// copyTo writes everything that was added.
func (t *tails) copyTo(o *output) error {
	for off := int64(0); off < t.base; {
		n := min(t.base-off, bufSize)
		b, err := t.get(off, int(n))
		if err != nil {
			return err
		}
		o.write(b)
		off += n
	}
	o.write(t.mem)
	return nil
}

func (t *tails) close() {
	if t.spill != nil {
		_ = t.spill.Close()
		_ = os.Remove(t.spill.Name())
		t.spill = nil
	}
	t.mem, t.near = nil, nil
}
