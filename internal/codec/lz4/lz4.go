package lz4

import "fmt"

// Levels of the HC encoder, those of mkfs.erofs -zlz4hc,LEVEL.
const (
	MinLevel     = 0
	MaxLevel     = 12
	DefaultLevel = 9
)

// MaxDistance is how far back a match of the format can refer.
const MaxDistance = 1<<16 - 1

const (
	minMatch = 4
	// lastLiterals is how many bytes at the end of a block are literals at least.
	lastLiterals = 5
	// matchLimit is how far before the end of a block its last match starts at least.
	matchLimit = 12
)

// Options choose an encoder; the zero value is the fast one.
type Options struct {
	HC          bool // lz4hc: search longer for matches
	Level       int  // of HC, MinLevel to MaxLevel; 0 is DefaultLevel, as in liblz4; without HC it must be 0
	MaxDistance int  // how far back matches may refer, in bytes: up to MaxDistance, which 0 stands for
}

// validate checks o and replaces zeros by what they stand for.
func (o *Options) validate() error {
	switch {
	case o.Level < MinLevel || o.Level > MaxLevel:
		return fmt.Errorf("lz4: level: %d: not in %d to %d", o.Level, MinLevel, MaxLevel)
	case o.Level != 0 && !o.HC:
		return fmt.Errorf("lz4: level: %d: only lz4hc has levels", o.Level)
	case o.MaxDistance < 0 || o.MaxDistance > MaxDistance:
		return fmt.Errorf("lz4: maximal distance: %d: not in 0 to %d", o.MaxDistance, MaxDistance)
	}
	if o.Level == 0 {
		o.Level = DefaultLevel
	}
	if o.MaxDistance == 0 {
		o.MaxDistance = MaxDistance
	}
	return nil
}

// Encoder encodes into outputs of a given size. It holds the scratch of one goroutine, to be used for any number of
// calls; what it was used for before has no influence on its output.
type Encoder struct {
	opts Options
	fast *fast // nil: hc
	hc   *hc
}

// NewEncoder returns an Encoder; an error says which option is wrong.
func NewEncoder(o Options) (*Encoder, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	if o.HC {
		return &Encoder{opts: o, hc: newHC(o)}, nil
	}
	return &Encoder{opts: o, fast: new(fast)}, nil
}

// FitDst encodes the longest prefix of src that it can fit into dst as one block: dst[:written] is decoded to
// src[:consumed] by Decode. Both are 0 if the block would not be smaller than what it holds. All of dst may be
// written to. dst and src must not overlap.
func (e *Encoder) FitDst(dst, src []byte) (written, consumed int) {
	b := block{dst: dst, src: src}
	if e.hc != nil {
		e.hc.encode(&b)
	} else {
		e.fast.encode(&b, e.opts.MaxDistance)
	}
	if b.n >= b.anchor {
		return 0, 0
	}
	return b.n, b.anchor
}
