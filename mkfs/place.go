package mkfs

import (
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"io/fs"
	"sort"

	"github.com/laminafs/lamina/internal/disk"
	"github.com/laminafs/lamina/tree"
)

// place is where the Writer put the bytes of a file; it is the Content of the node.
type place struct {
	w      *Writer
	size   int64
	block  int64   // first block of the data that is in blocks
	tail   int64   // offset of the inline tail in Writer.tails
	tailN  int32   // its length; 0: none
	device uint16  // where block is: of Options.Devices, 0: the image, or the data device
	chunk  *chunks // of a chunk-based file, else nil
	comp   *mapped // of a compressed file, else nil
	print  *fingerprint
}

// chunks says where the chunks of a file are.
type chunks struct {
	bits uint8 // log2 of the chunk size in blocks
	runs []run // ascending; chunks in no run are holes
}

// run is a row of chunks that follow each other in the file and on a device.
type run struct {
	first, count int64 // in chunks
	block        int64 // where the first one starts
	device       uint16
}

// Put implements tree.Spool: it places the data at the end of what was written so far.
func (w *Writer) Put(f tree.File, r io.Reader) (tree.Content, error) {
	if w.err != nil {
		return nil, w.err
	}
	if f.Size < 0 {
		return nil, fmt.Errorf("mkfs: file size: %d: negative", f.Size)
	}
	p, err := w.put(f, r)
	if err != nil {
		w.err = err
		return nil, err
	}
	return p, nil
}

// count tells the observer about a placed file, now and then.
func (w *Writer) count(f *tree.File) {
	w.progress.Files++
	w.progress.Bytes += f.DataLen()
	if w.o.Observe != nil && w.progress.Bytes-w.observed >= bufSize {
		w.observed = w.progress.Bytes
		w.o.Observe(w.progress)
	}
}

func (w *Writer) put(f tree.File, r io.Reader) (*place, error) {
	defer w.count(&f)
	if !w.o.Fingerprints || f.Size == 0 || f.Data != nil {
		return w.place(f, r)
	}
	r, sum := w.prints.of(r)
	p, err := w.place(f, r)
	if err == nil {
		p.print = sum()
	}
	return p, err
}

// place puts a file where the options say.
func (w *Writer) place(f tree.File, r io.Reader) (*place, error) {
	switch {
	case f.Size == 0:
		return w.newPlace(0), nil
	case w.comp != nil && f.Data == nil:
		return w.comp.put(&f, r)
	case f.Data != nil || w.o.ChunkSize != 0:
		if w.comp != nil { // what waits lies before it, however many workers there are, and may end at any byte
			if err := w.comp.drain(); err != nil {
				return nil, err
			}
			w.data.align(w.bs)
		}
		return w.putChunks(f, r)
	case w.bases != nil && f.Size >= basedLeast:
		return w.bases.put(f, r)
	}
	return w.putFlat(f.Size, r)
}

// newPlace takes places from slabs: a million small objects cost the garbage collector more than a
// thousand large ones.
func (w *Writer) newPlace(size int64) *place {
	if len(w.slab) == 0 {
		w.slab = make([]place, 256)
	}
	p := &w.slab[0]
	w.slab = w.slab[1:]
	p.w, p.size = w, size
	return p
}

// putFlat places a file in consecutive blocks, its tail apart if it is to be inlined.
func (w *Writer) putFlat(size int64, r io.Reader) (*place, error) {
	before := w.data.pos()
	if w.o.large(size) {
		w.data.align(w.o.LargeAlign)
	}
	p := w.newPlace(size)
	start := w.data.pos()
	p.block = start >> w.bits
	p.tailN = int32(w.tailOf(size))
	inBlocks := size - int64(p.tailN)
	w.hash.Reset()
	if err := w.copyIn(r, inBlocks); err != nil {
		return nil, err
	}
	if p.tailN > 0 {
		tail := w.scratch[:p.tailN]
		if _, err := io.ReadFull(r, tail); err != nil {
			return nil, short(err)
		}
		if w.o.Dedupe {
			_, _ = w.hash.Write(tail)
		}
		var err error
		if p.tail, err = w.tails.add(tail); err != nil {
			return nil, err
		}
	}
	w.data.align(w.bs)
	w.top = max(w.top, w.data.pos()>>w.bits)
	if !w.o.Dedupe {
		return p, nil
	}
	return w.dedupeFile(p, before, start, inBlocks)
}

// tailOf returns how many bytes at the end of a file that is stored as it is go behind its inode.
func (w *Writer) tailOf(size int64) int64 {
	if t := size & (w.bs - 1); t <= int64(w.o.inlineMax()) && !w.o.large(size) {
		return t
	}
	return 0
}

// copyIn appends n bytes of r to the data and to the hash if anything is deduplicated.
func (w *Writer) copyIn(r io.Reader, n int64) error {
	for n > 0 {
		room := w.data.room()
		room = room[:min(int64(len(room)), n)]
		got, err := io.ReadFull(r, room)
		if err != nil {
			return short(err)
		}
		if w.o.Dedupe {
			_, _ = w.hash.Write(room)
		}
		w.data.grow(got)
		w.copied += int64(got)
		if err := w.data.failed(); err != nil {
			return err
		}
		n -= int64(got)
	}
	return nil
}

// short turns the end of a stream inside a file into the error it is.
func short(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// dedupeKey finds candidates; they are compared byte by byte, so its collisions cost time only.
type dedupeKey struct {
	hash uint64
	size int64
}

var hashSeed = maphash.MakeSeed() // decides nothing that shows: equal hashes are compared

// dedupeFile returns the place of an equal file and takes the new copy back, or p.
func (w *Writer) dedupeFile(p *place, before, start, inBlocks int64) (*place, error) {
	key := dedupeKey{w.hash.Sum64(), p.size}
	for _, q := range w.files[key] {
		same, err := w.equal(q.block<<w.bits, start, inBlocks)
		if err == nil && same && p.tailN > 0 {
			var a, b []byte
			if a, err = w.tails.get(q.tail, int(q.tailN)); err == nil {
				a = append(w.scratch[:0], a...)
				if b, err = w.tails.get(p.tail, int(p.tailN)); err == nil {
					same = string(a) == string(b)
				}
			}
		}
		if err != nil {
			return nil, err
		}
		if same {
			if p.tailN > 0 {
				w.tails.drop(p.tail)
			}
			w.saved += inBlocks
			return q, w.data.rewind(before)
		}
	}
	w.files[key] = append(w.files[key], p)
	return p, nil
}

// equal compares n bytes at two offsets of the data.
func (w *Writer) equal(a, b, n int64) (bool, error) {
	if a == b {
		return true, nil
	}
	var bufs [2][16 << 10]byte
	for n > 0 {
		l := min(n, int64(len(bufs[0])))
		if _, err := w.data.readAt(bufs[0][:l], a); err != nil {
			return false, err
		}
		if _, err := w.data.readAt(bufs[1][:l], b); err != nil {
			return false, err
		}
		if bufs[0] != bufs[1] && string(bufs[0][:l]) != string(bufs[1][:l]) {
			return false, nil
		}
		a, b, n = a+l, b+l, n-l
	}
	return true, nil
}

// ReadAt implements tree.Content, but for one goroutine only: the one that uses the Writer. It works until
// the Writer is closed, which Finish does. What is being compressed cannot be read.
func (p *place) ReadAt(b []byte, off int64) (n int, err error) {
	if p.w.closed {
		return 0, fmt.Errorf("mkfs: content: %w: its writer is closed", fs.ErrClosed)
	}
	if p.w.comp != nil && !p.w.comp.flat(p) {
		return 0, fmt.Errorf("mkfs: content: %w: it is being compressed", errors.ErrUnsupported)
	}
	for n < len(b) && off < p.size {
		var l int
		if l, err = p.readSome(b[n:], off); err != nil {
			return n, err
		}
		n, off = n+l, off+int64(l)
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// readSome reads what lies in one piece at off, below p.size.
func (p *place) readSome(b []byte, off int64) (int, error) {
	b = b[:min(int64(len(b)), p.size-off)]
	w := p.w
	if p.chunk != nil {
		size := w.bs << p.chunk.bits
		b = b[:min(int64(len(b)), size-off%size)]
		runs, at := p.chunk.runs, off/size
		k := sort.Search(len(runs), func(k int) bool { return runs[k].first+runs[k].count > at })
		if k < len(runs) && runs[k].first <= at {
			pos := runs[k].block<<w.bits + (at-runs[k].first)*size + off%size
			return w.readDevice(runs[k].device, b, pos)
		}
		clear(b)
		return len(b), nil
	}
	inBlocks := p.size - int64(p.tailN)
	if off < inBlocks {
		b = b[:min(int64(len(b)), inBlocks-off)]
		return w.readDevice(p.device, b, p.block<<w.bits+off)
	}
	t, err := w.tails.get(p.tail, int(p.tailN))
	if err != nil {
		return 0, err
	}
	return copy(b, t[off-inBlocks:]), nil
}

// readDevice reads from a file that is not written, or from what was written.
func (w *Writer) readDevice(device uint16, b []byte, pos int64) (int, error) {
	if r := w.deviceData(device); r != nil {
		return r.ReadAt(b, pos)
	}
	return w.data.readAt(b, pos)
}

// Data implements tree.Content.
func (p *place) Data() []tree.Extent {
	if p.chunk == nil {
		return nil
	}
	size := p.w.bs << p.chunk.bits
	ext := make([]tree.Extent, 0, len(p.chunk.runs))
	for _, r := range p.chunk.runs {
		e := tree.Extent{Off: r.first * size, Len: min(r.count*size, p.size-r.first*size)}
		if l := len(ext) - 1; l >= 0 && ext[l].Off+ext[l].Len == e.Off {
			ext[l].Len += e.Len
			continue
		}
		ext = append(ext, e)
	}
	return ext
}

// blocksOf returns how many blocks the part of the file that is in blocks takes.
func (p *place) blocksOf() int64 { return disk.Blocks(p.size-int64(p.tailN), p.w.bits) }
