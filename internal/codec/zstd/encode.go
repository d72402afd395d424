package zstd

import (
	"fmt"

	"github.com/klauspost/compress/zstd"
)

// Levels of the encoder: 0 is DefaultLevel, 1 the fastest, 22 the smallest.
const (
	MinLevel     = 0
	MaxLevel     = 22
	DefaultLevel = 3
)

// Options of an Encoder; the zero value is DefaultLevel and the largest window.
type Options struct {
	Level     int // MinLevel to MaxLevel
	WindowLog int // matches reach back 1<<WindowLog bytes, MinWindowLog to MaxWindowLog; 0 is MaxWindowLog
}

// Encoder makes frames of a bounded length. It is the scratch of one goroutine; what it returns depends on its
// options and on what it is given, on nothing before.
type Encoder struct{ enc *zstd.Encoder }

// NewEncoder returns an Encoder, or an error that names the option it cannot have.
func NewEncoder(o Options) (*Encoder, error) {
	if o.Level < MinLevel || o.Level > MaxLevel {
		return nil, fmt.Errorf("zstd: level %d: levels are %d to %d", o.Level, MinLevel, MaxLevel)
	}
	if o.WindowLog == 0 {
		o.WindowLog = MaxWindowLog
	}
	if o.WindowLog < MinWindowLog || o.WindowLog > MaxWindowLog {
		return nil, fmt.Errorf("zstd: window log %d: it is %d to %d", o.WindowLog, MinWindowLog, MaxWindowLog)
	}
	if o.Level == 0 {
		o.Level = DefaultLevel
	}
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false), zstd.WithWindowSize(1<<o.WindowLog),
		zstd.WithEncoderLevel(zstd.EncoderLevelFromZstd(o.Level)))
	return &Encoder{enc}, err
}

// FitDst encodes as long a prefix of src as fits into dst, of consumed bytes, to one frame of written bytes.
// Both are 0 if that would not make it shorter.
func (e *Encoder) FitDst(dst, src []byte) (written, consumed int) {
	lo, hi := 0, len(src)
	for lo < hi {
		mid := (lo + hi + 1) / 2
		if b := e.enc.EncodeAll(src[:mid], nil); len(b) <= len(dst) {
			lo, written = mid, copy(dst, b)
		} else {
			hi = mid - 1
		}
	}
	if written >= lo {
		return 0, 0
	}
	return written, lo
}
