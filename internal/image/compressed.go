package image

import (
	"iter"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/laminafs/lamina/internal/disk"
	"github.com/laminafs/lamina/internal/zmap"
)

const (
	// readBatch bounds the extents that one read looks at before it reads them.
	readBatch = 64
	// parallelMin is how many bytes in a batch are worth more than one goroutine.
	parallelMin = 64 << 10
	// openMaps is how many opened indexes are kept.
	openMaps = 256
)

// Compressed tells whether an index says where the data of the inode is, and not the inode itself.
func (i *Inode) Compressed() bool {
	return i.Layout() == disk.CompressedFull || i.Layout() == disk.CompressedCompact
}

// openMap is the opened index of an inode.
type openMap struct {
	nid uint64
	m   *zmap.Map
}

// CompressedMap opens the index of a compressed inode.
func (im *Image) CompressedMap(i *Inode) (*zmap.Map, error) {
	slot := &im.maps[i.NID%openMaps]
	if o := slot.Load(); o != nil && o.nid == i.NID {
		return o.m, nil
	}
	w, err := im.Meta(i.NID)
	if err != nil {
		return nil, err
	}
	m, err := zmap.Open(zmap.File{Super: &im.Super, Meta: w, NID: i.NID, Body: i.BodyOff(), Size: i.Size, Layout: i.Layout()})
	if err != nil {
		return nil, err
	}
	slot.Store(&openMap{i.NID, m})
	return m, nil
}

// piece is a part of an extent that is to be read to p.
type piece struct {
	e    zmap.Extent
	from int64 // in the extent
	p    []byte
}

// readCompressed is ReadAt for a compressed inode. Large reads decode on all processors.
func (im *Image) readCompressed(i *Inode, p []byte, off int64) error {
	m, err := im.CompressedMap(i)
	if err != nil {
		return err
	}
	var first [4]piece // most reads have no more
	batch := first[:0]
	for e, err := range m.From(off) {
		if err != nil {
			return err
		}
		n := min(int64(len(p)), e.End()-off)
		batch = append(batch, piece{e, off - e.Logical, p[:n]})
		p, off = p[n:], off+n
		if len(p) == 0 || len(batch) == readBatch {
			if err := im.readPieces(i, batch); err != nil || len(p) == 0 {
				return err
			}
			batch = batch[:0]
		}
	}
	return i.bad("offset", off, "outside the file")
}

// readPieces reads pieces that follow on each other.
func (im *Image) readPieces(i *Inode, batch []piece) error {
	var work int64
	for k := range batch {
		if batch[k].e.Kind == zmap.Compressed {
			work += int64(len(batch[k].p))
		}
	}
	procs := min(runtime.GOMAXPROCS(0), len(batch))
	if work < parallelMin || procs == 1 {
		for k := range batch {
			if err := im.readPiece(i, &batch[k]); err != nil {
				return err
			}
		}
		return nil
	}
	var next atomic.Int64
	errs := make([]error, procs)
	var wait sync.WaitGroup
	for g := range procs {
		wait.Go(func() {
			for k := next.Add(1); k <= int64(len(batch)) && errs[g] == nil; k = next.Add(1) {
				errs[g] = im.readPiece(i, &batch[k-1])
			}
		})
	}
	wait.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (im *Image) readPiece(i *Inode, x *piece) error {
	e := &x.e
	switch e.Kind {
	case zmap.Hole:
		clear(x.p)
		return nil
	case zmap.Fragment:
		return im.readFragment(i, x.p, e, x.from)
	}
	w, pos, err := im.pclusterAt(i, e)
	if err != nil {
		return err
	}
	switch e.Kind {
	case zmap.Shifted:
		return w.Fill(x.p, pos+x.from, "stored data")
	case zmap.Interlaced:
		// Bytes lie where they would in a file that begins with the block, and the block is a ring.
		at := (e.Logical + x.from) & (im.BlockSize() - 1)
		n := min(int64(len(x.p)), im.BlockSize()-at)
		if err := w.Fill(x.p[:n], pos+at, "stored data"); err != nil {
			return err
		}
		return w.Fill(x.p[n:], pos, "stored data")
	}
	return im.readPcluster(w, pos, x)
}

// pclusterAt returns where the pcluster of an extent is.
func (im *Image) pclusterAt(i *Inode, e *zmap.Extent) (w *Window, pos int64, err error) {
	if e.Inline {
		w, err = im.Meta(i.NID)
		return w, e.Pos, err
	}
	device, pos, err := im.locate(0, uint64(e.Pos>>im.bits), e.Pos&(im.BlockSize()-1), e.PLen)
	if err != nil {
		return nil, 0, i.at(err)
	}
	return im.Devices[device].Window, pos, nil
}

// readPcluster reads from a compressed extent whose pcluster is at pos. All of it is decoded in place: who
// reads whole extents reads them once. Parts of it go through the cache.
func (im *Image) readPcluster(w *Window, pos int64, x *piece) error {
	key := pclusterKey{w, pos, x.e.PLen, x.e.Algorithm, 0}
	src := payloads.Get().(*payload)
	defer payloads.Put(src)
	if int64(len(x.p)) < x.e.Len || im.cache.has(key, len(x.p)) {
		return im.readCached(key, src, x.e, x.from, x.p)
	}
	b, err := src.read(w, pos, x.e.PLen)
	if err != nil {
		return err
	}
	return im.decode(x.p, b, &x.e)
}

// readCached reads p from an extent through the cache.
func (im *Image) readCached(key pclusterKey, src *payload, e zmap.Extent, from int64, p []byte) error {
	d, err := im.cache.get(&want{
		key: key, from: int(from), end: int(from) + len(p), full: int(e.Len),
		src:    func() ([]byte, error) { return src.read(key.w, key.pos, key.plen) },
		decode: func(dst, src []byte) error { return im.decode(dst, src, &e) },
	})
	if err != nil {
		return err
	}
	copy(p, d.data[int(from)-d.base:])
	im.cache.put(d)
	return nil
}

// payload is a buffer for the bytes of a pcluster on disk, at most zmap.MaxEncoded.
type payload struct{ b []byte }

var payloads = sync.Pool{New: func() any { return new(payload) }}

func (b *payload) read(w *Window, pos, n int64) ([]byte, error) {
	if int64(cap(b.b)) < n {
		b.b = make([]byte, n)
	}
	b.b = b.b[:n]
	return b.b, w.Fill(b.b, pos, "pcluster")
}

// readFragment reads from an extent that lies in the packed inode (section 7.7).
func (im *Image) readFragment(i *Inode, p []byte, e *zmap.Extent, from int64) error {
	packed, err := im.Packed()
	switch {
	case err != nil:
		return err
	case packed == nil:
		return i.bad("fragment", e.Pos, "in a packed inode that the image does not have")
	case i.NID == packed.NID:
		return i.bad("fragment", e.Pos, "the packed inode lies in itself")
	case e.Pos > packed.Size-e.Len:
		return i.bad("fragment", e.Pos, "beyond the end of the packed inode")
	}
	return im.ReadAt(packed, p, e.Pos+from)
}

// compressedExtents is Extents for a compressed inode.
func (im *Image) compressedExtents(i *Inode) iter.Seq2[Extent, error] {
	return func(yield func(Extent, error) bool) {
		m, err := im.CompressedMap(i)
		if err != nil {
			yield(Extent{}, err)
			return
		}
		for z, err := range m.From(0) {
			var e Extent
			if err == nil {
				e, err = im.encodedExtent(i, &z)
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

// encodedExtent is an extent of an index with the device that it is on.
func (im *Image) encodedExtent(i *Inode, z *zmap.Extent) (e Extent, err error) {
	e = Extent{Logical: z.Logical, Len: z.Len, Pos: z.Pos, Stored: z.PLen, Kind: Encoded, Algorithm: z.Algorithm, Plain: z.Kind != zmap.Compressed}
	switch {
	case z.Kind == zmap.Hole:
		e.Kind, e.Pos = Hole, 0
	case z.Kind == zmap.Fragment:
		e.Kind = Packed
	case z.Inline:
		e.Device = MetaDevice(i.NID)
	default:
		e.Device, e.Pos, err = im.locate(0, uint64(z.Pos>>im.bits), z.Pos&(im.BlockSize()-1), z.PLen)
		err = i.at(err)
	}
	return e, err
}
