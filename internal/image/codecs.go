package image

import (
	"bytes"

	"github.com/laminafs/lamina/internal/codec/deflate"
	"github.com/laminafs/lamina/internal/codec/lz4"
	"github.com/laminafs/lamina/internal/codec/microlzma"
	"github.com/laminafs/lamina/internal/codec/zstd"
	"github.com/laminafs/lamina/internal/disk"
	"github.com/laminafs/lamina/internal/zmap"
)

// limits are what the configurations of the algorithms allow (section 7.2). Zero is an algorithm without a
// configuration that can be used.
type limits struct {
	lzmaDict  int
	zstdLog   int // log2 of the window
	hasConfig disk.Algorithms
}

// decoders decode the first len(dst) bytes of what a pcluster holds: the table of algorithms.
var decoders = map[disk.Algorithm]func(dst, src []byte, l *limits) error{
	disk.LZ4:     func(dst, src []byte, _ *limits) error { return lz4.Decode(dst, src) },
	disk.LZMA:    func(dst, src []byte, l *limits) error { return microlzma.Decode(dst, src, l.lzmaDict) },
	disk.Deflate: func(dst, src []byte, _ *limits) error { return deflate.Decode(dst, src) },
	disk.ZSTD:    func(dst, src []byte, l *limits) error { return zstd.Decode(dst, src, l.zstdLog) },
}

// decode decodes the beginning of a pcluster, whose bytes on disk are src (z_erofs_decompress).
func (im *Image) decode(dst, src []byte, e *zmap.Extent) error {
	if im.Super.Incompat&disk.HasComprCfgs != 0 && !im.limits.hasConfig.Has(e.Algorithm) {
		return badPcluster(e, "its algorithm has no valid configuration")
	}
	if e.Algorithm != disk.LZ4 || im.Super.Incompat&disk.HasZeroPadding != 0 {
		// Padding lies in front and is shorter than a block (z_erofs_fixup_insize).
		room := min(int64(len(src)), im.BlockSize()-e.Pos&(im.BlockSize()-1))
		n := room - int64(len(bytes.TrimLeft(src[:room], "\x00")))
		if n == room {
			return badPcluster(e, "its first block has zeros only")
		}
		src = src[n:]
	}
	if err := decoders[e.Algorithm](dst, src, &im.limits); err != nil {
		return badPcluster(e, err.Error())
	}
	return nil
}

func badPcluster(e *zmap.Extent, why string) error {
	return &disk.FormatError{Off: e.Pos, Field: "pcluster (" + e.Algorithm.String() + ")", Got: e.PLen, Why: why}
}
