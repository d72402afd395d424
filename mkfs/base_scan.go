package mkfs

import (
	"cmp"
	"errors"
	"math"
	"slices"

	"github.com/laminafs/lamina/internal/compress"
	"github.com/laminafs/lamina/internal/disk"
	"github.com/laminafs/lamina/internal/image"
	"github.com/laminafs/lamina/internal/zmap"
)

// What a base may cost: this many bytes read of it, decoded, for each of its own, and some more. Real images have a
// tenth of that. In a hostile one a few bytes stand for megabytes, again and again: what is beyond is not looked at.
const (
	scanRatio = 64
	scanFree  = 64 << 20
)

// scanStep is how many bytes of a file of a base are read at a time: a multiple of it is where pieces begin, so
// that chunks do.
const scanStep = segmentSize

// entryCost is what one entry of an index or of a chunk array costs, in bytes to be read: decoding it takes as long.
const entryCost = 64

// fragmentMax bounds the fragments that are remembered; longer ones are never put in one piece.
const fragmentMax = 8 << 20

// baseScan reads the files of an image.
type baseScan struct {
	b       *Bases
	files   *baseFiles
	im      *image.Image
	devices []uint16 // bases that are the devices of the image, it itself first; without the others if they are not there
	left    int64    // bytes that may still be read
	seen    map[uint64]bool
	found   []fragmentRange
	cut     compress.Chunker
	buf     []byte
}

// fragmentRange is a part of the packed inode.
type fragmentRange struct{ off, len int64 }

// passed tells whether an error of an image is one to go on behind: what it says is broken, not the reader.
func passed(err error) bool {
	return errors.Is(err, disk.ErrCorrupt) || errors.Is(err, errors.ErrUnsupported)
}

// charge accounts for n bytes to be read; false: not any more.
func (s *baseScan) charge(n int64) bool {
	if n > s.left {
		s.left = 0
		return false
	}
	s.left -= n
	return true
}

// scan goes through the directories, then through the fragments of what was found.
func (s *baseScan) scan() error {
	size := int64(scanFree)
	for _, d := range s.devices {
		size += scanRatio * s.b.list[d-1].Size // at most 2^38 bytes each
	}
	s.left, s.seen, s.cut = size, make(map[uint64]bool), compress.NewChunker(chunkSize)
	root := s.im.Super.RootNID()
	s.seen[root] = true
	for todo := []uint64{root}; len(todo) > 0 && s.left > 0; {
		nid := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		i, err := s.im.Inode(nid)
		if err == nil {
			switch {
			case i.IsDir():
				todo, err = s.dir(&i, todo)
			case i.IsRegular() && i.Size > 0:
				err = s.file(&i)
			}
		}
		if err != nil && !passed(err) {
			return err
		}
	}
	if err := s.fragments(); err != nil && !passed(err) {
		return err
	}
	return nil
}

// dir appends what a directory names, the first one last.
func (s *baseScan) dir(dir *image.Inode, todo []uint64) ([]uint64, error) {
	first := len(todo)
	defer func() { slices.Reverse(todo[first:]) }()
	for k := range s.im.DirBlocks(dir) {
		if !s.charge(s.im.BlockSize()) {
			break
		}
		block, err := s.im.DirBlock(dir, k)
		if err != nil {
			return todo, err
		}
		for n := range block.Len() {
			e, err := block.Entry(n)
			if err != nil {
				return todo, err
			}
			if !e.IsDot() && !s.seen[e.NID] {
				s.seen[e.NID] = true
				todo = append(todo, e.NID)
			}
		}
	}
	return todo, nil
}

// file takes note of the pclusters of a file and of the chunks in them.
func (s *baseScan) file(i *image.Inode) error {
	o, err := s.origin(i, true)
	if err != nil && !passed(err) || len(o.pclusters) == 0 {
		return err
	}
	last := o.pclusters[len(o.pclusters)-1]
	next := 0 // of the pclusters
	for off := int64(0); off < last.off+last.len; off += scanStep {
		for next < len(o.pclusters) && o.pclusters[next].off+o.pclusters[next].len <= off {
			next++
		}
		if begin := o.pclusters[next].off; begin >= off+scanStep { // a hole, or fragments
			off = begin - begin%scanStep
		}
		n := min(i.Size-off, scanStep)
		if !s.charge(n) {
			return nil
		}
		b, err := s.read(i, off, n)
		if err != nil {
			return err
		}
		for at := 0; at < len(b) && len(s.files.chunks) < maxChunks; {
			n, hash := s.cut.Next(b[at:])
			if _, known := s.files.chunks[hash]; !known {
				s.files.chunks[hash] = chunkAt{o, off + int64(at)}
			}
			at += n
		}
	}
	return nil
}

// read returns bytes of an inode until its next call.
func (s *baseScan) read(i *image.Inode, off, n int64) ([]byte, error) {
	if int64(len(s.buf)) < n {
		s.buf = make([]byte, max(n, min(scanStep, s.left)))
	}
	return s.buf[:n], s.im.ReadAt(i, s.buf[:n], off)
}

// origin returns the pclusters of an inode that others may refer to, those before the first error; tails says to take
// note of where its fragments are.
func (s *baseScan) origin(i *image.Inode, tails bool) (*origin, error) {
	o := &origin{known: true, committed: math.MaxInt64}
	if !i.Compressed() {
		return o, s.plain(o, i)
	}
	m, err := s.im.CompressedMap(i)
	if err != nil {
		return o, err
	}
	_, header := m.Header()
	if n := m.IndexEnd() - header; n > s.left || !s.charge(n*(entryCost/disk.LclusterSize)) {
		s.left = 0
		return o, nil
	}
	for z, err := range m.From(0) {
		if err != nil {
			return o, err
		}
		if z.Kind == zmap.Fragment && tails && z.Len <= fragmentMax {
			s.found = append(s.found, fragmentRange{z.Pos, z.Len})
		}
		if z.Kind == zmap.Hole || z.Kind == zmap.Fragment || z.Inline {
			continue
		}
		e, err := s.im.Encoded(i, &z)
		if err != nil {
			return o, err
		}
		if s.encoded(o, &z, &e); s.left == 0 {
			break
		}
	}
	return o, nil
}

// plain adds the blocks of an inode without an index. Chunks may be holes, and the same for many inodes: what it costs is
// the length of their array.
func (s *baseScan) plain(o *origin, i *image.Inode) error {
	n := int64(1)
	if i.Layout() == disk.ChunkBased {
		_, n = s.im.Chunks(i)
	}
	if n > s.left || !s.charge(n*entryCost) {
		s.left = 0
		return nil
	}
	for e, err := range s.im.Extents(i) {
		if err != nil {
			return err
		}
		if e.Kind == image.Data {
			s.stored(o, e.Logical, e.Len&^(s.im.BlockSize()-1), &e)
		}
		if s.left == 0 {
			break
		}
	}
	return nil
}

// encoded adds an extent of an index.
func (s *baseScan) encoded(o *origin, z *zmap.Extent, e *image.Extent) {
	bs := s.im.BlockSize()
	switch {
	case z.Kind == zmap.Compressed && z.Len >= bs:
		s.add(o, pcluster{off: z.Logical, len: z.Len, pos: e.Pos, plen: z.PLen, algorithm: z.Algorithm, partial: z.Partial}, e.Device)
	case z.Kind == zmap.Shifted || z.Kind == zmap.Interlaced && z.Logical&(bs-1) == 0: // which is the same then
		s.stored(o, z.Logical, z.Len, e)
	}
}

// storedMax bounds the stored blocks that are one pcluster, in bytes, as the format does others: it is what a reference to one
// of them reads and copies.
const storedMax = compress.MaxPcluster

// stored adds bytes that are as they are in the file, as far as they are on a base: whole blocks, or what an index of encoded
// extents has.
func (s *baseScan) stored(o *origin, off, n int64, e *image.Extent) {
	bs, device := s.im.BlockSize(), s.device(e.Device)
	if device == 0 {
		return
	}
	if room := s.b.list[device-1].Size - e.Pos; n > room {
		n = room &^ (bs - 1)
	}
	if n < bs {
		return
	}
	if l := len(o.pclusters) - 1; l >= 0 {
		last := &o.pclusters[l]
		if last.stored && last.off+last.len == off && last.pos+last.len == e.Pos && device == last.device && last.len+n <= storedMax {
			last.len, last.plen = last.len+n, last.plen+n
			return
		}
	}
	for at := int64(0); at < n && s.left > 0; at += storedMax {
		part := min(n-at, storedMax)
		s.add(o, pcluster{off: off + at, len: part, pos: e.Pos + at, plen: part, stored: true}, e.Device)
	}
}

// add adds a pcluster if it is on a base.
func (s *baseScan) add(o *origin, p pcluster, device int) {
	if p.device = s.device(device); p.device == 0 || !s.charge(s.im.BlockSize()) {
		return
	}
	if (p.pos|p.plen)&(s.im.BlockSize()-1) != 0 {
		s.files.dense = true
	}
	if p.plen > s.b.list[p.device-1].Size-p.pos {
		return
	}
	o.pclusters = append(o.pclusters, p)
}

// device returns the number that a device of the image has as a base, 0 if it has none.
func (s *baseScan) device(device int) uint16 {
	if device < 0 || device >= len(s.devices) {
		return 0
	}
	return s.devices[device]
}

// fragments takes note of the fragments that were found. They are read in the order of their places, so that each
// pcluster is decoded once or twice.
func (s *baseScan) fragments() error {
	i, err := s.im.Packed()
	if i == nil || err != nil || len(s.found) == 0 {
		return err
	}
	o, err := s.origin(i, false)
	if err != nil && !passed(err) {
		return err
	}
	packed := len(s.files.packed)
	s.files.packed = append(s.files.packed, o)
	slices.SortFunc(s.found, func(a, b fragmentRange) int {
		return cmp.Or(cmp.Compare(a.off, b.off), cmp.Compare(a.len, b.len))
	})
	var window []byte
	at := int64(0) // where it begins
	for _, f := range slices.Compact(s.found) {
		if !s.charge(f.len) {
			return nil
		}
		if f.off > i.Size-f.len || !o.holds(f.off, f.len) {
			continue
		}
		if f.off < at || f.off+f.len > at+int64(len(window)) {
			n := min(max(f.len, scanStep), i.Size-f.off)
			if !s.charge(n) {
				return nil
			}
			at = f.off
			if window, err = s.read(i, at, n); err != nil {
				return err
			}
		}
		key := digestOf(window[f.off-at:][:f.len])
		if _, known := s.files.fragments[key]; !known {
			s.files.fragments[key] = fragmentAt{packed, f.off}
		}
	}
	return nil
}

// index returns the number of the pcluster with the byte at an offset, if there is one, -1 if all are behind it.
func (o *origin) index(off int64) int {
	n, found := slices.BinarySearchFunc(o.pclusters, off, func(p pcluster, off int64) int { return cmp.Compare(p.off, off) })
	if !found {
		n--
	}
	return n
}

// covering returns the pclusters that hold n bytes from an offset on without a gap, none if there is one.
func (o *origin) covering(off, n int64) []pcluster {
	from := o.index(off)
	if from < 0 {
		return nil
	}
	end := o.pclusters[from].off
	for k := from; k < len(o.pclusters) && o.pclusters[k].off == end; k++ {
		if end += o.pclusters[k].len; end >= off+n {
			return o.pclusters[from : k+1]
		}
	}
	return nil
}

func (o *origin) holds(off, n int64) bool { return o.covering(off, n) != nil }
