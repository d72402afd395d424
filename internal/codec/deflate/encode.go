package deflate

import (
	"bytes"
	"compress/flate"
	"fmt"
)

// Levels of the encoder: 0 is DefaultLevel, 1 the fastest, 9 the smallest.
const (
	MinLevel     = 0
	MaxLevel     = 9
	DefaultLevel = 1
)

// Options of an Encoder; the zero value is DefaultLevel and the whole History.
type Options struct {
	Level       int // MinLevel to MaxLevel
	MaxDistance int // how far back matches refer, bytes, up to History; 0 is History
}

// Encoder makes raw DEFLATE data of a bounded length. It is the scratch of one goroutine; what it returns
// depends on its options and on what it is given, on nothing before.
type Encoder struct{ level int }

// NewEncoder returns an Encoder, or an error that names the option it cannot have.
func NewEncoder(o Options) (*Encoder, error) {
	if o.Level < MinLevel || o.Level > MaxLevel {
		return nil, fmt.Errorf("deflate: level %d: levels are %d to %d", o.Level, MinLevel, MaxLevel)
	}
	if o.MaxDistance < 0 || o.MaxDistance > History {
		return nil, fmt.Errorf("deflate: distance %d: matches reach back %d bytes at most", o.MaxDistance, History)
	}
	if o.Level == 0 {
		o.Level = DefaultLevel
	}
	return &Encoder{level: o.Level}, nil
}

// FitDst encodes as long a prefix of src as fits into dst, of consumed bytes, to a complete stream of written
// bytes, whose first one is not 0. Both are 0 if that would not make it shorter.
func (e *Encoder) FitDst(dst, src []byte) (written, consumed int) {
	lo, hi := 0, len(src)
	for lo < hi {
		mid := (lo + hi + 1) / 2
		if b := e.whole(src[:mid]); len(b) <= len(dst) && b[0] != 0 {
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

func (e *Encoder) whole(src []byte) []byte {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, e.level)
	if err == nil {
		_, err = w.Write(src)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		panic(err)
	}
	return b.Bytes()
}
