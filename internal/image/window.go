package image

import (
	"errors"
	"fmt"
	"io"
	"math"
	"sync/atomic"

	"github.com/laminafs/lamina/internal/disk"
)

const (
	// pageBits is log2 of the unit of the cache, unless blocks are larger: a block never crosses a
	// page. More would read faster where metadata is dense and slower where it is not.
	pageBits = 12
	// cacheSize bounds the cache of a window: enough for the inodes and directories that a walk goes
	// back and forth between.
	cacheSize = 4 << 20
	// MaxRead bounds what Read returns: the longest structure of the format, an xattr area.
	MaxRead = disk.XattrMaxArea
)

// Window is a device as the reader sees it: the only place where numbers from outside meet lengths.
// Small reads go through a cache of cacheSize bytes. It may be used by several goroutines.
type Window struct {
	r     io.ReaderAt
	name  string       // in front of Field in errors: "" or "device 1: "
	end   atomic.Int64 // length + 1 once a read has met the end, else 0
	bits  uint8        // log2 of a page
	cache [cacheSize >> pageBits]atomic.Pointer[page]
}

// page is a piece of the device, immutable; short if the device ends in it.
type page struct {
	no   int64
	data []byte
}

// NewWindow returns a window on r. The name stands in front of the field in errors.
func NewWindow(r io.ReaderAt, name string) *Window {
	return &Window{r: r, name: name, bits: pageBits}
}

// setBlock makes pages as large as blocks. Nothing may use the window meanwhile.
func (w *Window) setBlock(bits uint8) {
	if bits > w.bits {
		clear(w.cache[:])
		w.bits = bits
	}
}

// Read returns n bytes at off; field names in errors what they are. The bytes are shared: they must
// not be changed, and who keeps them keeps the page around them. Numbers out of range, n above
// MaxRead and bytes beyond the end of the device are FormatErrors.
func (w *Window) Read(off, n int64, field string) ([]byte, error) {
	if n > MaxRead {
		return nil, w.bad(off, field, n, "longer than anything the format has")
	}
	if err := w.check(off, n, field); err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, nil
	}
	no := off >> w.bits
	if (off+n-1)>>w.bits == no {
		data, err := w.page(no)
		if at := off - no<<w.bits; err == nil && at+n <= int64(len(data)) {
			return data[at : at+n : at+n], nil
		}
	}
	return w.gather(off, n, field)
}

// room returns how many bytes there are from off to the end of its page.
func (w *Window) room(off int64) int64 { return 1<<w.bits - off&(1<<w.bits-1) }

// gather is Read for what crosses a page or what the cache could not get.
func (w *Window) gather(off, n int64, field string) ([]byte, error) {
	b := make([]byte, n)
	for done := int64(0); done < n; {
		no := (off + done) >> w.bits
		at := off + done - no<<w.bits
		data, err := w.page(no)
		if err != nil || int64(len(data)) <= at {
			if err := w.Fill(b, off, field); err != nil { // exactly these bytes may be there all the same
				return nil, err
			}
			return b, nil
		}
		done += int64(copy(b[done:], data[at:]))
	}
	return b, nil
}

// Fill reads len(p) bytes at off past the cache, with the same errors as Read but no bound on the
// length: that of p was chosen by the caller.
func (w *Window) Fill(p []byte, off int64, field string) error {
	if err := w.check(off, int64(len(p)), field); err != nil || len(p) == 0 {
		return err
	}
	n, err := w.r.ReadAt(p, off)
	switch {
	case n == len(p):
		return nil
	case err == nil || errors.Is(err, io.EOF):
		return w.bad(off, field, nil, fmt.Sprintf("%d bytes, of which %d are beyond the end", len(p), len(p)-n))
	}
	if errors.Is(err, disk.ErrCorrupt) || errors.Is(err, errors.ErrUnsupported) {
		return err // the device is data of an inode, and says itself what is wrong
	}
	return fmt.Errorf("erofs: offset %d: %s%s: %w", off, w.name, field, err)
}

// check is the gate: [off, off+n) is a range of the device as far as that is known.
func (w *Window) check(off, n int64, field string) error {
	if off < 0 || n < 0 || off > math.MaxInt64-n {
		return w.bad(off, field, n, "range exceeds 63 bits")
	}
	if end := w.end.Load(); end != 0 && off+n >= end && n > 0 {
		return w.bad(off, field, nil, fmt.Sprintf("%d bytes that go beyond the end at %d", n, end-1))
	}
	return nil
}

func (w *Window) bad(off int64, field string, got any, why string) error {
	return &disk.FormatError{Off: off, Field: w.name + field, Got: got, Why: why}
}

// page returns a page of the device, from the cache or through it.
func (w *Window) page(no int64) ([]byte, error) {
	slot := &w.cache[no&(cacheSize>>w.bits-1)]
	if p := slot.Load(); p != nil && p.no == no {
		return p.data, nil
	}
	p := &page{no: no, data: make([]byte, 1<<w.bits)}
	n, err := w.r.ReadAt(p.data, no<<w.bits)
	if n < len(p.data) {
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		if n > 0 || no == 0 {
			w.end.Store(no<<w.bits + int64(n) + 1)
		}
		p.data = p.data[:n]
	}
	slot.Store(p)
	return p.data, nil
}

// Size finds the length of the device with at most 64 small reads.
func (w *Window) Size() (int64, error) {
	if end := w.end.Load(); end != 0 {
		return end - 1, nil
	}
	lo, hi := int64(0), int64(math.MaxInt64) // [0, lo) exists, byte hi does not
	var b [1]byte
	for probe := int64(1 << pageBits); lo < hi; {
		n, err := w.r.ReadAt(b[:], probe-1)
		switch {
		case n == 1:
			lo = probe
		case err == nil || errors.Is(err, io.EOF):
			hi = probe - 1
		default:
			return 0, fmt.Errorf("erofs: offset %d: %slength: %w", probe-1, w.name, err)
		}
		if probe = lo + (hi-lo+1)/2; hi == math.MaxInt64 && lo < math.MaxInt64/4 {
			probe = lo * 4
		}
	}
	if lo < math.MaxInt64 {
		w.end.Store(lo + 1)
	}
	return lo, nil
}
