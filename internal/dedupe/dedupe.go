// Package dedupe lets files of EROFS images share the blocks of a disk: equal data in several images is stored once by
// the file system below them (xfs, btrfs), and no byte of any image changes.
//
//	layer A   [super][ libc ][  python  ][ a ]        what the files say: unchanged
//	layer B   [super][ b ][  python  ]
//
//	disk      [super][ libc ][  python  ][ a ][super][ b ]    python is there once
//
// Equal data is looked for where EROFS puts it: a file of an image starts at a block, so equal files are equal rows of
// blocks wherever they lie. A file is cut into pieces, a piece that was seen before is offered to the kernel
// (FIDEDUPERANGE, ioctl_fideduperange(2)), and the kernel compares the bytes under its locks before it shares them: a
// wrong hash, or a file that changes meanwhile, costs time and nothing else.
package dedupe

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"os"
)

// pieceMax is how many bytes are looked up at once. Smaller pieces find more within large files of which a part
// differs, and take more memory: some 60 bytes for each.
const pieceMax = 64 << 10

// joinMax is the longest range that is offered to the kernel at once; btrfs takes no longer one.
const joinMax = 16 << 20

// Config says what Run does.
type Config struct {
	// DryRun looks for equal data and shares nothing.
	DryRun bool
	// Observe, if set, is told how many bytes of all files have been read, on the goroutine of Run.
	Observe func(bytes int64)
}

// Result is what Run found and did, in bytes of file data in whole blocks.
type Result struct {
	Files  int   // images that were read
	Read   int64 // bytes of data in them
	Equal  int64 // of these, that an earlier image or place had too
	Shared int64 // of Equal, that lie on the same blocks of the disk since this run
	Before int64 // of Equal, that did so before
}

// Refused is an image that was left out, with the reason.
type Refused struct {
	Path string
	Err  error
}

// ErrNoSharing is a file system that cannot share blocks between files.
var ErrNoSharing = errors.New("the file system cannot share blocks of files (xfs with reflink and btrfs can)")

// Run shares equal data of the images in files at these paths, which are on one file system. Earlier paths keep their
// blocks. An image that cannot be read, or must not be changed (immutable), is refused, and the others go on.
//
// Memory grows with the data: some 60 bytes for each piece of up to 64 KiB. After an error or a crash each range is
// shared or is not; what the images hold is the same at every moment.
func Run(ctx context.Context, paths []string, c Config) (Result, []Refused, error) {
	r := run{Config: c, seen: make(map[key]place), open: opened{}}
	r.hash.SetSeed(maphash.MakeSeed())
	defer r.open.close()
	for _, p := range paths {
		if err := r.file(ctx, p); err != nil {
			return r.Result, r.refused, err
		}
	}
	return r.Result, r.refused, nil
}

// key names the bytes of a piece; a wrong match is found by the kernel.
type key struct {
	hash uint64
	n    int32
}

// place is where the bytes of a piece were seen first.
type place struct {
	file int32
	pos  int64
}

type run struct {
	Config
	Result
	refused []Refused

	paths []string // by place.file: the images read so far
	open  opened
	self  *os.File // the image being read
	seen  map[key]place
	hash  maphash.Hash
	buf   [pieceMax]byte
	next  span // equal data that is not shared yet
}

// span is a row of bytes of the image being read that an image has had before.
type span struct {
	from int32 // index of paths
	src  int64
	dst  int64
	n    int64
}

func (r *run) refuse(path string, err error) { r.refused = append(r.refused, Refused{path, err}) }

// file reads an image and shares what earlier ones have.
func (r *run) file(ctx context.Context, path string) error {
	f, err := os.Open(path)
	if err != nil {
		r.refuse(path, err)
		return nil
	}
	defer func() { _ = f.Close() }() // only read
	unit, err := blockSize(f)
	if err != nil {
		return err
	}
	pieces, err := piecesOf(f, unit)
	if err != nil {
		r.refuse(path, err)
		return nil
	}
	r.paths = append(r.paths, path)
	r.self = f
	r.Files++
	err = r.pieces(ctx, f, pieces)
	if errors.Is(err, errSkip) {
		r.refuse(path, err)
		return nil
	}
	return err
}

// errSkip is why an image cannot share; others can.
var errSkip = errors.New("not shared")

func (r *run) pieces(ctx context.Context, f *os.File, pieces []piece) error {
	self := int32(len(r.paths) - 1)
	for _, p := range pieces {
		for p.n > 0 {
			if err := ctx.Err(); err != nil {
				return context.Cause(ctx)
			}
			b := r.buf[:min(p.n, pieceMax)]
			if _, err := f.ReadAt(b, p.pos); err != nil {
				return fmt.Errorf("dedupe: %s: %w", f.Name(), err)
			}
			if err := r.piece(self, p.pos, b); err != nil {
				return err
			}
			p.pos, p.n = p.pos+int64(len(b)), p.n-int64(len(b))
		}
	}
	return r.share()
}

// piece looks the bytes at a place up, and notes them if they are new.
func (r *run) piece(self int32, pos int64, b []byte) error {
	r.Read += int64(len(b))
	if r.Observe != nil {
		r.Observe(r.Read)
	}
	r.hash.Reset()
	_, _ = r.hash.Write(b) // never fails
	k := key{r.hash.Sum64(), int32(len(b))}
	first, ok := r.seen[k]
	if !ok {
		r.seen[k] = place{self, pos}
		return nil
	}
	r.Equal += int64(len(b))
	n := &r.next
	if n.from == first.file && n.src+n.n == first.pos && n.dst+n.n == pos && n.n > 0 && n.n < joinMax {
		n.n += int64(len(b))
		return nil
	}
	if err := r.share(); err != nil {
		return err
	}
	r.next = span{first.file, first.pos, pos, int64(len(b))}
	return nil
}

// share offers the noted span to the kernel.
func (r *run) share() error {
	s := r.next
	r.next = span{}
	if s.n == 0 {
		return nil
	}
	dst, src := r.self, r.self
	if int(s.from) < len(r.paths)-1 {
		var err error
		if src, err = r.open.get(r.paths[s.from]); err != nil {
			return nil // it has been removed: nothing of it is worth sharing
		}
	}
	before, err := sharedBytes(src, s.src, dst, s.dst, s.n)
	if err != nil {
		return err
	}
	r.Before += before
	if r.DryRun || before == s.n {
		return nil
	}
	done, err := shareRange(src, s.src, dst, s.dst, s.n)
	r.Shared += max(0, done-before)
	return err
}
