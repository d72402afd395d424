package compress

import "github.com/laminafs/lamina/internal/disk"

// Layout says how pclusters lie in the image.
type Layout struct {
	BlockBits uint8
	// Dense puts pclusters at any byte, one behind the other. Else each starts at a block, a compressed one
	// right-aligned in its blocks, and a stored one has one block.
	Dense bool
	// Interlaced puts the bytes of a stored pcluster where they are in their lcluster, wrapped around.
	Interlaced bool
	// MaxExtent bounds the decoded bytes of a pcluster; 0: MaxExtent of the format.
	MaxExtent int
}

func (l *Layout) block() int { return 1 << l.BlockBits }

// Tail says what becomes of the end of a file.
type Tail uint8

const (
	// TailPad stores the last pcluster like any other: also for pieces behind which the file goes on.
	TailPad Tail = iota
	// TailInline keeps the last pcluster apart if it is shorter than a block.
	TailInline
	// TailRest leaves out the bytes that do not fill a pcluster.
	TailRest
)

// Piece is consecutive bytes of a file, from a multiple of the block size on, and what became of them.
// The caller fills the first part; the bytes of Src belong to the worker until the job is done.
type Piece struct {
	Src      []byte
	Method   int // index in the methods of the Pool, or Store
	Pcluster int // largest length of a pcluster in bytes
	Tail     Tail
	Refs     []Ref // ascending, not overlapping

	// Extents are the pclusters in the order of the file. Their bytes lie back to back in Out.
	Extents []Extent
	Out     []byte
	// Rest is what TailRest left out, the end of Src.
	Rest []byte
	// Inline is the last pcluster if TailInline kept it apart, not padded; its Len is 0 if it did not.
	Inline    Extent
	InlineOut []byte
}

// Store as Piece.Method does not compress: Src is what has to be stored.
const Store = -1

// Ref is a part of Piece.Src that a pcluster elsewhere holds at its beginning. It is used if an index can say so.
type Ref struct {
	Off, Len int
	PLen     int // of the pcluster, bytes in the image
}

// Extent is a pcluster: Len decoded bytes of a file, PLen bytes in the image.
type Extent struct {
	Len, PLen int
	Stored    bool
	Whole     int // decoded bytes that it holds, if they are more
	Ref       int // n+1: it is Piece.Refs[n], and not in Out
}

// cutter cuts pieces into pclusters.
type cutter struct {
	Layout
	enc     Encoder
	scratch []byte // a pcluster
	out     []byte // of the job
	extents []Extent
	first   int // index of the first extent of the piece

	*Piece
	src   []byte // what is left of Piece.Src
	ref   int    // index of the next Ref
	fails int    // how often in a row no pcluster paid
}

// cut fills the results of p.
func (c *cutter) cut(p *Piece) {
	c.Piece, c.src, c.fails, c.ref = p, p.Src, 0, 0
	out := len(c.out)
	c.first = len(c.extents)
	for len(c.src) > 0 && c.next() {
	}
	p.Extents = c.extents[c.first:]
	p.Out = c.out[out : len(c.out)-len(p.InlineOut)]
	c.Piece, c.src = nil, nil
}

// next makes a pcluster, or some stored ones, at the beginning of c.src; false: it decided about the tail.
func (c *cutter) next() bool {
	if c.refer() {
		return true
	}
	bs, left := c.block(), len(c.src)
	if c.Tail == TailRest && left <= c.Pcluster && c.distance() > left {
		c.Rest, c.src = c.src, nil
		return false
	}
	limit := c.Pcluster
	if !c.Dense && c.Tail != TailInline {
		limit = min(limit, (left-1)&^(bs-1)) // it must spare a block
	}
	if limit == 0 {
		c.store(left)
		return true
	}
	n, used := c.enc.FitDst(c.scratch[:limit], c.src[:min(left, c.maxExtent())])
	if d := c.worth(used); used > d {
		if n <= bs && !c.Dense && c.pays(n, used) { // a shorter one takes as much, and is worth less to others
			c.add(n, used)
			e := &c.extents[len(c.extents)-1]
			e.Len, e.Whole, c.src = d, used, c.Src[c.at()-used+d:]
			return true
		}
		n, used = c.enc.FitDst(c.scratch[:limit], c.src[:min(d, c.maxExtent())])
	}
	switch {
	case used == left && c.Tail == TailRest && n < c.Pcluster:
		c.Rest, c.src = c.src, nil
		return false
	case used == left && c.Tail == TailInline:
		return c.inlineTail(n)
	case !c.pays(n, used):
		c.skip(limit, left)
		return true
	}
	c.fails = 0
	c.add(n, used)
	return true
}

func (c *cutter) maxExtent() int {
	if c.MaxExtent == 0 {
		return MaxExtent
	}
	return c.MaxExtent
}

// pays tells whether n bytes in the image for used bytes of the file are worth it: a block less, because the
// extent would take as many blocks otherwise, or a record of the index. An extent of several blocks then
// spans as many lclusters, which its index needs (section 7.4).
func (c *cutter) pays(n, used int) bool {
	if c.Dense {
		return n > 0 && n+disk.Extent16Size < used
	}
	return n > 0 && used > int(disk.Align(int64(n), int64(c.block())))
}

// inlineTail ends a file whose last used bytes are n bytes in c.scratch: those go behind the index if they
// are shorter than a block. A longer pcluster is cut at its last full block, so that only what is behind it does.
func (c *cutter) inlineTail(n int) bool {
	bs, left := c.block(), len(c.src)
	most := bs - disk.SlotSize // inodes begin at slots, and a tail behind one lies in one block
	full := n &^ (bs - 1)
	switch {
	case n > 0 && n < left && n <= most:
		return c.keep(Extent{Len: left, PLen: n}, c.scratch[:n])
	case (n == 0 || n >= left) && left <= most:
		return c.keep(Extent{Len: left, PLen: left, Stored: true}, c.src)
	case full > 0 && full < n && n < left:
		if m, used := c.enc.FitDst(c.scratch[:full], c.src[:min(left, c.maxExtent())]); used < left && c.pays(m, used) {
			c.add(m, used)
			return true
		}
		n, _ = c.enc.FitDst(c.scratch[:c.Pcluster], c.src)
	}
	if c.pays(n, left) {
		c.add(n, left)
	} else {
		c.skip(bs, left)
	}
	return true
}

// keep ends the file with an inline pcluster.
func (c *cutter) keep(e Extent, b []byte) bool {
	c.out = append(c.out, b...)
	c.Inline, c.InlineOut, c.src = e, c.out[len(c.out)-len(b):], nil
	return false
}

// add appends a pcluster: n bytes in c.scratch for used bytes of the file.
func (c *cutter) add(n, used int) {
	plen := n
	if !c.Dense {
		plen = int(disk.Align(int64(n), int64(c.block())))
		for range plen - n {
			c.out = append(c.out, 0)
		}
	}
	c.out = append(c.out, c.scratch[:n]...)
	c.extents = append(c.extents, Extent{Len: used, PLen: plen})
	c.src = c.src[used:]
}

// skip stores some bytes because a pcluster of the limit did not pay, and then it tries again: at first where it
// might pay, after some failures in a row at longer and longer distances, so that data that is compressed
// already costs little time.
func (c *cutter) skip(limit, left int) {
	const patience = 8
	n := max(c.block(), limit/patience&^(c.block()-1))
	if c.fails++; c.fails > patience {
		n = min(n<<min(c.fails-patience, 5), max(c.Pcluster, 16*c.block()))
	}
	n = min(n, left, c.distance())
	if full := n &^ (c.block() - 1); full > 0 && (c.Tail != TailPad || n < left) {
		n = full // what is not a full block may have a better place
	}
	c.store(n)
}

// store appends n bytes as they are.
func (c *cutter) store(n int) {
	bs := c.block()
	if c.Dense {
		c.out = append(c.out, c.src[:n]...)
		if l := len(c.extents) - 1; l >= c.first && c.extents[l].Stored && c.extents[l].Len+n <= MaxDense {
			c.extents[l].Len += n
			c.extents[l].PLen += n
		} else {
			c.extents = append(c.extents, Extent{Len: n, PLen: n, Stored: true})
		}
		c.src = c.src[n:]
		return
	}
	for n > 0 {
		l, start := min(n, bs), len(c.out)
		c.out = append(c.out, make([]byte, bs)...)
		block := c.out[start:]
		from := 0
		if c.Interlaced {
			from = (len(c.Src) - len(c.src)) & (bs - 1)
		}
		right := copy(block[from:], c.src[:l])
		copy(block, c.src[right:l])
		c.extents = append(c.extents, Extent{Len: l, PLen: bs, Stored: true})
		c.src, n = c.src[l:], n-l
	}
}
