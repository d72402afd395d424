package mkfs

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/laminafs/lamina/internal/compress"
	"github.com/laminafs/lamina/internal/disk"
	"github.com/laminafs/lamina/internal/image"
)

// baseFiles is what bases for images with compression know: the pclusters of files in EROFS images, and where equal
// bytes may be found. It does not change once it is made.
//
//	files         ─► chunks by content ─► origin, as in dedupe; its pclusters are on a device
//	packed inodes ─► fragments by their digest ─► offset in the packed inode, an origin as well
type baseFiles struct {
	chunks    map[uint64]chunkAt
	packed    []*origin // packed inodes
	fragments map[digest]fragmentAt
	methods   [disk.ZSTD + 1]compress.Method // what decodes all that the bases have
	announced disk.Algorithms                // by the bases
	dense     bool                           // some pcluster does not begin at a block
}

// fragmentAt is where a fragment lies.
type fragmentAt struct {
	packed int // index in baseFiles.packed
	off    int64
}

// NewFileBases reads the EROFS images in list, compressed or not, for images with compression and blocks of blockSize
// bytes; 0 means 4096. Such an image refers to pclusters of its bases: their files are decoded once, to be found again.
// A file in list that is no image is of use as the device of another one that is: what a base has on devices is
// looked for in the list by digest. It takes some 3 % of the decoded bytes as memory.
//
// A base is hostile input. One that breaks the format where it cannot be passed over is an error, elsewhere it
// has less in common with the image; what is read of it is bounded by its size.
func NewFileBases(blockSize int, list ...Base) (*Bases, error) {
	b, err := newBases(blockSize, list)
	if err != nil {
		return nil, err
	}
	f := &baseFiles{chunks: make(map[uint64]chunkAt), fragments: make(map[digest]fragmentAt)}
	b.files = f
	if err := b.digests(); err != nil {
		return nil, err
	}
	needed := make([]bool, len(b.list))
	images := make([]bool, len(b.list))
	for i := range b.list {
		s, err := b.openImage(i, needed)
		if err == nil && s != nil {
			images[i] = true
			err = s.scan()
		}
		if err != nil {
			return nil, fmt.Errorf("mkfs: base %d: %w", i+1, err)
		}
	}
	for i := range b.list {
		if !images[i] && !needed[i] {
			return nil, fmt.Errorf("mkfs: base %d: %w: compressed images share data with EROFS images only", i+1, errNoImage)
		}
	}
	return b, nil
}

var errNoImage = errors.New("not an EROFS image, nor a device of one")

// digests computes the digests of all bases, some at a time.
func (b *Bases) digests() error {
	errs := make([]error, len(b.list))
	var wait sync.WaitGroup
	room := make(chan struct{}, 4)
	for i := range b.list {
		wait.Go(func() {
			room <- struct{}{}
			defer func() { <-room }()
			f, sum := &b.list[i], sha256.New()
			n, err := io.CopyBuffer(sum, io.NewSectionReader(f.Data, 0, f.Size), make([]byte, 1<<20))
			if err == nil && n < f.Size {
				err = io.EOF
			}
			if err != nil {
				errs[i] = fmt.Errorf("mkfs: base %d: %w", i+1, baseError(n, err))
			}
			sum.Sum(f.digest[:0])
		})
	}
	wait.Wait()
	return errors.Join(errs...)
}

// openImage opens base i if it is an image, with its devices if all of them are bases, which it notes in needed.
func (b *Bases) openImage(i int, needed []bool) (*baseScan, error) {
	f := &b.list[i]
	magic := make([]byte, 4)
	if f.Size < disk.SuperOffset+disk.SuperSize {
		return nil, nil
	}
	if err := f.read(magic, disk.SuperOffset); err != nil {
		return nil, err
	}
	if binary.LittleEndian.Uint32(magic) != disk.Magic {
		return nil, nil
	}
	r := io.NewSectionReader(f.Data, 0, f.Size)
	im, err := image.Open(r, nil, image.Options{})
	if err != nil {
		return nil, err
	}
	if im.BlockBits() != b.bits {
		return nil, fmt.Errorf("blocks of %d bytes: the image has blocks of %d", im.BlockSize(), 1<<b.bits)
	}
	s := &baseScan{b: b, files: b.files, im: im, devices: []uint16{uint16(i + 1)}}
	s.devices = b.devicesOf(im, s.devices, needed)
	if n := len(s.devices); n > 1 {
		var extra []io.ReaderAt
		for _, d := range s.devices[1:] {
			f := &b.list[d-1]
			extra = append(extra, io.NewSectionReader(f.Data, 0, f.Size))
		}
		if s.im, err = image.Open(r, extra, image.Options{}); err != nil {
			return nil, err
		}
	}
	s.announce()
	return s, nil
}

// devicesOf appends the bases that are the extra devices of an image to those that are known, unless one is missing:
// the image may hold its devices itself, and what is nowhere is not found.
func (b *Bases) devicesOf(im *image.Image, list []uint16, needed []bool) []uint16 {
	n, all := len(list), true
	for _, d := range im.Devices[1:] {
		tag := string(bytes.TrimRight(d.Slot.Tag[:], "\x00"))
		k := slices.IndexFunc(b.list, func(f baseFile) bool { return hex.EncodeToString(f.digest[:]) == tag })
		if k < 0 {
			all = false
			continue
		}
		needed[k] = true
		list = append(list, uint16(k+1))
	}
	if !all {
		return list[:n]
	}
	return list
}

// announce takes note of the algorithms of an image.
func (s *baseScan) announce() {
	f := s.files
	for a := disk.LZ4; a.Known(); a++ {
		if !s.im.Super.Algorithms().Has(a) {
			continue
		}
		m := compress.MethodOf(a, s.im.Config(a), s.b.bits)
		if f.announced.Has(a) {
			m = m.Join(f.methods[a])
		}
		f.methods[a] = m
		f.announced |= 1 << a
	}
}

// pcluster fills dst with what a pcluster on a base holds, or the first bytes of a stored one; encoded is memory for it. dst has room
// for one more byte. A complete one that holds more is an error, as it is to Linux.
func (b *Bases) pcluster(dst []byte, p *pcluster, encoded *[]byte) error {
	f := &b.list[p.device-1]
	if p.stored {
		return f.read(dst, p.pos)
	}
	*encoded = append((*encoded)[:0], make([]byte, p.plen)...)
	src := *encoded
	if err := f.read(src, p.pos); err != nil {
		return err
	}
	if first := src[:min(p.plen, 1<<b.bits-p.pos&(1<<b.bits-1))]; isZero(first) {
		return &disk.FormatError{Off: p.pos, Field: "pcluster of a base", Got: p.plen, Why: "its first block has zeros only"}
	}
	decode := b.files.methods[p.algorithm].DecodeWhole
	if p.partial {
		decode = b.files.methods[p.algorithm].Decode
	}
	if err := decode(dst, src); err != nil {
		return &disk.FormatError{Off: p.pos, Field: "pcluster of a base", Got: p.plen, Why: err.Error()}
	}
	return nil
}
