package mkfs

import (
	"encoding/binary"

	"github.com/laminafs/lamina/internal/compress"
	"github.com/laminafs/lamina/internal/disk"
)

// comprConfigs returns the records of the compression algorithms (section 7.2), padded to where a device table
// may begin. Only the algorithms that the image uses have one; the length is the same for all that it may
// use, because the data begins behind it.
func (w *Writer) comprConfigs() []byte {
	if w.o.Compression == nil {
		return nil
	}
	var b []byte
	size := int64(0)
	for a := disk.LZ4; a.Known(); a++ { // they are in the order of their numbers
		m, ok := w.announced(a)
		if !ok {
			continue
		}
		cfg := m.Config(w.bits)
		size += disk.Align(int64(disk.ComprCfgLenLen+len(cfg)), disk.ComprCfgAlign)
		if w.comp == nil || w.comp.algorithms().Has(a) && !w.onlyDistance() {
			b = binary.LittleEndian.AppendUint16(b, uint16(len(cfg)))
			b = append(b, cfg...)
			b = append(b, make([]byte, -len(b)&(disk.ComprCfgAlign-1))...)
		}
	}
	return append(b, make([]byte, disk.Align(size, disk.DeviceSize)-int64(len(b)))...)
}

// announced returns the method with which an algorithm is announced: it reads what the image has of it and what
// bases have.
func (w *Writer) announced(a disk.Algorithm) (m compress.Method, ok bool) {
	largest := w.o.Compression.largest(w.o.blockSize())
	for _, own := range w.o.Compression.methods() {
		if own.Algorithm.Disk() == a {
			m, ok = own.config(largest), true
		}
	}
	if w.use == nil || !w.use.b.files.announced.Has(a) {
		return m, ok
	}
	theirs := w.use.b.files.methods[a]
	if ok {
		theirs = theirs.Join(m)
	}
	return theirs, true
}

// algorithms returns those of the pclusters that the image has or refers to.
func (k *compressor) algorithms() (set disk.Algorithms) {
	if k.refs != nil {
		set = k.refs.algorithms
	}
	for i, m := range k.c.methods() {
		if k.used>>i&1 != 0 {
			set |= 1 << m.Algorithm.Disk()
		}
	}
	return set
}

// onlyDistance tells whether the superblock has room for all that is to be said of the algorithms: LZ4 in
// pclusters of one block, as Linux 5.4 knows it.
func (w *Writer) onlyDistance() bool {
	c := w.o.Compression
	if w.use != nil {
		return false
	}
	for _, m := range c.methods() {
		if m.Algorithm.Disk() != disk.LZ4 {
			return false
		}
	}
	return c.largest(w.o.blockSize()) == w.o.blockSize()
}

// announceCompression sets the features of what was compressed.
func (w *Writer) announceCompression(s *disk.Superblock, p *plan) {
	if w.comp == nil || w.comp.algorithms() == 0 {
		return
	}
	s.Incompat |= disk.HasZeroPadding
	if w.onlyDistance() {
		s.ComprAlgs = 1<<16 - 1
	} else {
		s.Incompat |= disk.HasComprCfgs
		s.ComprAlgs = uint16(w.comp.algorithms())
	}
	if w.o.Compression.Tails == TailInline {
		s.Incompat |= disk.HasZtailpacking
	}
	if w.comp.shared {
		s.Incompat |= disk.HasFragments // the same bit
	}
	if p.packed {
		s.Incompat |= disk.HasFragments
		s.PackedNID = p.packedNID
	}
}
