package mkfs

import (
	"bytes"
	"iter"

	"github.com/laminafs/lamina/internal/compress"
	"github.com/laminafs/lamina/internal/disk"
)

// refs is what a compressed image takes from its bases: pclusters of files, by way of dedupe, and fragments. What
// is to be referred to is decoded and compared first.
//
//	             own fragments     pclusters of the packed inodes of bases, as far as they are used
//	           ┌────────────────┬───────────────┬───────────┬────────┐
//	packed inode of the image   │ base 1        │ base 1    │ base 2 │
//	           └────────────────┴───────────────┴───────────┴────────┘
//
// A fragment of a base is one of the image by that: nothing else can lead into the middle of a pcluster.
type refs struct {
	w *Writer
	*baseUse
	f *baseFiles

	encoded []byte
	stored  []byte // what decoded returned last of what is stored
	cache   map[pclusterAt][]byte
	order   []pclusterAt // of what is in the cache, oldest first
	held    int64        // bytes of the cache

	came, spent int64 // bytes that were looked for, and bytes that were decoded therefore

	packed     [][]bool // by packed inode of the bases and pcluster: it is used
	fragmented []*mapped
	second     *disk.Algorithm // in the packed inode, if there is another one than its own
	algorithms disk.Algorithms // of what is referred to
}

// pclusterAt is a pcluster of a base, and all that decoding it depends on: what a hostile base says of one place may differ.
type pclusterAt struct {
	device         uint16
	pos, plen, len int64
	algorithm      disk.Algorithm
	partial        bool
}

const (
	// refsCache bounds the decoded pclusters that are kept, in bytes, beside the last one.
	refsCache = 32 << 20
	// What a search may cost: this many decoded bytes for each that is looked for, and some more. Files that come in
	// the order of the base need one; behind that, what is not in the cache is not compared, and stored anew.
	refsRatio = 16
	refsFree  = 256 << 20
)

func newRefs(w *Writer) *refs {
	r := &refs{w: w, baseUse: w.use, f: w.o.Bases.files, cache: make(map[pclusterAt][]byte)}
	for _, o := range r.f.packed {
		r.packed = append(r.packed, make([]bool, len(o.pclusters)))
	}
	return r
}

// charge accounts for n bytes to be decoded; false: that is too much.
func (r *refs) charge(n int64) bool {
	if r.spent+n > refsFree+refsRatio*r.came {
		return false
	}
	r.spent += n
	return true
}

// decoded returns the first n bytes of a pcluster of a base until its next call, none if they are not to be had.
func (r *refs) decoded(p *pcluster, n int64) ([]byte, error) {
	key := pclusterAt{p.device, p.pos, p.plen, p.len, p.algorithm, p.partial}
	if b := r.cache[key]; !p.stored && int64(len(b)) >= n {
		return b[:n], nil
	}
	if p.stored {
		r.stored = append(r.stored[:0], make([]byte, n)...)
		return r.stored, r.b.pcluster(r.stored, p, nil)
	}
	if !r.charge(p.len) {
		return nil, nil
	}
	b := make([]byte, p.len, p.len+1)
	if err := r.b.pcluster(b, p, &r.encoded); err != nil {
		if passed(err) {
			err = nil
		}
		return nil, err
	}
	r.order = append(r.order, key)
	r.cache[key], r.held = b, r.held+p.len
	for r.held > refsCache && len(r.order) > 1 {
		r.held -= int64(len(r.cache[r.order[0]]))
		delete(r.cache, r.order[0])
		r.order = r.order[1:]
	}
	return b[:n], nil
}

// readable tells whether an index of the image can refer to a pcluster in a file of a method: it has two algorithms at most,
// of which second is the other one if it is not nil.
func (k *compressor) readable(p *pcluster, second *disk.Algorithm, method int) bool {
	if !p.stored && p.algorithm != k.algorithm(method) && second != nil && p.algorithm != *second {
		return false
	}
	return k.c.Index == IndexExtents || (p.pos|p.plen)&(k.w.bs-1) == 0 || p.device == 0
}

// announce takes note that there are pclusters as this one in the image.
func (r *refs) announce(p *pcluster) {
	if !p.stored {
		r.algorithms |= 1 << p.algorithm
	}
}

// shareBase refers to pclusters of bases around a place where the chunk of n bytes at an offset of the piece is.
func (k *compressor) shareBase(s *sharer, hash uint64, at, n int) error {
	if c, ok := k.refs.f.chunks[hash]; ok {
		return s.match(c, at, n)
	}
	return nil
}

// has tells whether some fragment of a base has the bytes b, if its hash does not deceive.
func (r *refs) has(b []byte) bool {
	_, ok := r.f.fragments[digestOf(b)]
	return ok
}

// fragment looks for a fragment with the bytes b in the packed inodes of the bases, and makes it that of m.
func (r *refs) fragment(m *mapped, b []byte) (bool, error) {
	at, ok := r.f.fragments[digestOf(b)]
	r.came += int64(len(b))
	if !ok {
		return false, nil
	}
	o := r.f.packed[at.packed]
	list := o.covering(at.off, int64(len(b)))
	rest, from, second := b, at.off, r.second
	for i := range list {
		p := &list[i]
		if !r.w.comp.readable(p, second, 0) || !spansAnywhere(p, r.w.bs) {
			return false, nil
		}
		if !p.stored && p.algorithm != r.w.comp.algorithm(0) {
			second = &p.algorithm
		}
		n, err := r.same(p, from-p.off, rest)
		if n == 0 || err != nil {
			return false, err
		}
		rest, from = rest[n:], from+n
	}
	if len(list) == 0 || len(rest) > 0 {
		return false, nil
	}
	first := o.index(at.off)
	for i := range list {
		r.packed[at.packed][first+i] = true
	}
	r.second = second
	m.Fragment, m.FragmentLen, m.packed = at.off, int64(len(b)), int32(at.packed+1)
	m.Count++
	r.fragmented = append(r.fragmented, m)
	r.w.based += int64(len(b))
	return true, nil
}

// same returns how many bytes of a pcluster behind the first skip ones are those that b begins with: all that both have, or 0.
// Stored ones are read from there on.
func (r *refs) same(p *pcluster, skip int64, b []byte) (int64, error) {
	q := *p
	if p.stored {
		q.pos, q.len, q.plen, skip = p.pos+skip, p.len-skip, p.plen-skip, 0
	}
	n := min(q.len-skip, int64(len(b)))
	have, err := r.decoded(&q, skip+n)
	if err != nil || len(have) == 0 || !bytes.Equal(have[skip:], b[:n]) {
		return 0, err
	}
	return n, nil
}

// spansAnywhere tells whether an index can have a pcluster at any byte of a file between others: it is a head in an
// lcluster of its own, and has another lcluster if its length is to be said.
func spansAnywhere(p *pcluster, bs int64) bool {
	return p.len >= bs && (p.stored && p.len%bs == 0 || p.plen <= bs || p.len >= 2*bs)
}

// packs tells whether the packed inode has pclusters of bases.
func (r *refs) packs() bool { return r != nil && len(r.fragmented) > 0 }

// packedRuns yields the pclusters of the bases' packed inodes that are used, as runs of the own one.
func (r *refs) packedRuns() iter.Seq[compress.Run] {
	return func(yield func(compress.Run) bool) {
		for i, o := range r.f.packed {
			for n, q := range o.pclusters {
				run := compress.Run{Len: q.len, Pos: q.pos, PLen: q.plen, Stored: q.stored, Partial: q.partial, Device: q.device}
				if r.packed[i][n] && !yield(run) {
					return
				}
			}
		}
	}
}

// appendPacked ends the packed inode, whose runs m has so far, with the pclusters of bases that fragments lie in.
func (k *compressor) appendPacked(p *place, m *mapped) error {
	r := k.refs
	k.apart = k.packedApart(m, m.base)
	k.w.data.align(k.w.bs)
	starts := make([][]int64, len(r.packed)) // where the pclusters are in the packed inode
	for i, o := range r.f.packed {
		starts[i] = make([]int64, len(o.pclusters))
		for n, q := range o.pclusters {
			if !r.packed[i][n] {
				continue
			}
			starts[i][n] = p.size
			run := compress.Run{Len: q.len}
			if err := k.refer(m, p.size, &run, &q); err != nil {
				return err
			}
			k.apart.add(p.size, &run)
			if run.Device == 0 { // copied, and they count from the beginning of the own part
				run.Pos -= m.base
			}
			k.add(m, run)
			p.size += q.len
		}
	}
	for _, f := range r.fragmented {
		o := r.f.packed[f.packed-1]
		n := o.index(f.Fragment)
		f.Fragment += starts[f.packed-1][n] - o.pclusters[n].off
	}
	r.fragmented = nil
	return nil
}

// padPacked ends the own part of the packed inode at a block.
func (k *compressor) padPacked() {
	n := -k.packed.place.size & (k.w.bs - 1)
	if n == 0 {
		return
	}
	if k.packed.open == nil {
		k.packed.open = k.batch()
	}
	o := k.packed.open
	o.src = append(o.src, make([]byte, n)...) // segments are whole blocks
	k.packed.place.size += n
}
