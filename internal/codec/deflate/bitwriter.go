package deflate

import "encoding/binary"

// bitWriter writes bits, the first one lowest, into a buffer that is long enough.
type bitWriter struct {
	dst   []byte
	pos   int    // whole bytes in dst
	bits  uint64 // the next count bits; 0 above
	count uint   // below 8 behind flush
}

// put adds n bits; no more than 56 without a flush.
func (w *bitWriter) put(v uint64, n uint) {
	w.bits |= v << (w.count & 63)
	w.count += n
}

// flush writes whole bytes.
func (w *bitWriter) flush() {
	if w.pos+8 <= len(w.dst) {
		binary.LittleEndian.PutUint64(w.dst[w.pos:], w.bits)
		n := w.count >> 3
		w.pos += int(n)
		w.bits >>= n << 3 & 63
		w.count &= 7
		return
	}
	for ; w.count >= 8; w.count -= 8 {
		w.dst[w.pos] = byte(w.bits)
		w.pos++
		w.bits >>= 8
	}
}

// offset returns the number of bits written.
func (w *bitWriter) offset() int { return w.pos*8 + int(w.count) }

// close fills the last byte with zeros and returns the number of bytes.
func (w *bitWriter) close() int {
	w.flush()
	if w.count > 0 {
		w.dst[w.pos] = byte(w.bits)
		w.pos++
		w.bits, w.count = 0, 0
	}
	return w.pos
}
