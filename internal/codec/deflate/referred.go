package deflate

import (
	"bytes"
	"io"
)

// referred returns the window of a checkpoint with zeros for what no match behind it refers to, without leading zeros.
// in is the source from the byte of c.In on; n bytes of output behind the checkpoint are looked at, all that matches
// into the window can reach.
//
// It asks the decoder that is there instead of being one more: three windows are put under the same data. Where two of
// them that differ in every byte give the same output, no byte of the window went into it; where they do not, the output
// says which one it was, half of the index each.
//
//	window        low[i] = i      low'[i] = ^i     high[i] = i >> 8
//	output byte   literal x:  x == x               comes from window[i]:  i != ^i,  high<<8 | low = i
func referred(c Checkpoint, in []byte, n int) []byte {
	low, not, high := make([]byte, c.Reach), make([]byte, c.Reach), make([]byte, c.Reach)
	for i := range low {
		low[i], not[i], high[i] = byte(i), ^byte(i), byte(i>>8)
	}
	var out [3][]byte
	for k, window := range [][]byte{low, not, high} {
		var err error
		if out[k], err = under(c, window, in, n); err != nil {
			return c.Window // the Reader says what is wrong
		}
	}
	sparse := make([]byte, c.Reach)
	for k := range out[0] {
		if l := out[0][k]; l != out[1][k] {
			i := int(out[2][k])<<8 | int(l)
			sparse[i] = c.Window[i]
		}
	}
	return bytes.TrimLeft(sparse, "\x00")
}

// under decodes n bytes behind a checkpoint with another window.
func under(c Checkpoint, window, in []byte, n int) ([]byte, error) {
	c.Window = window
	z, err := Resume(c, &part{in, c.In >> 3})
	if err != nil {
		return nil, err
	}
	all := make([]byte, 0, n)
	for buf := make([]byte, MinBuffer+n); len(all) < n; {
		data, err := z.Next(buf)
		all = append(all, data[:min(len(data), n-len(all))]...)
		if err != nil && len(all) < n {
			return nil, err
		}
	}
	return all, nil
}

// part is a piece of a source that begins at off.
type part struct {
	b   []byte
	off int64
}

// ReadAt implements io.ReaderAt.
func (p *part) ReadAt(b []byte, off int64) (int, error) {
	if off < p.off || off-p.off >= int64(len(p.b)) {
		return 0, io.EOF
	}
	n := copy(b, p.b[off-p.off:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}
