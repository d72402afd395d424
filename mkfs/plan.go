package mkfs

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/laminafs/lamina/internal/compress"
	"github.com/laminafs/lamina/internal/disk"
	"github.com/laminafs/lamina/tree"
)

// plan is every address in the metadata, computed once and without I/O; emission follows it and asserts.
//
//	base      ─► shared xattrs │ padding
//	metaBlock ─► slot 0 unused │ inodes, each with its xattrs, chunk array, tail │ padding
//	dirBlock  ─► blocks of directories that do not fit behind their inode
//	lateBlock ─► contents that could not be placed while streaming: long symlinks, unfit tails, up to
//	             end, which is a multiple of the block size
//
// With a metabox, blocks come first, as inodes in the metabox refer to them, and what its index says is known when it is
// compressed:
//
//	base, dirBlock, lateBlock ─► as above
//	              pclusters of the metabox: shared xattrs │ inodes
//	metaBlock ─► the inodes of the metabox and of the packed inode, planned last; 0 if they fit behind the superblock
//
// Shared xattrs come first because go-erofs, with which containerd looks for /etc/passwd, reads a whole
// block from wherever one begins: there is always a block behind them.
type plan struct {
	inodes []*tree.Node // in tree.Inodes order
	items  []item       // one for each inode
	x      xattrs

	epoch int64 // of compact inodes: the most frequent time
	nsec  uint32
	wide  bool // 48-bit layout
	far   bool // addresses may have more than 32 bits
	boxed bool // the inodes are in the metabox

	chunked bool // there are chunk-based inodes
	packed  bool // there is a packed inode
	filled  bool // inodes lie in gaps between others, not in their order

	base                int64  // where the metadata begins
	xattrBlock          int64  // xattr_blkaddr: ids of shared xattrs count from here
	metaBlock           int64  // meta_blkaddr: NIDs count from here
	origin              int64  // where they do, in the image or in the metabox
	boxSize             int64  // of the metabox
	root                uint64 // NID of the root
	inos                int64  // number of inodes, those outside of the metabox included
	packedNID, boxNID   uint64
	dirBlock, lateBlock int64
	dirs, late          int64 // blocks of directories and of late contents
	end                 int64
}

// item is where an inode and what belongs to it are.
type item struct {
	nid    uint64
	size   int64  // of a directory
	block  int64  // of a directory: among the directory blocks, or its offset in the packed inode; of late content: among the late blocks
	parent uint32 // of a directory: 1-based number of its parent
	icount uint16 // i_xattr_icount
	shape  shape
	form   compress.Form // of the index of a compressed file
}

// shape is how an inode is stored.
type shape uint8

const (
	extended shape = 1 << iota // 64 bytes
	inline                     // a tail behind it
	late                       // contents among the late blocks
	inPacked                   // a directory in the packed inode
)

// planner is the state of planning.
type planner struct {
	*plan
	w    *Writer
	pos  int64 // next free byte, from origin
	gaps *gaps // nil: they stay
	buf  []byte
}

// planInodes gives every inode its place. The metadata begins at base, or before if directories are to be packed, which
// comes next; then settle.
func (w *Writer) planInodes(t *tree.Tree, base int64) (_ *planner, err error) {
	p := &planner{w: w, plan: &plan{inodes: t.Inodes(), boxed: w.boxed()}}
	p.items = make([]item, len(p.inodes))
	if w.o.Compression != nil {
		p.gaps = new(gaps)
	}
	p.x.prefixes = w.prefixes()
	if !w.o.DropXattrs {
		p.x.share(p.inodes, w.o.xattrShare())
	}
	if p.epoch, p.nsec, err = w.epoch(p.inodes); err != nil {
		return nil, err
	}
	p.address(base)
	for i, n := range p.inodes {
		if err := p.inode(i, n); err != nil {
			return nil, fmt.Errorf("mkfs: %q: %w", pathOf(t, n), err)
		}
	}
	p.root = p.nid(0)
	return p, nil
}

// settle plans the rest once the packed inode is complete; base is the offset behind the data, a multiple of the block
// size if blocks come next.
func (p *planner) settle(base int64) error {
	w := p.w
	p.base = base
	n := w.packedNode()
	if p.packed = n != nil; p.packed && !p.boxed {
		n.Mtime, n.Nsec = p.epoch, p.nsec
		p.inodes, p.items = append(slices.Clip(p.inodes), n), append(p.items, item{})
		last := len(p.items) - 1
		if err := p.inode(last, n); err != nil {
			return fmt.Errorf("mkfs: packed inode: %w", err)
		}
		p.packedNID = p.nid(last)
	}
	p.inos = int64(len(p.inodes))
	if p.boxed {
		p.boxSize, p.dirBlock = p.pos, base>>w.bits
	} else if err := p.settleInodes(); err != nil {
		return err
	}
	p.lateBlock = p.dirBlock + p.dirs
	p.end = disk.Align((p.lateBlock+p.late)<<w.bits, max(w.bs, w.o.SizeAlign))
	return nil
}

// settleInodes decides where in the image the shared xattrs and the inodes are.
func (p *planner) settleInodes() error {
	base := p.base
	p.xattrBlock = min(base>>p.w.bits, math.MaxUint32)
	if len(p.x.order) > 0 && (base+p.x.size-p.xattrBlock<<p.w.bits)/disk.XattrAlign > math.MaxUint32 {
		return errors.New("mkfs: shared xattrs: more than 16 GiB behind what 32 bits address")
	}
	if !p.far {
		p.metaBlock = disk.Align(base+p.x.size, p.w.bs) >> p.w.bits
	}
	p.origin = p.metaBlock << p.w.bits
	p.dirBlock = p.metaBlock + disk.Blocks(p.pos, p.w.bits)
	return nil
}

// address decides where NIDs count from. The root must have a NID of 16 bits unless the 48-bit layout
// is used, and meta_blkaddr has 32 bits, so the inodes start right there; NID 0 means "none" in places
// and stays free.
func (p *planner) address(base int64) {
	base = disk.Align(base+p.x.size, p.w.bs)
	block := base >> p.w.bits
	top := max(block, p.w.top)
	for _, s := range p.w.slots {
		top = max(top, block+s.blocks) // its place in the unified address space
		block += s.blocks
	}
	p.far = top > math.MaxUint32-1<<28 // 2^28 blocks for the metadata, and hole is MaxUint32
	p.wide = p.far || p.boxed || p.w.o.Large || p.w.comp != nil && p.w.comp.c.Index == IndexExtents
	if p.boxed {
		p.pos = disk.Align(p.x.size, disk.SlotSize)
		return
	}
	p.metaBlock = min(base>>p.w.bits, math.MaxUint32)
	p.pos = base - p.metaBlock<<p.w.bits + disk.SlotSize
}

// nid returns the number of inode i.
func (p *plan) nid(i int) uint64 {
	if p.boxed {
		return p.items[i].nid | disk.MetaboxNID
	}
	return p.items[i].nid
}

// hasCompactTime tells whether a compact inode can have a time: that of all, or with a metabox, which makes the
// 48-bit layout, one in the 136 years from it on.
func (p *plan) hasCompactTime(sec int64, nsec uint32) bool {
	if !p.boxed {
		return sec == p.epoch && nsec == p.nsec
	}
	return nsec == p.nsec && sec >= p.epoch && uint64(sec)-uint64(p.epoch) <= math.MaxUint32
}

// inode gives inode i its shape and its place.
func (p *planner) inode(i int, n *tree.Node) error {
	it := &p.items[i]
	if n.IsDir() {
		full, last := dirSize(n, p.w.bs)
		it.size = full<<p.w.bits + last
	}
	if p.extended(it, n) {
		if p.w.o.Inodes == InodeCompact {
			return errors.New("compact inode: owner, size or link count does not fit")
		}
		it.shape |= extended
	}
	head := p.headSize(it)
	if list, print := p.w.attributes(n); len(list) > 0 || print != nil {
		p.x.countDropped(list)
		area, err := p.x.area(p.buf[:0], list, print, 0)
		if err != nil {
			return err
		}
		p.buf = area
		it.icount = disk.XattrICount(int64(len(area)))
		head += int64(len(area))
	}
	body, err := p.body(i, n, head)
	if err != nil {
		return err
	}
	c, ok := n.Content.(*place)
	switch {
	case it.shape&inline == 0:
		p.locate(it, head+body, 0, 0)
	case ok && c.comp != nil: // the index may be in other blocks than the tail
		p.locate(it, head+body, int64(c.tailN), 0)
	default:
		p.locate(it, head+body, body, head)
	}
	return nil
}

// locate gives an inode of size bytes its place. The last ones are an inline tail, which must lie in one block:
// with the head bytes of inode and xattrs before it, which must not end at its end, if there are any; else it is an
// inline pcluster, which must not begin where the block does. Linux 6.18 cannot read one whose offset in its page is
// the block size (z_erofs_fixup_insize is given no byte to look at), and no one knows the pages of who will read. In a
// gap none does, as there its inode is before it in the block.
func (p *planner) locate(it *item, size, tail, head int64) {
	const slot = disk.SlotSize
	if p.gaps != nil {
		if at, ok := p.gaps.take(disk.Align(size, slot) / slot); ok {
			it.nid, p.filled = uint64(at), true
			return
		}
	}
	p.pos = disk.Align(p.pos, slot)
	start := p.pos
	off := (start + size - tail) & (p.w.bs - 1)
	switch {
	case tail == 0 || off+tail <= p.w.bs && off > 0:
	case head > 0:
		p.pos = disk.Align(p.pos, p.w.bs)
	default:
		p.pos += disk.Align((p.w.bs-off)&(p.w.bs-1)+1, slot)
	}
	for p.gaps != nil && start < p.pos { // block by block
		end := min(p.pos, start&^(p.w.bs-1)+p.w.bs)
		p.gaps.put(start/slot, (end-start)/slot)
		start = end
	}
	it.nid = uint64(p.pos / slot)
	p.pos += size
}

func (p *planner) headSize(it *item) int64 {
	if it.shape&extended != 0 {
		return disk.InodeExtendedSize
	}
	return disk.InodeCompactSize
}

// body returns the length of what follows inode and xattrs, alignment included, and plans the blocks.
func (p *planner) body(i int, n *tree.Node, head int64) (int64, error) {
	it := &p.items[i]
	switch n.Type() {
	case tree.TypeDir:
		return p.directory(i, n, head), nil
	case tree.TypeSymlink:
		if n.Target == "" {
			return 0, errors.New("symbolic link without a target")
		}
		return p.tail(it, int64(len(n.Target)), head), nil
	case tree.TypeRegular:
		return p.regular(it, n, head)
	case tree.TypeChar, tree.TypeBlock, tree.TypeFifo, tree.TypeSocket:
		return 0, nil
	}
	return 0, fmt.Errorf("mode %o: no such file type", n.Mode)
}

func (p *planner) regular(it *item, n *tree.Node, head int64) (int64, error) {
	c, ok := n.Content.(*place)
	if !ok || c.size != n.Size {
		return 0, fmt.Errorf("content of %d bytes was not placed", n.Size)
	}
	if c.chunk != nil {
		p.chunked = true
		count := (c.size-1)>>(c.chunk.bits+p.w.bits) + 1
		return disk.Align(head, disk.ChunkIndexSize) - head + count*disk.ChunkIndexSize, nil
	}
	if m := c.comp; m != nil {
		it.form = p.w.comp.form(m, p.wide)
		if m.Inline > 0 {
			it.shape |= inline
		}
		at := disk.Align(head, disk.MapHeaderSize)
		return at - head + m.IndexSize(it.form, at) + int64(c.tailN), nil
	}
	if c.tailN == 0 {
		return 0, nil
	}
	if head+int64(c.tailN) <= p.w.bs {
		it.shape |= inline
		return int64(c.tailN), nil
	}
	it.shape |= late
	it.block = p.late
	p.late += disk.Blocks(c.size, p.w.bits)
	return 0, nil
}

// tail plans contents of n bytes that are in memory: behind the inode, or in late blocks.
func (p *planner) tail(it *item, n, head int64) int64 {
	if head+n <= p.w.bs && n < p.w.bs {
		it.shape |= inline
		return n
	}
	it.shape |= late
	it.block = p.late
	p.late += disk.Blocks(n, p.w.bits)
	return 0
}

// directory plans the blocks of a directory; the last, partial one goes behind the inode if it fits.
func (p *planner) directory(i int, n *tree.Node, head int64) int64 {
	it := &p.items[i]
	for _, e := range n.Entries() {
		if e.Node.IsDir() {
			p.items[e.Node.Ino()-1].parent = uint32(i + 1)
		}
	}
	if i == 0 {
		it.parent = 1
	}
	full, last := it.size>>p.w.bits, it.size&(p.w.bs-1)
	if p.packs(it.size, head) {
		it.shape |= inPacked
		return disk.Align(head, disk.MapHeaderSize) - head + packedIndexSize
	}
	it.block = p.dirs
	p.dirs += full
	if last == 0 {
		return 0
	}
	if head+last <= p.w.bs {
		it.shape |= inline
		return last
	}
	p.dirs++
	return 0
}

// packs tells whether a directory goes into the packed inode: if what leads there is shorter, and the metabox does not
// hold all of it.
func (p *planner) packs(size, head int64) bool {
	if !p.w.comp.packsDirectories() || p.far || size <= 2*packedIndexSize {
		return false
	}
	return !p.boxed || size >= p.w.bs || head+size > p.w.bs
}

// extended tells whether a compact inode cannot hold n.
func (p *planner) extended(it *item, n *tree.Node) bool {
	uid, gid := p.w.owner(n)
	if uid > math.MaxUint16 || gid > math.MaxUint16 || n.Links() > math.MaxUint16 ||
		n.IsRegular() && n.Size > math.MaxUint32 || it.size > math.MaxUint32 {
		return true
	}
	if p.w.o.Inodes == InodeExtended || p.far || p.wide && !p.boxed {
		return true
	}
	return p.w.o.Inodes == InodeAuto && !p.hasCompactTime(p.w.time(n))
}

// epoch returns the time that inodes count from, of which the build time can be told.
func (w *Writer) epoch(inodes []*tree.Node) (sec int64, nsec uint32, err error) {
	sec, nsec = w.commonTime(inodes)
	what := "the most frequent time"
	if w.boxed() {
		sec, what = w.firstTime(inodes, sec), "the earliest time that is stored"
	}
	switch build := w.o.BuildTime; {
	case build == 0:
	case build < sec:
		return build, 0, nil
	case uint64(build)-uint64(sec) > math.MaxUint32:
		return 0, 0, fmt.Errorf("mkfs: build time %d: more than 32 bits of seconds behind %s, %d", build, what, sec)
	}
	return sec, nsec, nil
}

// commonTime returns the most frequent modification time: it becomes the epoch, which compact inodes
// have without storing it. Only times among the first maxTimes different ones are candidates.
func (w *Writer) commonTime(inodes []*tree.Node) (sec int64, nsec uint32) {
	const maxTimes = 4096
	type stamp struct {
		sec  int64
		nsec uint32
	}
	count := make(map[stamp]int)
	var best stamp
	for i, n := range inodes {
		var s stamp
		s.sec, s.nsec = w.time(n)
		c, known := count[s]
		if !known && len(count) == maxTimes {
			continue
		}
		count[s] = c + 1
		if i == 0 || c+1 > count[best] {
			best = s // the first one to reach the highest count: no iteration over the map
		}
	}
	return best.sec, best.nsec
}

// firstTime returns the first time of all, at most 68 years before the most frequent one: from there on compact
// inodes have the other ones.
func (w *Writer) firstTime(inodes []*tree.Node, common int64) int64 {
	first := common
	for _, n := range inodes {
		if sec, _ := w.time(n); sec < first && uint64(common)-uint64(sec) <= math.MaxInt32 {
			first = sec
		}
	}
	return first
}

// time returns the modification time to store for n.
func (w *Writer) time(n *tree.Node) (sec int64, nsec uint32) {
	switch {
	case w.o.Time == TimeFixed, w.o.Time == TimeClamp && n.Mtime >= w.o.Timestamp:
		return w.o.Timestamp, 0
	}
	return n.Mtime, n.Nsec
}

func (w *Writer) owner(n *tree.Node) (uid, gid uint32) {
	if w.o.Owner == nil {
		return n.UID, n.GID
	}
	return w.o.Owner(n.UID, n.GID)
}

// pathOf finds a name of n, for errors only.
func pathOf(t *tree.Tree, n *tree.Node) string {
	found := "?"
	_ = t.Walk(func(path string, m *tree.Node) error {
		if m == n {
			found = path
			return errors.New("found")
		}
		return nil
	})
	return found
}
