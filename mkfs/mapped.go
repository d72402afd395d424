package mkfs

import (
	"encoding/binary"
	"errors"
	"iter"
	"math"

	"github.com/laminafs/lamina/internal/compress"
	"github.com/laminafs/lamina/internal/disk"
)

// mapped is where the bytes of a compressed file are: what its index says, but for the runs. Those are kept in
// a short form until the metadata is written, one behind the other in compressor.runs:
//
//	flags (1 byte: stored, second algorithm, partial, position given, and device)
//	decoded length, stored length in bytes (varints)
//	device (varint), if it is not the image
//	position (varint), if the run does not begin where the one before it ends
//
// Stored runs of many blocks are one; the index has them block by block.
type mapped struct {
	compress.Map
	method  int8
	blocks  int64 // used ones of the image, for st_blocks
	packed  int32 // n+1: Fragment counts in packed inode n of the bases, until the own one is complete
	based   bool  // some run is on a base
	logged  int64 // runs
	logical int64 // decoded bytes of the runs

	log   []byte // the runs while they are being added
	end   int64  // where the last one ended
	dev   uint16 // on which device
	base  int64  // what their positions count from
	runs  int64  // offset of the runs once they are all there
	runsN int
}

const (
	runStored = 1 << iota
	runSecond
	runPartial
	runElsewhere
	runDevice
)

// appendRun appends the short form of a run, which follows the one before it or lies elsewhere.
func appendRun(b []byte, r compress.Run, elsewhere bool) []byte {
	var flags byte
	set := func(bit byte, is bool) {
		if is {
			flags |= bit
		}
	}
	set(runStored, r.Stored)
	set(runSecond, r.Second)
	set(runPartial, r.Partial)
	set(runElsewhere, elsewhere)
	set(runDevice, elsewhere && r.Device > 0)
	b = binary.AppendUvarint(append(b, flags), uint64(r.Len))
	b = binary.AppendUvarint(b, uint64(r.PLen))
	if elsewhere && r.Device > 0 {
		b = binary.AppendUvarint(b, uint64(r.Device))
	}
	if elsewhere {
		b = binary.AppendUvarint(b, uint64(r.Pos))
	}
	return b
}

// runsOf yields the runs in b, whose positions count from base, or from where a device is in the unified address
// space. Stored ones are cut into pieces of bs bytes.
func runsOf(b []byte, base, bs int64, device func(uint16) int64) iter.Seq[compress.Run] {
	return func(yield func(compress.Run) bool) {
		end := base
		number := func() int64 {
			v, n := binary.Uvarint(b)
			b = b[n:]
			return int64(v)
		}
		for len(b) > 0 {
			flags := b[0]
			b = b[1:]
			r := compress.Run{
				Stored: flags&runStored != 0, Second: flags&runSecond != 0, Partial: flags&runPartial != 0,
				Len: number(), PLen: number(), Pos: end,
			}
			from := base
			if flags&runDevice != 0 {
				from = device(uint16(number()))
			}
			if flags&runElsewhere != 0 {
				r.Pos = from + number()
			}
			end = r.Pos + r.PLen
			for r.Stored && r.PLen > bs {
				first := r
				first.Len, first.PLen = bs, bs
				if !yield(first) {
					return
				}
				r.Len, r.PLen, r.Pos = r.Len-bs, r.PLen-bs, r.Pos+bs
			}
			if !yield(r) {
				return
			}
		}
	}
}

// commit places the results of a piece: the next bytes of the file that came next.
func (k *compressor) commit(pt *part, piece *compress.Piece) error {
	p, w := pt.p, k.w
	if p == k.packed.place {
		return k.commitPacked(piece)
	}
	if p.comp == nil && isStored(pt, piece) {
		return k.commitStored(pt, piece.Src)
	}
	if p.comp == nil {
		p.comp = k.begin(max(piece.Method, 0))
		p.comp.Size = p.size
		if pt.off > 0 && !pt.packed { // what came before was stored in blocks
			k.add(p.comp, compress.Run{Len: pt.off, Pos: p.block << w.bits, PLen: pt.off, Stored: true})
		}
	}
	if pt.last && !pt.packed && piece.Tail == compress.TailRest {
		if err := k.sharedEnd(piece); err != nil {
			return err
		}
	}
	if err := k.findTwins(pt, piece); err != nil {
		return err
	}
	m, out := p.comp, piece.Out
	at := pt.off
	if k.apart != nil {
		k.expect(pt, piece)
	}
	for i, e := range piece.Extents {
		run := compress.Run{Len: int64(e.Len), PLen: int64(e.PLen), Stored: e.Stored, Partial: e.Whole > e.Len}
		known := true // how to decode it
		if e.Ref > 0 {
			if err := k.refer(m, at, &run, &pt.refs[e.Ref-1]); err != nil {
				return err
			}
			if run.Device > 0 {
				w.based += run.Len
			}
			known = run.Device == pt.refs[e.Ref-1].device
		} else {
			k.store(at, &run, out[:e.PLen], &k.twins.all[i])
			out = out[e.PLen:]
		}
		k.add(m, run)
		if known {
			pt.from.add(at, max(run.Len, int64(e.Whole)), run, m.algorithm(&run))
		}
		at += run.Len
	}
	pt.from.commit(len(piece.Src))
	w.top = max(w.top, disk.Blocks(w.data.pos(), w.bits))
	if err := k.commitTail(pt, piece); err != nil {
		return err
	}
	if pt.last {
		if err := k.end(m); err != nil {
			return err
		}
	}
	return w.data.failed()
}

// decodePage is the smallest unit in which the kernel feeds a decoder.
const decodePage = 4096

// pad returns how many zeros go before a pcluster that begins at any byte. Linux 6.18 decodes page by page, and takes
// a pcluster for broken whose bytes in the last page add nothing to the output, such as the end mark of DEFLATE.
func (k *compressor) pad(pos int64, r *compress.Run) int64 {
	const least = 16
	if k.c.Index != IndexExtents || r.Stored {
		return 0
	}
	if n := (pos + r.PLen) % decodePage; n > 0 && n < least {
		return least - n
	}
	return 0
}

// commitTail puts what the workers left of a file where it belongs.
func (k *compressor) commitTail(pt *part, piece *compress.Piece) (err error) {
	m := pt.p.comp
	switch e := &piece.Inline; {
	case pt.packed:
		return k.endWith(m, piece.Src, !pt.last || pt.off > 0)
	case len(piece.Rest) > 0:
		return k.endWith(m, piece.Rest, false)
	case e.Len > 0:
		pt.p.tailN = int32(e.PLen)
		m.Inline, m.InlineLen, m.InlineStored = int64(e.PLen), int64(e.Len), e.Stored
		m.Count++
		pt.p.tail, err = k.w.tails.add(piece.InlineOut)
	}
	return err
}

// endWith makes b the end of a file, or one of several parts of it, in the packed inode.
func (k *compressor) endWith(m *mapped, b []byte, part bool) error {
	if k.refs != nil && !part {
		if found, err := k.refs.fragment(m, b); found || err != nil {
			return err
		}
	}
	return k.fragment(m, b, part)
}

// isStored tells whether compressing a piece has gained nothing, nor will.
func isStored(pt *part, p *compress.Piece) bool {
	for _, e := range p.Extents {
		if !e.Stored { // or a reference
			return false
		}
	}
	if pt.packed || len(p.Rest) > 0 && len(p.Extents) == 0 && pt.off == 0 {
		return false
	}
	return p.Inline.Len == 0 || p.Inline.Stored
}

// commitStored places a piece of a file that is stored as it is so far.
func (k *compressor) commitStored(pt *part, src []byte) error {
	w := k.w
	defer pt.from.commit(len(src))
	if pt.last {
		if n := w.tailOf(pt.p.size); n > 0 {
			tail := src[int64(len(src))-n:]
			var err error
			if pt.p.tail, err = w.tails.add(tail); err != nil {
				return err
			}
			pt.p.tailN = int32(n)
			src = src[:int64(len(src))-n]
		}
	}
	if len(src) > 0 {
		w.data.align(w.bs) // it is not only behind extents at any byte
		if pt.off == 0 {
			pt.p.block = w.data.pos() >> w.bits
		}
		whole := int64(len(src)) &^ (w.bs - 1)
		pt.from.add(pt.off, whole, compress.Run{Len: whole, PLen: whole, Pos: w.data.pos(), Stored: true}, 0)
		w.data.write(src)
		w.data.align(w.bs)
		w.top = max(w.top, w.data.pos()>>w.bits)
	}
	return w.data.failed()
}

// begin returns the map of a file whose runs are to come. Size is still missing.
func (k *compressor) begin(method int) *mapped {
	m := &mapped{method: int8(method), log: k.log[:0]}
	m.BlockBits, m.First, m.Interlaced = k.w.bits, k.algorithm(method), k.interlaced()
	k.used |= 1 << method
	k.log = nil
	if k.refs != nil {
		k.apart = newApart(k.w.bits)
	}
	return m
}

// algorithm returns the algorithm of a run.
func (m *mapped) algorithm(r *compress.Run) disk.Algorithm {
	if r.Second {
		return m.Second
	}
	return m.First
}

// algorithm returns the algorithm of the pclusters that a method makes.
func (k *compressor) algorithm(method int) disk.Algorithm {
	return k.c.methods()[max(method, 0)].Algorithm.Disk()
}

// add adds the next run of a file.
func (k *compressor) add(m *mapped, r compress.Run) {
	elsewhere := r.Device != m.dev || r.Pos != m.end
	records := int64(1) // a compressed one of a base may be longer, if it begins at a block
	if r.Stored {
		records = (r.PLen-1)/compress.MaxDense + 1
	}
	m.logged += records
	switch {
	case k.c.Index == IndexExtents:
		m.Count += records
	case r.Stored:
		m.Count += disk.Blocks(r.PLen, m.BlockBits)
	default:
		m.Count++
		m.Big = m.Big || r.PLen > k.w.bs
	}
	m.Scattered = m.Scattered || r.Partial || len(m.log) > 0 && elsewhere
	m.log, m.end, m.dev = appendRun(m.log, r, elsewhere), r.Pos+r.PLen, r.Device
	m.based = m.based || r.Device > 0
	if k.apart != nil && m != k.packedMap() {
		k.apart.add(m.logical, &r)
	}
	m.logical += r.Len
	m.blocks += disk.Blocks(r.PLen, m.BlockBits)
}

// packedMap returns the map of the packed inode, nil if there is none.
func (k *compressor) packedMap() *mapped {
	if k.packed.place == nil {
		return nil
	}
	return k.packed.place.comp
}

// end completes a file.
func (k *compressor) end(m *mapped) (err error) {
	m.runsN = len(m.log)
	m.runs, err = k.runs.add(m.log)
	k.log, m.log = m.log, nil
	return err
}

// form chooses the form of the index of a file. wide says that addresses may have more than the 32 bits that the others
// have for a block.
func (k *compressor) form(m *mapped, wide bool) compress.Form {
	extents := k.c.Index == IndexExtents
	if wide && m.based && m.Inline == 0 && !extents {
		extents, m.Count = true, m.logged
		if m.FragmentLen > 0 {
			m.Count++
		}
	}
	late := m.packed > 0 && k.packsDirectories() // where its fragment is becomes known only behind the directories
	return m.Form(k.c.Index == IndexFull || late, extents)
}

// appendIndex appends the map header and the index of p to the bytes of its inode and xattrs.
func (k *compressor) appendIndex(b []byte, p *place, f compress.Form) ([]byte, error) {
	m := p.comp
	runs, err := k.runs.get(m.runs, m.runsN)
	if err != nil {
		return b, err
	}
	bs := k.w.bs
	if f == compress.FormExtents {
		bs = compress.MaxDense
	} else if m.based && k.w.uniaddr(len(k.w.slots)) > math.MaxUint32 {
		return b, errors.New("mkfs: pclusters of a base: their addresses have more than 32 bits of blocks")
	}
	b = append(b, make([]byte, -len(b)&(disk.MapHeaderSize-1))...)
	return m.Append(b, f, runsOf(runs, m.base, bs, k.w.unified)), nil
}
