package zstd

import "encoding/binary"

// bitWriter writes bits, the first one lowest, behind dst. Streams that are read backwards end with a 1.
type bitWriter struct {
	dst   []byte
	bits  uint64 // the next count bits; 0 above
	count uint   // below 8 behind flush
}

// put adds the lowest n bits of v, whose other ones are 0; no more than 56 without a flush.
func (w *bitWriter) put(v uint64, n uint) {
	w.bits |= v << (w.count & 63)
	w.count += n
}

// flush writes whole bytes.
func (w *bitWriter) flush() {
	n := w.count >> 3
	w.dst = binary.LittleEndian.AppendUint64(w.dst, w.bits)
	w.dst = w.dst[:len(w.dst)-8+int(n)]
	w.bits >>= n << 3 & 63
	w.count &= 7
}

// store writes whole bytes to out instead, at that index, and returns the next one.
func (w *bitWriter) store(out []byte, at int) int {
	binary.LittleEndian.PutUint64(out[at:], w.bits)
	n := w.count >> 3
	w.bits >>= n << 3 & 63
	w.count &= 7
	return at + int(n)
}

// close ends a stream that is read backwards.
func (w *bitWriter) close() {
	w.put(1, 1)
	w.pad()
}

// pad fills the last byte with zeros.
func (w *bitWriter) pad() {
	w.flush()
	if w.count > 0 {
		w.dst = append(w.dst, byte(w.bits))
		w.bits, w.count = 0, 0
	}
}
