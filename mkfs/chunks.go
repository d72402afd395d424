package mkfs

import (
	"bytes"
	"fmt"
	"io"
	"math/bits"

	"github.com/laminafs/lamina/internal/disk"
	"github.com/laminafs/lamina/tree"
)

// putChunks places a file chunk by chunk: chunks without data are holes and take no space.
func (w *Writer) putChunks(f tree.File, r io.Reader) (*place, error) {
	data := f.Data
	if data == nil {
		data = []tree.Extent{{Off: 0, Len: f.Size}}
	}
	before := w.data.pos()
	w.data.align(w.bs) // behind extents that end at any byte
	if w.o.large(f.Size) {
		w.data.align(w.o.LargeAlign)
	}
	c := chunkWriter{w: w, size: f.Size, at: -1, chunks: &chunks{}}
	if w.o.ChunkSize != 0 {
		c.chunks.bits, c.search = uint8(bits.TrailingZeros64(uint64(w.o.ChunkSize)))-w.bits, true
	} else {
		c.chunks.bits = cheapestChunk(f.Size, data, w.bits)
	}
	c.unit = w.bs << c.chunks.bits
	if err := w.allowSparse(&f, data, c.unit); err != nil {
		return nil, err
	}
	for _, e := range data {
		if err := c.extent(e, r); err != nil {
			return nil, err
		}
	}
	if err := c.end(); err != nil {
		return nil, err
	}
	if len(c.chunks.runs) == 0 {
		if err := w.data.rewind(before); err != nil {
			return nil, err
		}
	}
	p := w.newPlace(f.Size)
	p.chunk = c.chunks
	return p, nil
}

// A few bytes of an archive can declare a file of exabytes with a byte here and there: its index, or the
// zeros around its data, would fill the disk. All sparse files of an image together may cost sparseFree
// bytes more than their data, and then sparseFactor times the data of the image so far. A disk image of
// 16 TiB with 100,000 blocks of data costs 15 times its data.
const (
	sparseFree   = 256 << 20
	sparseFactor = 16
)

// allowSparse accounts for what a file will cost beyond its data, if it has the data that it declares.
func (w *Writer) allowSparse(f *tree.File, data []tree.Extent, unit int64) error {
	index := ((f.Size-1)/unit + 1) * disk.ChunkIndexSize
	extra := index + touched(data, f.Size, unit) - f.DataLen()
	w.sparse += max(extra, 0)
	if w.sparse > sparseFree+sparseFactor*(w.copied+f.DataLen()) {
		return fmt.Errorf("mkfs: sparse file: %d bytes with %d of data: storing it takes %d more, which is too much", f.Size, f.DataLen(), extra)
	}
	return nil
}

// chunkWriter writes the chunks that an ascending sequence of extents touches.
type chunkWriter struct {
	w      *Writer
	chunks *chunks
	size   int64 // of the file
	unit   int64 // of a chunk
	search bool  // look for zeros, and for equal chunks if the options say so

	at    int64 // the open chunk, -1: none
	pos   int64 // in the file, behind what was written of the open chunk
	start int64 // of the open chunk in the data
	zero  bool  // nothing but zeros so far
}

// extent reads the bytes of e and writes them into their chunks.
func (c *chunkWriter) extent(e tree.Extent, r io.Reader) error {
	for e.Len > 0 {
		if i := e.Off / c.unit; i != c.at {
			if err := c.end(); err != nil {
				return err
			}
			c.at, c.pos, c.start, c.zero = i, i*c.unit, c.w.data.pos(), true
			c.w.hash.Reset()
		}
		if err := c.fill(e.Off); err != nil {
			return err
		}
		n := min(e.Len, (c.at+1)*c.unit-e.Off)
		if err := c.copyIn(r, n); err != nil {
			return err
		}
		c.pos += n
		e.Off, e.Len = e.Off+n, e.Len-n
	}
	return nil
}

// fill writes zeros up to an offset of the file. Zeros are written against data that has really come, not
// against what a header declares.
func (c *chunkWriter) fill(to int64) error {
	w, n := c.w, to-c.pos
	w.filled += n
	if w.filled > sparseFree+sparseFactor*w.copied {
		return fmt.Errorf("mkfs: sparse file: %d bytes: %d zeros between %d bytes of data are too much", c.size, w.filled, w.copied)
	}
	w.data.zero(n)
	c.pos = to
	return nil
}

func (c *chunkWriter) copyIn(r io.Reader, n int64) error {
	if !c.search {
		return c.w.copyIn(r, n)
	}
	for n > 0 {
		room := c.w.data.room()
		room = room[:min(int64(len(room)), n)]
		if _, err := io.ReadFull(r, room); err != nil {
			return short(err)
		}
		if c.w.o.Dedupe {
			_, _ = c.w.hash.Write(room)
		}
		c.zero = c.zero && isZero(room)
		c.w.data.grow(len(room))
		c.w.copied += int64(len(room))
		if err := c.w.data.failed(); err != nil {
			return err
		}
		n -= int64(len(room))
	}
	return nil
}

// end completes the open chunk and enters it, unless it is all zeros or equal to another one.
func (c *chunkWriter) end() error {
	if c.at < 0 {
		return nil
	}
	w, at := c.w, c.at
	c.at = -1
	if c.search && c.zero {
		return w.data.rewind(c.start)
	}
	length := min(c.unit, c.size-at*c.unit)
	if err := c.fill(at*c.unit + length); err != nil {
		return err
	}
	w.data.align(w.bs)
	block := c.start >> w.bits
	if c.search && w.o.Dedupe {
		var err error
		if block, err = w.dedupeChunk(block, length); err != nil {
			return err
		}
	}
	w.addRun(c.chunks, run{first: at, count: 1, block: block, device: w.device})
	return nil
}

// dedupeChunk returns the block of an equal chunk and takes the new copy back, or block.
func (w *Writer) dedupeChunk(block, length int64) (int64, error) {
	key := dedupeKey{w.hash.Sum64(), length}
	for _, b := range w.pieces[key] {
		same, err := w.equal(b<<w.bits, block<<w.bits, length)
		if err != nil {
			return 0, err
		}
		if same {
			w.saved += length
			return b, w.data.rewind(block << w.bits)
		}
	}
	w.pieces[key] = append(w.pieces[key], block)
	return block, nil
}

// addRun enters chunks behind those that are there, and remembers the highest block of any device.
func (w *Writer) addRun(c *chunks, r run) {
	w.top = max(w.top, r.block+r.count<<c.bits)
	if l := len(c.runs) - 1; l >= 0 {
		last := &c.runs[l]
		if last.first+last.count == r.first && last.block+last.count<<c.bits == r.block && last.device == r.device {
			last.count += r.count
			return
		}
	}
	c.runs = append(c.runs, r)
}

// cheapestChunk returns the chunk size, as log2 of blocks, for which index and data together are
// smallest: small chunks follow the holes, large ones keep the index short. A file without data costs
// one index entry, whatever its length.
func cheapestChunk(size int64, data []tree.Extent, blockBits uint8) uint8 {
	best, cost := uint8(0), int64(-1)
	for exp := uint8(0); exp <= uint8(disk.ChunkBitsMask) && exp+blockBits < 62; exp++ {
		unit := int64(1) << (exp + blockBits)
		c := (size-1)/unit + 1
		if c > 1<<40 {
			continue
		}
		c = c*disk.ChunkIndexSize + touched(data, size, unit)
		if cost < 0 || c < cost {
			best, cost = exp, c
		}
		if unit >= size {
			break
		}
	}
	return best
}

// touched returns the length of the chunks of size unit that hold data.
func touched(data []tree.Extent, size, unit int64) int64 {
	var sum int64
	last := int64(-1)
	for _, e := range data {
		if e.Len == 0 {
			continue
		}
		from, to := e.Off/unit, (e.Off+e.Len-1)/unit
		from = max(from, last+1)
		if from > to {
			continue
		}
		sum += (to - from + 1) * unit
		last = to
		if end := (to + 1) * unit; end > size {
			sum -= end - size
		}
	}
	return sum
}

var zeros [4096]byte

func isZero(b []byte) bool {
	for len(b) > len(zeros) {
		if !bytes.Equal(b[:len(zeros)], zeros[:]) {
			return false
		}
		b = b[len(zeros):]
	}
	return bytes.Equal(b, zeros[:len(b)])
}
