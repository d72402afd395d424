// Package mkfs writes EROFS images in one pass.
//
// The bytes of files go to their final place while the source streams: a Writer is the tree.Spool that
// sources put them in. When the source has ended, Finish plans all metadata at once and writes it behind
// the data; the superblock comes last, so an interrupted image has none.
//
//	┌────────────┬──────────────────────────┬────────────────────────────────────────────┐
//	│ superblock │ data, in stream order    │ metadata: inodes, directories, xattrs      │
//	└────────────┴──────────────────────────┴────────────────────────────────────────────┘
//
// Same stream and same options give the same bytes, on every system. Memory is bounded by the number of
// entries, never by the length of files.
package mkfs

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"hash/maphash"
	"io"
	"io/fs"
	"math"

	"github.com/laminafs/lamina/internal/disk"
	"github.com/laminafs/lamina/tree"
)

// Writer makes one image. It is used by one goroutine: Put for every file, then Finish; Close at any time.
type Writer struct {
	o    Options
	bs   int64
	bits uint8
	f    File

	data   *output // where Put writes: the image, or the blob device
	meta   *output // the image
	device uint16  // of data: 0 the image, 1 the blob
	slots  []deviceSlot
	header int64 // length of what is before the data

	comp     *compressor // nil: nothing is compressed
	outer    memory      // inodes before the data
	use      *baseUse    // nil: all data is in the image
	bases    *based      // nil: no blocks are looked for in bases
	prints   fingerprinter
	tails    tails
	slab     []place
	scratch  []byte // a block
	hash     maphash.Hash
	ident    hash.Hash // of metadata, for the UUID: at first what is not behind the data
	files    map[dedupeKey][]*place
	pieces   map[dedupeKey][]int64
	saved    int64 // bytes not stored twice
	based    int64 // bytes referred to in bases
	referred int64 // bytes referred to on devices and in the image that is kept
	lowest   int64 // where the first of the latter is
	begin    int64 // where the data that is written begins
	sparse   int64 // declared cost of sparse files beyond their data, see allowSparse
	copied   int64 // bytes of data that came, equal ones included
	filled   int64 // zeros written between them
	top      int64 // behind the highest block of data on any device
	end      int64 // length of the image, 0 until it is planned

	progress Event
	observed int64
	err      error
	closed   bool
}

// deviceSlot is a device of the image besides the primary one.
type deviceSlot struct {
	tag    string
	blocks int64
}

// Summary says what an image holds.
type Summary struct {
	Size           int64    // of the image in bytes
	Data           int64    // of it, file data in blocks
	Metadata       int64    // of it, everything from the first inode on
	Saved          int64    // bytes not stored because equal ones were there
	Based          int64    // bytes not stored because bases have them
	Referred       int64    // bytes not stored because they lie on Options.Devices or in what was kept
	Bases          []int    // the bases that became extra devices, by their numbers in Options.Bases from 0
	Inodes         int64    // number of inodes
	Dropped        int      // xattrs left out because EROFS has no such namespace
	UUID           [16]byte // as stored
	DataDeviceSize int64    // of the data device, if there is one
	RootNID        uint64
	BlockSize      int
}

// New returns a Writer that makes an image in f, which should be empty. The caller syncs and closes f.
func New(f File, o Options) (*Writer, error) {
	w, err := newWriter(f, o)
	if err != nil {
		return nil, err
	}
	w.start()
	return w, nil
}

func newWriter(f File, o Options) (*Writer, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	w := &Writer{o: o, f: f, bs: int64(o.blockSize())}
	w.bits, _ = disk.Log2(o.blockSize())
	w.scratch = make([]byte, w.bs)
	w.hash.SetSeed(hashSeed)
	w.ident = sha256.New()
	w.tails.dir = o.TempDir
	if o.Dedupe {
		w.files, w.pieces = make(map[dedupeKey][]*place), make(map[dedupeKey][]int64)
	}
	return w, nil
}

// start reserves the header: superblock, device table, table of long xattr prefixes.
func (w *Writer) start() {
	if w.o.DataDevice != nil {
		w.data, w.device = newOutput(w.o.DataDevice, 0), 1
	}
	if b := w.o.Bases; b != nil {
		w.use = &baseUse{b, make([]bool, len(b.list))}
	}
	w.setSlots(true)
	w.header = disk.Align(int64(len(w.encodeHeader())), w.bs)
	w.begin, w.lowest = max(w.header, disk.Align(w.o.Keep, w.bs)), math.MaxInt64
	w.meta = newOutput(w.f, w.begin)
	if w.data == nil {
		w.data = w.meta
	}
	switch {
	case w.o.Compression != nil:
		w.comp = newCompressor(w)
	case w.use != nil:
		w.bases = newBased(w)
	}
}

// setSlots makes the device table of what is known so far. more says that references to any base may come; then all of
// them have a slot.
func (w *Writer) setSlots(more bool) {
	switch {
	case w.o.DataDevice != nil:
		w.slots = []deviceSlot{{blocks: w.data.pos() >> w.bits}}
	case w.use != nil:
		w.slots = w.use.devices(more)
	case len(w.o.Devices) > 0:
		w.slots = w.deviceSlots()
	} // else there is none, or that of a tar index, which knows it
}

// SetUUID sets the UUID of the file system any time before Finish.
func (w *Writer) SetUUID(u [16]byte) { w.o.UUID = u }

// Finish writes the metadata of t and the superblock, and ends the Writer. Contents in t that this Writer
// did not place are copied first. After nil the image is complete in f, not yet synced; after an error f
// holds no superblock.
//
// Finish replaces Node.Content of the files it copies.
func (w *Writer) Finish(t *tree.Tree) (Summary, error) {
	sum, err := w.finish(t)
	if cerr := w.Close(); err == nil {
		err = cerr
	}
	return sum, err
}

func (w *Writer) finish(t *tree.Tree) (Summary, error) {
	if w.err != nil {
		return Summary{}, w.err
	}
	w.err = errors.New("mkfs: writer: already finished")
	if err := w.endData(t); err != nil {
		return Summary{}, err
	}
	p, err := w.plan(t)
	if err != nil {
		return Summary{}, err
	}
	if err := w.writeMetadata(p); err != nil {
		return Summary{}, err
	}
	uuid, err := w.writeSuper(p)
	if err != nil {
		return Summary{}, err
	}
	if w.o.Observe != nil {
		w.o.Observe(w.progress)
	}
	return w.summary(p, uuid), nil
}

// endData places what is not placed yet of the contents in t. Only directories may come behind that.
func (w *Writer) endData(t *tree.Tree) error {
	if err := w.adopt(t, t.Root, ""); err != nil {
		return err
	}
	end := w.comp.finish
	if w.comp.packsDirectories() {
		end = w.comp.drain
	}
	if err := end(); err != nil {
		return err
	}
	if w.data != w.meta {
		if err := w.data.sync(); err != nil {
			return err
		}
		if err := w.o.DataDevice.Truncate(w.data.pos()); err != nil {
			return err
		}
	}
	w.setSlots(w.comp.packsDirectories())
	return w.checkKept()
}

// writeMetadata writes what p says; only the superblock is missing then.
func (w *Writer) writeMetadata(p *plan) error {
	w.end = p.end
	if err := w.emit(p); err != nil {
		return err
	}
	w.end = p.end // a metabox ends the image later than was planned
	if err := w.meta.sync(); err != nil {
		return err
	}
	return w.f.Truncate(p.end)
}

func (w *Writer) summary(p *plan, uuid [16]byte) Summary {
	s := Summary{
		Size: p.end, Data: p.base - w.begin, Metadata: p.end - p.base, Saved: w.saved, Referred: w.referred, UUID: uuid,
		Inodes: p.inos, Dropped: p.x.dropped, RootNID: p.root, BlockSize: int(w.bs),
	}
	if w.data != w.meta {
		s.DataDeviceSize = w.data.pos()
	}
	if w.use != nil {
		s.Based, s.Bases = w.based, w.use.numbers()
	}
	return s
}

// plan computes all addresses behind the data. Directories that are to be packed are: they are the last contents of
// the packed inode.
func (w *Writer) plan(t *tree.Tree) (*plan, error) {
	bound := w.meta.pos()
	if w.comp.packsDirectories() {
		bound += 2 * w.comp.packed.place.size // pclusters are not longer, padding included
	}
	p, err := w.planInodes(t, bound)
	if err != nil {
		return nil, err
	}
	if w.comp.packsDirectories() {
		if err := w.packDirectories(p.plan); err != nil {
			return nil, err
		}
		if err := w.comp.finish(); err != nil {
			return nil, err
		}
		w.setSlots(false)
	}
	if !p.boxed || p.dirs+p.late > 0 {
		w.meta.align(w.bs)
	}
	return p.plan, p.settle(w.meta.pos())
}

// adopt copies contents that are not in this image yet, in the order in which a source would stream them.
func (w *Writer) adopt(t *tree.Tree, dir *tree.Node, path string) error {
	for _, e := range dir.Entries() {
		var err error
		switch n := e.Node; {
		case n.IsDir():
			if err = w.adopt(t, n, path+e.Name+"/"); err != nil {
				return err
			}
		case n.IsRegular():
			err = w.adoptFile(n, func() string { return path + e.Name })
		}
		if err != nil {
			return fmt.Errorf("mkfs: %q: %w", pathOf(t, e.Node), err)
		}
	}
	return nil
}

func (w *Writer) adoptFile(n *tree.Node, path func() string) error {
	if c, ok := n.Content.(*place); ok && c.w == w {
		return nil
	}
	if n.Content == nil && n.Size > 0 {
		return fmt.Errorf("%d bytes without content", n.Size)
	}
	f := tree.File{Size: n.Size, Path: path}
	var r io.Reader
	if n.Size > 0 {
		if l, ok := n.Content.(Located); ok {
			c, err := w.refer(n, l)
			if c != nil && err == nil {
				n.Content = c
			}
			if c != nil || err != nil {
				return err
			}
		}
		f.Data = n.Content.Data()
		r = dataReader(n.Content, f)
	}
	c, err := w.put(f, r)
	if err != nil {
		return err
	}
	n.Content = c
	return nil
}

// dataReader reads the extents of a content back to back.
func dataReader(c tree.Content, f tree.File) io.Reader {
	if f.Data == nil {
		return io.NewSectionReader(c, 0, f.Size)
	}
	parts := make([]io.Reader, len(f.Data))
	for i, e := range f.Data {
		parts[i] = io.NewSectionReader(c, e.Off, e.Len)
	}
	return io.MultiReader(parts...)
}

// Close ends the Writer without an image if Finish was not called; Put and Finish fail from then on. It is
// idempotent.
func (w *Writer) Close() error {
	w.closed = true
	if w.err == nil {
		w.err = fmt.Errorf("mkfs: writer: %w", fs.ErrClosed)
	}
	if w.comp != nil {
		w.comp.close()
	}
	err := w.meta.close()
	if w.data != w.meta {
		err = errors.Join(err, w.data.close())
	}
	w.tails.close()
	return err
}
