package tree

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// compareStep is how much of each file sameBytes holds in memory.
const compareStep = 128 << 10

// sameBytes compares two files of the same size. Where both have a hole it reads nothing.
func (d *differ) sameBytes(a, b Content, size int64) (bool, error) {
	if a == nil || b == nil {
		return false, nil
	}
	if d.a == nil {
		d.a, d.b = make([]byte, compareStep), make([]byte, compareStep)
	}
	da, db := a.Data(), b.Data()
	for off := int64(0); off < size; {
		da, db = after(da, off), after(db, off)
		if next := min(start(da, off, size), start(db, off, size)); next > off {
			off = next
			continue
		}
		n := min(compareStep, size-off)
		if err := readFull(a, d.a[:n], off); err != nil {
			return false, err
		}
		if err := readFull(b, d.b[:n], off); err != nil {
			return false, err
		}
		if !bytes.Equal(d.a[:n], d.b[:n]) {
			return false, nil
		}
		off += n
	}
	return true, nil
}

// after drops the extents that end at off or before. nil, which is no extents but all data, stays nil.
func after(data []Extent, off int64) []Extent {
	for len(data) > 0 && data[0].Off+data[0].Len <= off {
		data = data[1:]
	}
	return data
}

// start returns where the next data is, at off or behind it, at most size.
func start(data []Extent, off, size int64) int64 {
	if data == nil {
		return off
	}
	if len(data) == 0 {
		return size
	}
	return min(max(off, data[0].Off), size)
}

func readFull(c Content, p []byte, off int64) error {
	n, err := c.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("offset %d: %w", off+int64(n), err)
}
