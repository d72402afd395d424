package mkfs

import (
	"bytes"
	"hash/crc32"

	"github.com/laminafs/lamina/internal/compress"
	"github.com/laminafs/lamina/internal/disk"
)

// twins finds pclusters that are in the image already, byte by byte: files that begin alike are cut and compressed
// alike until they differ, and sometimes behind that. Memory: some 60 bytes for each pcluster.
type twins struct {
	known map[twinKey]int64 // where they are; nil: none are looked for
	all   []twin            // of a piece
	buf   []byte
}

// twinKey is what twins have in common, and a hash of their bytes. Linux knows a pcluster that is being read by its
// address alone: it must not be stored for one file and compressed for another, nor wrap around at another byte.
type twinKey struct {
	hash      uint64
	len, plen int32 // len: of stored ones
	at        uint16
	method    int8
	stored    bool
}

// twin is an extent with its twin.
type twin struct {
	key twinKey
	pos int64 // of the twin
}

// maxTwins bounds the memory of twins to some 128 MiB: those of 8 GiB in pclusters of one block.
const maxTwins = 2 << 20

// findTwins finds the twins of the extents of a piece, unless they are not worth an index that can tell of them.
func (k *compressor) findTwins(pt *part, piece *compress.Piece) error {
	t, out := &k.twins, piece.Out
	t.all = append(t.all[:0], make([]twin, len(piece.Extents))...)
	if t.known == nil {
		return nil
	}
	at, gain := pt.off, int64(0)
	for i := range piece.Extents {
		e, w := &piece.Extents[i], &t.all[i]
		if e.Ref == 0 {
			w.key = k.twinKey(e, out[:e.PLen], at, piece.Method)
			var err error
			if w.pos, err = k.twinAt(w.key, out[:e.PLen]); err != nil {
				return err
			}
			if w.pos > 0 {
				gain += int64(e.PLen)
			}
			out = out[e.PLen:]
		}
		at += int64(e.Len)
	}
	if gain > 0 && !k.worthFull(pt.p, gain) {
		for i := range t.all {
			t.all[i].pos = 0
		}
	}
	return nil
}

// worthFull tells whether bytes of the image are more than a full index of a file is longer than a compact one.
func (k *compressor) worthFull(p *place, gain int64) bool {
	return k.c.Index != IndexAuto || p.comp != nil && p.comp.Scattered || gain > 6*disk.Blocks(p.size, k.w.bits)
}

// twinKey returns the key of an extent at an offset of its file with its bytes in the image.
func (k *compressor) twinKey(e *compress.Extent, b []byte, at int64, method int) twinKey {
	key := twinKey{plen: int32(e.PLen), method: int8(method), stored: e.Stored}
	if e.Stored {
		key.len = int32(e.Len)
		if k.interlaced() {
			key.at = uint16(at & (k.w.bs - 1))
		}
	}
	key.hash = uint64(crc32.ChecksumIEEE(b))<<32 | uint64(crc32.Checksum(b, castagnoli))
	return key
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// twinAt returns where bytes of a key are in the image, 0 if they are not.
func (k *compressor) twinAt(key twinKey, b []byte) (int64, error) {
	t := &k.twins
	pos, ok := t.known[key]
	if !ok {
		return 0, nil
	}
	t.buf = append(t.buf[:0], b...)
	if _, err := k.w.data.readAt(t.buf, pos); err != nil {
		return 0, err
	}
	if !bytes.Equal(t.buf, b) {
		return 0, nil
	}
	return pos, nil
}

// store makes a run one of bytes of the image: those of its twin, if they can be read beside the others of its file, or b.
func (k *compressor) store(at int64, run *compress.Run, b []byte, t *twin) {
	if t.pos > 0 {
		run.Pos = t.pos
		if k.apart == nil || !k.apart.clash(at, run) {
			k.shared = true
			k.w.saved += run.Len
			return
		}
	}
	k.own(at, run, b)
	k.twins.remember(t, run.Pos)
}

// remember takes note of where an extent was placed.
func (t *twins) remember(w *twin, pos int64) {
	if t.known != nil && len(t.known) < maxTwins {
		t.known[w.key] = pos
	}
}
