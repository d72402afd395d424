package mkfs

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"sort"

	"github.com/laminafs/lamina/internal/compress"
	"github.com/laminafs/lamina/internal/disk"
)

// dedupe finds bytes in compressed files that are in the image already, or in a base. Files are cut into chunks by content, and a
// hash of each chunk is remembered with the place where it was first seen. Where a chunk comes again, the pclusters
// around that place are decoded and compared: those whose beginning is the same are referred to. So the hash finds
// candidates only, and bytes decide.
//
// The pclusters of a file are known once it is committed, and a comparison waits for that: which bytes are shared
// does not depend on how fast the workers are.
type dedupe struct {
	cut    compress.Chunker
	own    bool // remember what is in the image
	chunks map[uint64]chunkAt
	files  map[digest]*place // files that came in one piece
	buf    []byte            // a piece before it has a batch

	decoded   []byte // the pcluster at decodedAt
	decodedAt int64
	encoded   []byte
}

// digest is the beginning of the SHA-256 of bytes that are not there any more to be compared.
type digest [16]byte

func digestOf(b []byte) digest {
	d := sha256.Sum256(b)
	return digest(d[:])
}

// chunkAt is where a chunk was first seen.
type chunkAt struct {
	from *origin
	off  int64
}

// maxChunks bounds the memory of deduplication to some 300 MiB: what comes again is found if it first came among
// some 8 GiB of different bytes.
const maxChunks = 4 << 20

// chunkSize is the length of chunks in bytes. What two files share is found if a chunk lies within it.
const chunkSize = 2048

func newDedupe(own bool) *dedupe {
	return &dedupe{
		own: own, cut: compress.NewChunker(chunkSize), chunks: make(map[uint64]chunkAt), files: make(map[digest]*place), decodedAt: -1,
	}
}

// origin is a file that others may refer to. A nil one takes note of nothing.
type origin struct {
	method    int
	second    *disk.Algorithm // of what it refers to in bases, if there is another one than its own
	known     bool            // some chunk was first seen here
	committed int64           // bytes whose pclusters are known
	pclusters []pcluster
}

// pcluster is an extent of an origin; stored ones may be several blocks together.
type pcluster struct {
	off, len, pos, plen int64
	method              int8           // that made it, if it is in the image
	algorithm           disk.Algorithm // unless it is stored
	device              uint16         // base from 1 on that pos counts in, 0: the image
	stored, partial     bool
}

// add takes note of an extent at an offset of the file, whose pcluster holds n bytes of it.
func (o *origin) add(off, n int64, r compress.Run, a disk.Algorithm) {
	if o != nil && o.known && r.PLen > 0 {
		o.pclusters = append(o.pclusters, pcluster{off, n, r.Pos, r.PLen, int8(o.method), a, r.Device, r.Stored, r.Partial && n == r.Len})
	}
}

// commit says that the pclusters of n more bytes are known.
func (o *origin) commit(n int) {
	if o != nil {
		o.committed += int64(n)
	}
}

// buffer returns n bytes of scratch.
func (d *dedupe) buffer(n int) []byte {
	if len(d.buf) < n {
		d.buf = make([]byte, n)
	}
	return d.buf
}

// refer makes a run at an offset of a file of a reference, or of a copy of what it leads to.
func (k *compressor) refer(m *mapped, at int64, run *compress.Run, p *pcluster) error {
	if run.Second = !p.stored && p.algorithm != m.First; run.Second {
		m.Second = p.algorithm
	}
	if k.apart != nil {
		if done, err := k.copied(at, run, p); done || err != nil {
			return err
		}
	}
	run.Pos, run.PLen, run.Stored, run.Partial, run.Device = p.pos, p.plen, p.stored, p.partial, p.device
	if p.device > 0 {
		k.refs.mark(p.device)
		k.refs.announce(p)
		k.shared = k.shared || run.Partial
		return nil
	}
	k.shared = true
	k.w.saved += run.Len
	return nil
}

// share finds what a piece shares with what came before it: all of a file, whose place is returned, or parts of it.
func (k *compressor) share(pt *part, piece *compress.Piece) (*place, error) {
	d := k.dedupe
	own := d.own && !pt.packed
	if own && pt.last && pt.off == 0 {
		sum := digestOf(piece.Src)
		if p, ok := d.files[sum]; ok && p.size == pt.p.size {
			k.w.saved += p.size
			return p, nil
		}
		d.files[sum] = pt.p
	}
	if piece.Method == compress.Store {
		return nil, nil
	}
	if k.refs != nil {
		k.refs.came += int64(len(piece.Src))
	}
	s := sharer{k: k, b: piece.Src, file: pt.from}
	for at := 0; at < len(s.b); {
		n, hash := d.cut.Next(s.b[at:])
		if k.refs != nil && at >= s.end {
			if err := k.shareBase(&s, hash, at, n); err != nil {
				return nil, err
			}
		}
		first, ok := d.chunks[hash]
		switch {
		case !own:
		case !ok && len(d.chunks) < maxChunks:
			d.chunks[hash] = chunkAt{pt.from, pt.off + int64(at)}
			pt.from.known = true
		case !ok || at < s.end || first.from == pt.from && first.off >= pt.off: // shared already, or in the piece itself
		case first.from.method == pt.from.method:
			if err := s.match(first, at, n); err != nil {
				return nil, err
			}
			if at >= s.end { // no pcluster begins where it could be used: perhaps one will here
				d.chunks[hash] = chunkAt{pt.from, pt.off + int64(at)}
				pt.from.known = true
			}
		}
		at += n
	}
	if s.gain > 6*disk.Blocks(pt.p.size, k.w.bits) { // bytes that a full index is longer than a compact one
		piece.Refs, pt.refs = s.refs, s.to
	}
	return nil, nil
}

// sharer collects the references of a piece.
type sharer struct {
	k    *compressor
	b    []byte  // the piece
	file *origin // that it is of
	refs []compress.Ref
	to   []pcluster
	from int   // where a reference may begin
	end  int   // of the last reference
	gain int64 // bytes of the image
}

// match refers to the pclusters around a place where a chunk was seen that came again at an offset of the piece.
func (s *sharer) match(c chunkAt, at, n int) error {
	k := s.k
	for c.from.committed < c.off+int64(n) {
		if err := k.advance(); err != nil {
			return err
		}
	}
	list := c.from.pclusters
	from := max(sort.Search(len(list), func(i int) bool { return list[i].off > c.off })-1, 0)
	shift := int64(at) - c.off // from offsets of the origin to those of the piece
	start := s.least()
	m := sharer{k: k, b: s.b, file: s.file, from: start, end: start}
	for ; from > 0; from-- {
		p := list[from-1]
		if same, err := m.same(&p, shift); err != nil {
			return err
		} else if same < p.len || p.len < list[from-1].len {
			break
		}
	}
	for _, p := range list[from:] {
		same, err := m.same(&p, shift)
		if err != nil {
			return err
		}
		if same >= k.w.bs && p.off+same+shift > int64(max(m.end, s.end)) {
			m.use(p, shift, same)
		}
		if same < p.len && p.off+same >= c.off { // they differ behind the chunk, or in it
			break
		}
	}
	if len(m.refs) > 0 && m.gain > k.w.bs/2 { // less is lost where the pcluster before it ends too early
		s.take(&m)
	}
	return nil
}

// least returns where a reference may begin at the earliest: within the last one if that is left an lcluster of its own.
func (s *sharer) least() int {
	if len(s.refs) == 0 || s.to[len(s.to)-1].stored {
		return s.end
	}
	last := &s.refs[len(s.refs)-1]
	bs := int(s.k.w.bs)
	n := bs
	if last.PLen > bs {
		n = 2 * bs
	}
	return min(s.end, last.Off&^(bs-1)+n)
}

// take appends references, which may begin within the last one.
func (s *sharer) take(m *sharer) {
	if at := m.refs[0].Off; at < s.end {
		s.cutLast(at)
	}
	s.refs, s.to = append(s.refs, m.refs...), append(s.to, m.to...)
	s.from, s.end, s.gain = m.end, m.end, s.gain+m.gain
}

// cutLast lets the last reference end at an offset.
func (s *sharer) cutLast(at int) {
	last := &s.refs[len(s.refs)-1]
	s.gain -= int64(last.PLen) * int64(s.end-at) / int64(last.Len)
	last.Len = at - last.Off
	q := &s.to[len(s.to)-1]
	q.len, q.partial = int64(last.Len), true
}

// use refers to the first same bytes of a pcluster. The one before it may hold more than is used of it in its file:
// what this one begins with.
func (s *sharer) use(p pcluster, shift, same int64) {
	if at := int(p.off + shift); at < s.end {
		s.cutLast(at)
	}
	ref := compress.Ref{Off: int(p.off + shift), Len: int(same), PLen: int(p.plen)}
	s.gain += p.plen * same / p.len
	if !p.stored && p.algorithm != s.k.algorithm(s.file.method) {
		s.file.second = &p.algorithm
	}
	if p.stored {
		p.plen = same
		ref.PLen = int(min(p.plen, s.k.w.bs)) // its index has it block by block
	} else {
		p.partial = p.partial || same < p.len
	}
	p.len = same
	s.refs, s.to, s.end = append(s.refs, ref), append(s.to, p), ref.Off+ref.Len
}

// same returns how many bytes at the beginning of a pcluster are the same as in the piece. Of stored ones, which
// may be many blocks, those before the piece or the last reference are cut off first; whole blocks count.
func (s *sharer) same(p *pcluster, shift int64) (int64, error) {
	unit := s.k.w.bs
	if s.k.c.Index == IndexExtents {
		unit = 1
	}
	if skip := int64(s.from) - (p.off + shift); p.stored && skip > 0 {
		skip = min(disk.Align(skip, unit), p.len)
		p.off, p.pos, p.len, p.plen = p.off+skip, p.pos+skip, p.len-skip, p.plen-skip
	}
	at := p.off + shift
	if at < int64(s.from) || at >= int64(len(s.b)) || !s.k.readable(p, s.file.second, s.file.method) {
		return 0, nil
	}
	n := min(p.len, int64(len(s.b))-at)
	step := n
	if p.stored {
		step = min(n, 64<<10) // they may be many
	}
	same := int64(0)
	for same < n {
		part := *p
		part.pos += same // stored ones only
		got, err := s.k.decoded(&part, min(step, n-same))
		if err != nil {
			return 0, err
		}
		more := int64(commonPrefix(got, s.b[at+same:]))
		if same += more; more < int64(len(got)) || more == 0 {
			break
		}
	}
	if p.stored && same < p.len {
		same &^= unit - 1
	}
	return same, nil
}

// decoded returns the first n bytes of a pcluster until its next call.
func (k *compressor) decoded(p *pcluster, n int64) ([]byte, error) {
	if p.device > 0 {
		return k.refs.decoded(p, n)
	}
	d := k.dedupe
	if d.decodedAt == p.pos && int64(len(d.decoded)) >= n {
		return d.decoded[:n], nil
	}
	d.decodedAt = -1
	d.decoded = append(d.decoded[:0], make([]byte, n)...)
	if p.stored {
		_, err := k.w.data.readAt(d.decoded, p.pos)
		d.decodedAt = p.pos
		return d.decoded, err
	}
	d.encoded = append(d.encoded[:0], make([]byte, p.plen)...)
	if _, err := k.w.data.readAt(d.encoded, p.pos); err != nil {
		return nil, err
	}
	if err := k.methods[p.method].Decode(d.decoded, d.encoded); err != nil {
		return nil, fmt.Errorf("mkfs: pcluster at %d: what was compressed is not decoded: %w", p.pos, err)
	}
	d.decodedAt = p.pos
	return d.decoded, nil
}

func commonPrefix(a, b []byte) int {
	n := 0
	for len(a)-n >= 256 && len(b)-n >= 256 && bytes.Equal(a[n:n+256], b[n:n+256]) {
		n += 256
	}
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}

// advance commits the oldest batch, the open one if no other waits.
func (k *compressor) advance() error {
	if len(k.waiting) == 0 {
		if err := k.send(); err != nil {
			return err
		}
	}
	return k.commitOldest()
}
