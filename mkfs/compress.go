package mkfs

import (
	"bytes"
	"io"
	"runtime"

	"github.com/laminafs/lamina/internal/compress"
	"github.com/laminafs/lamina/internal/disk"
	"github.com/laminafs/lamina/tree"
)

// compressor cuts the bytes of files into batches, has them compressed by workers, and places the results in
// the order in which the bytes came.
//
//	put ─► open batch ─► waiting batches, with the workers ─► commit, oldest first ─► Writer.data
//
// A batch is a few small files, or a segment of a large one. What becomes of a piece depends on the piece alone, and
// pieces begin at multiples of the segment size in their file: so the image depends neither on the workers nor on
// what came before a file.
type compressor struct {
	w       *Writer
	c       *Compression
	methods []compress.Method
	pool    *compress.Pool
	segment int // most bytes of a file in a piece

	open    *batch
	waiting []*batch // oldest first, at most most
	most    int
	free    []*batch

	runs   tails  // runs of the files that are complete: see mapped
	log    []byte // memory for those of the next one
	packed packed
	twins  twins
	dedupe *dedupe // nil: only fragments and twins are shared
	refs   *refs   // nil: not with bases
	apart  *apart  // of the file that is being placed; nil: not with bases
	shared bool    // there are references
	used   uint16  // bit n: method n made a pcluster
	ended  bool
}

// batch is a job and what its bytes belong to.
type batch struct {
	job   compress.Job
	src   []byte
	parts []part // one for each piece
}

// part is a piece of a file.
type part struct {
	p      *place
	off    int64
	last   bool // of its file
	packed bool // goes into the packed inode, all of it

	from *origin    // of the file, if others may refer to it
	refs []pcluster // where the Refs of the piece lead
}

// Segments are long against pclusters, because the last one of a segment is not full; a batch of small
// files is short against a segment, so that all workers have something to do.
const (
	segmentSize      = 4 << 20
	segmentPclusters = 16
	batchSize        = 1 << 20
)

func newCompressor(w *Writer) *compressor {
	c, bs := w.o.Compression, w.o.blockSize()
	k := &compressor{w: w, c: c, segment: max(segmentSize, min(8<<20, segmentPclusters*c.largest(bs)))}
	workers := c.Workers
	if workers == 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	for _, m := range c.methods() {
		k.methods = append(k.methods, m.config(c.largest(bs)))
	}
	l := compress.Layout{BlockBits: w.bits, Dense: c.Index == IndexExtents, MaxExtent: c.MaxExtent, Interlaced: k.interlaced()}
	k.pool = compress.NewPool(workers, l, k.methods)
	k.most = 2*workers + 1
	k.runs.dir, k.packed.out.dir, k.packed.ends.bytes.dir = w.o.TempDir, w.o.TempDir, w.o.TempDir
	if w.use != nil {
		k.refs = newRefs(w)
	}
	if w.o.Dedupe || k.refs != nil {
		k.dedupe = newDedupe(w.o.Dedupe)
	}
	if w.o.Dedupe && k.refs == nil { // what a base was cut into is cut at the segments of an image without
		k.segment = max(1<<20, min(k.segment, segmentPclusters*c.largest(bs))) // a piece shares nothing with itself
	}
	if k.fragments() || c.Directories {
		k.packed.known = make(map[digest]int64)
		k.packed.place = &place{w: w}
		k.packed.place.comp = k.begin(0)
	}
	if k.fragments() || k.dedupe != nil { // else it would need a later kernel
		k.twins.known = make(map[twinKey]int64)
	}
	return k
}

// fragments tells whether there is a packed inode.
func (k *compressor) fragments() bool { return k.c.Tails >= TailFragments }

// put takes the bytes of a file. The place is filled in when its pieces are committed.
func (k *compressor) put(f *tree.File, r io.Reader) (*place, error) {
	method, pcluster := k.c.choose(f.Path, int(k.w.bs))
	piece := compress.Piece{Method: method, Pcluster: pcluster}
	pt := part{p: k.w.newPlace(f.Size), packed: k.packs(f.Size, method, pcluster)}
	if pt.packed && (k.refs == nil || f.Size > int64(k.segment)) {
		piece.Method = compress.Store
	} else if k.dedupe != nil {
		pt.from = &origin{method: max(method, 0)}
	}
	for pt.off < f.Size {
		n := min(f.Size-pt.off, int64(k.segment))
		pt.last = pt.off+n == f.Size
		piece.Tail = k.tail(pt.last)
		same, err := k.piece(pt, piece, int(n), r)
		if same != nil || err != nil {
			return same, err
		}
		pt.off += n
	}
	return pt.p, nil
}

// piece takes the next n bytes of a file, or finds that all of the file is in another place.
func (k *compressor) piece(pt part, piece compress.Piece, n int, r io.Reader) (*place, error) {
	if pt.from != nil {
		b := k.dedupe.buffer(k.segment)[:n]
		if _, err := io.ReadFull(r, b); err != nil {
			return nil, short(err)
		}
		piece.Src = b
		if !pt.packed || !k.refs.has(b) {
			if same, err := k.share(&pt, &piece); same != nil || err != nil {
				return same, err
			}
		}
		if pt.packed = pt.packed && len(piece.Refs) == 0; pt.packed {
			pt.from, piece.Method = nil, compress.Store
		}
		r = bytes.NewReader(b)
	}
	b, err := k.room(n)
	if err != nil {
		return nil, err
	}
	start := len(b.src)
	b.src = b.src[:start+n]
	piece.Src = b.src[start:]
	if _, err := io.ReadFull(r, piece.Src); err != nil {
		return nil, short(err)
	}
	k.w.copied += int64(n)
	b.job.Pieces = append(b.job.Pieces, piece)
	b.parts = append(b.parts, pt)
	if len(b.src) >= batchSize || len(b.parts) >= batchSize/int(k.w.bs) { // each part becomes a block at least
		err = k.send()
	}
	return nil, err
}

// interlaced tells whether stored blocks may wrap around: where others refer to them, they may not.
func (k *compressor) interlaced() bool {
	return k.fragments() && !k.w.o.Dedupe && k.w.use == nil && k.c.Index != IndexExtents
}

// packs tells whether a file goes into the packed inode as a whole: it would not fill a pcluster, but more than the
// fields that lead there.
func (k *compressor) packs(size int64, method, pcluster int) bool {
	const fields = disk.MapHeaderSize + disk.FullIndexPad
	if !k.fragments() || method == compress.Store || size <= 2*fields {
		return false
	}
	return k.c.Tails == TailAllFragments || size <= int64(pcluster)
}

// tail says what becomes of the end of a piece.
func (k *compressor) tail(last bool) compress.Tail {
	switch {
	case !last:
	case k.c.Tails == TailInline && k.c.Index != IndexExtents: // extents end at any byte: there is no padding to save
		return compress.TailInline
	case k.fragments():
		return compress.TailRest
	}
	return compress.TailPad
}

// room returns the open batch with space for n bytes, at most a segment.
func (k *compressor) room(n int) (*batch, error) {
	if k.open != nil && cap(k.open.src)-len(k.open.src) < n {
		if err := k.send(); err != nil {
			return nil, err
		}
	}
	if k.open == nil {
		k.open = k.batch()
	}
	return k.open, nil
}

// batch returns an empty batch.
func (k *compressor) batch() *batch {
	if l := len(k.free); l > 0 {
		b := k.free[l-1]
		k.free = k.free[:l-1]
		return b
	}
	return &batch{src: make([]byte, 0, k.segment)}
}

// start hands a batch to the workers.
func (k *compressor) start(b *batch) {
	k.waiting = append(k.waiting, b)
	k.pool.Start(&b.job)
}

// send hands the open batch to the workers and commits the oldest one if too many wait.
func (k *compressor) send() error {
	b := k.open
	if b == nil {
		return nil
	}
	k.open = nil
	for len(k.waiting) >= k.most {
		if err := k.commitOldest(); err != nil {
			return err
		}
	}
	k.start(b)
	return nil
}

// drain commits everything that was put.
func (k *compressor) drain() error {
	if err := k.send(); err != nil {
		return err
	}
	for len(k.waiting) > 0 {
		if err := k.commitOldest(); err != nil {
			return err
		}
	}
	return nil
}

// finish places everything that was put, and the packed inode.
func (k *compressor) finish() error {
	if k == nil {
		return nil
	}
	err := k.drain()
	if err == nil && k.packed.place != nil {
		err = k.endPacked()
	}
	return err
}

func (k *compressor) commitOldest() error {
	b := k.waiting[0]
	k.waiting = append(k.waiting[:0], k.waiting[1:]...)
	if err := b.job.Wait(); err != nil {
		return err
	}
	for i := range b.parts {
		if err := k.commit(&b.parts[i], &b.job.Pieces[i]); err != nil {
			return err
		}
	}
	k.release(b)
	return nil
}

// commitMore commits until no more batches wait than may.
func (k *compressor) commitMore() error {
	for len(k.waiting) > k.most {
		if err := k.commitOldest(); err != nil {
			return err
		}
	}
	return nil
}

// release takes back a batch that no worker has.
func (k *compressor) release(b *batch) {
	b.job.Reset()
	clear(b.parts)
	b.parts, b.src = b.parts[:0], b.src[:0]
	k.free = append(k.free, b)
}

// flat tells whether the bytes of p are complete and stored as they are.
func (k *compressor) flat(p *place) bool { return k.drain() == nil && p.comp == nil }

// close ends the workers. It is idempotent.
func (k *compressor) close() {
	if k.ended {
		return
	}
	k.ended = true
	k.pool.Close()
	k.runs.close()
	k.packed.out.close()
	k.packed.ends.bytes.close()
}
