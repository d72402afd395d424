package mkfs

import (
	"slices"

	"github.com/laminafs/lamina/internal/compress"
	"github.com/laminafs/lamina/internal/disk"
)

// apart knows where the pclusters of a file begin and end, for them not to be taken for neighbours. Linux 6.18 makes one
// request of pclusters that are read together if the one begins at the offset at which the one before it ends, and
// if devices are files, it does not look whether it is the same one (z_erofs_submit_queue compares block devices, and
// files have none): what it then decodes is of the wrong file. So in a file no pcluster begins on one device where another
// one ends on another device, unless they are too far from each other to be read together.
type apart struct {
	bits    uint8
	devices []uint16 // that there are
	edges   [2]edges // the second ones were added before the first ones
	since   int64    // offset of the first edges
}

// edges are where pclusters begin and end, with their offsets in the file.
type edges struct{ begins, ends map[edge]int64 }

// edge is a block of a device.
type edge struct {
	device uint16
	block  int64
}

// apartFar is the distance in the file, in bytes, from which on pclusters are not read together: more than readahead and
// the largest pcluster.
const apartFar = 32 << 20

// apartKept is how much of a file its edges are kept for, once or twice: references are added a piece ahead of what is before them.
const apartKept = 2 * apartFar

// newApart returns an empty apart for the next file.
func newApart(bits uint8) *apart { return &apart{bits: bits, edges: [2]edges{newEdges(), newEdges()}} }

func newEdges() edges { return edges{begins: make(map[edge]int64), ends: make(map[edge]int64)} }

// each calls f with the first block of each pcluster of a run and with the one behind it.
func (a *apart) each(r *compress.Run, f func(begin, end int64) bool) bool {
	begin, end := r.Pos>>a.bits, disk.Blocks(r.Pos+r.PLen, a.bits)
	if !r.Stored {
		return f(begin, end)
	}
	for b := begin; b < end; b++ { // a stored run may be read in parts
		if !f(b, b+1) {
			return false
		}
	}
	return true
}

// add adds a run at an offset of the file.
func (a *apart) add(at int64, r *compress.Run) {
	if !slices.Contains(a.devices, r.Device) {
		a.devices = append(a.devices, r.Device)
	}
	if at-a.since >= apartKept { // the others are too far away by now
		a.edges[0], a.edges[1], a.since = newEdges(), a.edges[0], at
	}
	a.each(r, func(begin, end int64) bool {
		a.edges[0].begins[edge{r.Device, begin}], a.edges[0].ends[edge{r.Device, end}] = at, at
		return true
	})
}

// clash tells whether a run would be taken for the neighbour of one on another device.
func (a *apart) clash(at int64, r *compress.Run) bool {
	for _, d := range a.devices {
		if d == r.Device {
			continue
		}
		if !a.each(r, func(begin, end int64) bool {
			return !a.edges[0].near(at, d, begin, end) && !a.edges[1].near(at, d, begin, end)
		}) {
			return true
		}
	}
	return false
}

// near tells whether something ends at begin or begins at end on a device, not far from an offset of the file.
func (e *edges) near(at int64, device uint16, begin, end int64) bool {
	there, ok := e.ends[edge{device, begin}]
	if ok && max(at-there, there-at) < apartFar {
		return true
	}
	there, ok = e.begins[edge{device, end}]
	return ok && max(at-there, there-at) < apartFar
}

// expect takes note of the references of a piece at an offset of the file, for what is placed before them.
func (k *compressor) expect(pt *part, piece *compress.Piece) {
	at := pt.off
	for _, e := range piece.Extents {
		if e.Ref > 0 {
			p := &pt.refs[e.Ref-1]
			if p.device > 0 {
				k.apart.add(at, &compress.Run{Len: p.len, Pos: p.pos, PLen: p.plen, Stored: p.stored, Device: p.device})
			}
		}
		at += int64(e.Len)
	}
}

// copied makes a run that refers to a base one of the image, if it cannot be read beside the others of its file.
func (k *compressor) copied(at int64, run *compress.Run, p *pcluster) (bool, error) {
	r := compress.Run{Pos: p.pos, PLen: p.plen, Stored: p.stored, Device: p.device}
	if p.device == 0 || !k.apart.clash(at, &r) {
		return false, nil
	}
	b := make([]byte, p.plen)
	if err := k.w.o.Bases.list[p.device-1].read(b, p.pos); err != nil {
		return false, err
	}
	run.PLen, run.Stored, run.Partial = p.plen, p.stored, p.partial
	k.own(at, run, b)
	k.refs.announce(p)
	k.shared = k.shared || run.Partial
	return true, nil
}

// own writes the bytes of a run of the image behind what is there, where it can be read beside the others of its file.
func (k *compressor) own(at int64, run *compress.Run, b []byte) {
	w := k.w
	for {
		w.data.zero(k.pad(w.data.pos(), run))
		run.Pos = w.data.pos()
		if k.apart == nil || !k.apart.clash(at, run) {
			break
		}
		w.data.zero(w.bs)
	}
	w.data.write(b)
	if k.c.Index != IndexExtents {
		w.data.align(w.bs)
	}
}

// packedShift returns how many blocks the own part of the packed inode had better begin behind base, for its pclusters not to
// end where those of bases begin.
func (k *compressor) packedShift(m *mapped, base int64) int64 {
	const most = 64
	best, least := int64(0), -1
	for shift := range int64(most) {
		if n := k.packedClashes(m, base+shift*k.w.bs); least < 0 || n < least {
			if best, least = shift, n; n == 0 {
				break
			}
		}
	}
	return best
}

// packedClashes counts the pclusters of bases that cannot be read beside the own ones of the packed inode if those begin
// at base.
func (k *compressor) packedClashes(m *mapped, base int64) (n int) {
	a := k.packedApart(m, base)
	at := m.logical
	for run := range k.refs.packedRuns() {
		if a.clash(at, &run) {
			n++
		}
		if at += run.Len; at-m.logical > apartFar {
			break
		}
	}
	return n
}

// packedApart returns the edges of the own part of the packed inode.
func (k *compressor) packedApart(m *mapped, base int64) *apart {
	a, at := newApart(k.w.bits), int64(0)
	for run := range runsOf(m.log, base, compress.MaxDense, nil) {
		if at > m.logical-apartFar {
			a.add(at, &run)
		}
		at += run.Len
	}
	return a
}
