package mkfs

import (
	"bytes"
	"hash/maphash"
	"io"
	"math"
	"slices"

	"github.com/laminafs/lamina/internal/disk"
	"github.com/laminafs/lamina/tree"
)

// basedRun is how many blocks must follow each other in a base as they do in the file to be referred to,
// unless the file ends with them: shorter pieces save less than they scatter.
const basedRun = 4

// basedLeast is the length of files that are looked for: shorter ones cost less behind their inode than an
// index, and a reader has them with it.
const basedLeast = 128

// baseWindow is how many bytes of a base are read at a time once a run has begun.
const baseWindow = 64 << 10

// based places files whose blocks may be in a base. Blocks are looked up one by one as they come; what
// is in a base is not written. A file that has nothing there is stored as if there were no bases.
//
//	a block ─► is it the one behind the last one found? ─► yes: wait until there are basedRun, then a run
//	           else hash, look up, compare              ─► no:  write what waits, and this one
type based struct {
	w *Writer
	*baseUse

	near   []byte // bytes of base nearOf from nearAt on
	nearAt int64
	nearOf *baseFile

	file basedFile
	buf  []byte // bytes of the blocks that wait, and of the one that came
}

// basedFile is the file that is being placed. Its runs are counted in blocks.
type basedFile struct {
	size, at int64 // length; blocks that came
	runs     []run
	start    int64 // of its own data on the data device
	found    int64 // blocks in runs that are in a base
	last     int64 // number of the last block found, -1: the last block that came was not found
	wait     int64 // how many of the last blocks were found but are in no run yet
	open     bool  // the last run grows as long as blocks are found
}

func newBased(w *Writer) *based {
	return &based{
		w: w, baseUse: w.use,
		near: make([]byte, 0, max(baseWindow, w.bs)), buf: make([]byte, (basedRun+1)*w.bs),
	}
}

// put places a file.
func (k *based) put(f tree.File, r io.Reader) (*place, error) {
	w := k.w
	before := w.data.pos()
	k.file = basedFile{size: f.Size, start: before, last: -1, runs: k.file.runs[:0]}
	w.hash.Reset()
	var tail []byte // the last block as it came, if it may be inlined
	for left := f.Size; left > 0; {
		n := min(left, w.bs)
		b := k.buf[k.file.wait*w.bs:][:w.bs]
		if _, err := io.ReadFull(r, b[:n]); err != nil {
			return nil, short(err)
		}
		if w.o.Dedupe {
			_, _ = w.hash.Write(b[:n])
		}
		clear(b[n:])
		w.copied += n
		left -= n
		no, err := k.find(b)
		if err != nil {
			return nil, err
		}
		if no < 0 && n < w.bs {
			k.endWait(n)
			if k.file.found == 0 && w.tailOf(f.Size) > 0 {
				tail = b[:n]
				k.flush()
				continue
			}
		}
		k.take(b, no)
		if err := w.data.failed(); err != nil {
			return nil, err
		}
	}
	if k.file.wait > 0 {
		k.commit()
	}
	if k.file.found == 0 {
		return k.flat(before, tail)
	}
	p := w.newPlace(f.Size)
	p.chunk = k.chunks()
	return p, nil
}

// take enters a block that is block no of the bases, -1: of none.
func (k *based) take(b []byte, no int64) {
	f := &k.file
	if !k.goesOn(no) {
		k.turn(b, no)
	}
	f.at++
	f.last = no
	switch {
	case no < 0:
		k.own(b, f.at-1)
	case f.open:
		f.runs[len(f.runs)-1].count++
		f.found++
	default:
		if f.wait++; f.wait == basedRun {
			k.commit()
			f.open = true
		}
	}
}

// goesOn tells whether a block is the one behind the last one found.
func (k *based) goesOn(no int64) bool {
	last := k.file.last
	if last < 0 || no != last+1 {
		return false
	}
	f, _ := k.b.at(last)
	return no < f.first+f.blocks
}

// turn ends what the block before was part of. Blocks that wait are often before the new one, too: files
// begin alike.
func (k *based) turn(b []byte, no int64) {
	f := &k.file
	f.open = false
	if f.wait > 0 && no >= 0 {
		base, _ := k.b.at(no)
		if from := no - f.wait; from >= base.first {
			have, err := k.read(base, from-base.first, f.wait)
			if err == nil && bytes.Equal(have, k.buf[:f.wait*k.w.bs]) {
				return // commit counts back from the last one
			}
		}
	}
	move := f.wait > 0
	k.flush()
	if move {
		copy(k.buf, b)
	}
}

// own writes a block of the file.
func (k *based) own(b []byte, at int64) {
	w := k.w
	k.add(run{first: at, count: 1, block: w.data.pos() >> w.bits})
	w.data.write(b)
}

// add enters a run behind those that are there.
func (k *based) add(r run) {
	c := chunks{runs: k.file.runs}
	k.w.addRun(&c, r)
	k.file.runs = c.runs
}

// flush writes the blocks that wait.
func (k *based) flush() {
	f := &k.file
	for i := range f.wait {
		k.own(k.buf[i*k.w.bs:][:k.w.bs], f.at-f.wait+i)
	}
	f.wait = 0
}

// commit makes a run of the blocks that wait, which are those up to last.
func (k *based) commit() {
	f := &k.file
	base, i := k.b.at(f.last)
	device := uint16(i + 1)
	k.mark(device)
	k.add(run{first: f.at - f.wait, count: f.wait, block: f.last + 1 - f.wait - base.first, device: device})
	f.found += f.wait
	f.wait = 0
}

// endWait decides on blocks that wait before the last block of the file, which is in no base and has n
// bytes: a run of them saves their bytes, but the file then has an index, and no inline tail.
func (k *based) endWait(n int64) {
	cost := (k.file.at + 1) * disk.ChunkIndexSize
	if k.file.found == 0 && k.w.tailOf(k.file.size) > 0 {
		cost += k.w.bs - n
	}
	if k.file.wait*k.w.bs > cost {
		k.commit()
	}
	k.file.open = false
}

// flat completes a file of which nothing is in a base.
func (k *based) flat(before int64, tail []byte) (*place, error) {
	w := k.w
	p := w.newPlace(k.file.size)
	p.block, p.tailN = k.file.start>>w.bits, int32(len(tail))
	if len(tail) > 0 {
		var err error
		if p.tail, err = w.tails.add(tail); err != nil {
			return nil, err
		}
	}
	if !w.o.Dedupe {
		return p, nil
	}
	return w.dedupeFile(p, before, k.file.start, k.file.size-int64(len(tail)))
}

// chunks makes chunks of the runs, which have no gaps.
func (k *based) chunks() *chunks {
	k.w.based += k.file.found << k.w.bits
	return coarsest(slices.Clone(k.file.runs), k.file.at, math.MaxInt64)
}

// find returns the number of a block of a base with the bytes b, -1 if there is none.
func (k *based) find(b []byte) (int64, error) {
	if last := k.file.last; last >= 0 {
		f, _ := k.b.at(last)
		if n := last + 1 - f.first; n < f.blocks {
			have, err := k.read(f, n, 1)
			if err != nil {
				return 0, err
			}
			if bytes.Equal(have, b) {
				return last + 1, nil
			}
		}
	}
	no, ok := k.b.index.find(maphash.Bytes(hashSeed, b))
	if !ok {
		return -1, nil
	}
	f, _ := k.b.at(no)
	have, err := k.read(f, no-f.first, 1)
	if err != nil || bytes.Equal(have, b) {
		return no, err
	}
	return -1, nil
}

// read returns n blocks of a base, until it is called again.
func (k *based) read(f *baseFile, block, n int64) ([]byte, error) {
	off, end := block<<k.b.bits, (block+n)<<k.b.bits
	if k.nearOf == f && off >= k.nearAt && end <= k.nearAt+int64(len(k.near)) {
		return k.near[off-k.nearAt : end-k.nearAt], nil
	}
	size := end - off
	if k.nearOf == f && off == k.nearAt+int64(len(k.near)) { // a run: it will go on
		size = max(size, min(int64(cap(k.near)), f.blocks<<k.b.bits-off))
	}
	k.nearOf, k.nearAt, k.near = f, off, k.near[:size]
	if err := f.read(k.near, off); err != nil {
		k.nearOf = nil
		return nil, err
	}
	return k.near[:end-off], nil
}
