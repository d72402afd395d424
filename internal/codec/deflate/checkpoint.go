package deflate

import (
	"fmt"
	"io"
	"math"
)

// Checkpoint is a place of gzip data from which decoding can go on without what is before it.
type Checkpoint struct {
	In     int64  // of the next bit, in bits of the source
	Out    int64  // of the next byte, in decoded bytes of all members
	Block  int64  // the bit where the header of the block is that it lies in, -1 between two blocks
	Sum    uint32 // CRC-32 of the member so far
	Size   uint32 // bytes of the member so far, modulo 1<<32
	Reach  int    // how many bytes before Out a match may refer to, at most History
	Window []byte // the last ones of these, as far as any match does; others among them are zero
}

// Checkpoints makes Next call fn with a Checkpoint for every so many bytes of output, in order, on the goroutine of
// Next: at the first block or member behind that distance, or within a block that is longer than it. fn may keep
// the Window. Must be called before the first Next.
//
// The Window holds only what is referred to: to find that out, the 32 KiB behind each checkpoint are decoded three
// more times (referred). Up to 192 KiB of the source are kept for that, and for its duration there are 300 KiB more.
func (z *Reader) Checkpoints(every int64, fn func(Checkpoint)) {
	every = max(every, History)
	z.points = &recorder{every: every, next: every, fn: fn}
}

// inputMax bounds what is kept of the source to look for references: much more than 32 KiB of output take, if the
// source has no thousands of empty blocks. Beyond it the whole window stays.
const inputMax = 4 * History

// recorder takes checkpoints while a Reader decodes.
type recorder struct {
	every, next int64
	fn          func(Checkpoint)

	pending   *Checkpoint // its window is still whole
	following []byte      // the source from the byte of pending.In on
}

// input is told what was read from the source.
func (p *recorder) input(b []byte) {
	if p.pending != nil && len(p.following) <= inputMax {
		p.following = append(p.following, b...)
	}
}

// step is told that the Reader has decoded to the end of buf.
func (p *recorder) step(z *Reader, buf []byte) {
	if p.pending != nil && (z.out >= p.pending.Out+History || z.state == between || z.err != nil) {
		p.finish(z.out)
	}
	if z.err != nil || z.out < p.next {
		return
	}
	switch z.state {
	case atBlock:
		p.take(z, buf, -1)
	case inStored, inCodes:
		if z.out >= p.next+p.every { // a block that does not end
			p.take(z, buf, z.block)
		}
	}
}

// take takes a checkpoint; the one before it has been finished, as every is History or more.
func (p *recorder) take(z *Reader, buf []byte, block int64) {
	if p.pending != nil { // tests have them nearer
		return
	}
	window := append([]byte(nil), buf[len(buf)-z.history:]...)
	p.pending = &Checkpoint{In: z.at(), Out: z.out, Block: block, Sum: z.sum, Size: z.size, Reach: len(window), Window: window}
	p.next = z.out + p.every
	p.following = append(p.following[:0], z.in[p.pending.In>>3-z.base:z.end]...)
}

// finish hands the pending checkpoint out. The Reader has decoded to out.
func (p *recorder) finish(out int64) {
	c := *p.pending
	p.pending = nil
	if c.Reach > 0 && c.Block < 0 && len(p.following) <= inputMax {
		c.Window = referred(c, p.following, int(min(out-c.Out, History)))
	}
	p.fn(c)
}

// Resume returns a Reader that goes on at a checkpoint of the gzip data in r, through all members that follow. A checkpoint
// of other data, or a changed one, gives an error or wrong bytes: what must be right is verified by its digest. The checksum
// of a member is verified when its end is reached.
func Resume(c Checkpoint, r io.ReaderAt) (*Reader, error) { return resume(NewReader(nil), c, r) }

// ResumeRaw is Resume for DEFLATE data without a header, as of NewRawReader.
func ResumeRaw(c Checkpoint, r io.ReaderAt) (*Reader, error) {
	z := NewReader(nil)
	z.bare, z.one = true, true
	return resume(z, c, r)
}

func resume(z *Reader, c Checkpoint, r io.ReaderAt) (*Reader, error) {
	if c.In < 0 || c.Out < 0 || c.Block < -1 || c.Block > c.In || c.Reach < 0 || c.Reach > History || len(c.Window) > c.Reach {
		return nil, fmt.Errorf("deflate: checkpoint at %d: not one of any data", c.Out)
	}
	z.state = atBlock
	if c.Block >= 0 {
		z.err = z.intoBlock(c, r)
	}
	if z.err == nil {
		z.err = z.seek(r, c.In)
	}
	if z.locate(); z.err != nil {
		return nil, z.err
	}
	z.window = make([]byte, c.Reach)
	copy(z.window[c.Reach-len(c.Window):], c.Window)
	z.history, z.sum, z.size, z.out = c.Reach, c.Sum, c.Size, c.Out
	return z, nil
}

// intoBlock reads the header of the block that a checkpoint lies in.
func (z *Reader) intoBlock(c Checkpoint, r io.ReaderAt) error {
	if err := z.seek(r, c.Block); err != nil {
		return err
	}
	if err := z.blockHeader(); err != nil {
		return err
	}
	if z.state == inStored {
		done := c.In - z.at()
		if done < 0 || done%8 != 0 || done/8 > int64(z.stored) {
			return fmt.Errorf("deflate: checkpoint at %d: not in its stored block", c.Out)
		}
		z.stored -= int(done / 8)
	}
	return nil
}

// seek goes to a bit of the source.
func (z *Reader) seek(r io.ReaderAt, bit int64) error {
	z.r = io.NewSectionReader(r, bit>>3, math.MaxInt64-bit>>3)
	z.base, z.pos, z.end, z.srcErr, z.bits, z.count = bit>>3, 0, 0, nil, 0, 0
	n := uint(bit & 7)
	if err := z.need(n); err != nil {
		return err
	}
	z.take(n)
	return nil
}
