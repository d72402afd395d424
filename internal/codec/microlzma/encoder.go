package microlzma

import "fmt"

// Levels as mkfs.erofs has them: 0 to 9, and the same plus 100, which try harder ("extreme" of xz).
const (
	MinLevel     = 0
	MaxLevel     = 109
	DefaultLevel = 6

	extreme = 100
)

// DefaultDict returns the dictionary in bytes that mkfs.erofs takes for pclusters of the given size in bytes.
func DefaultDict(pcluster int) int { return max(32<<10, min(MaxDict, 4*pcluster)) }

// Options of an Encoder.
type Options struct {
	Level int // MinLevel to MaxLevel; DefaultLevel is a good one
	Dict  int // how far back matches reach in bytes, MinDict to MaxDict; 0 is MaxDict
}

// Encoder makes streams, each on its own. It is for one goroutine.
type Encoder struct {
	stream
	opt  Options
	head [1 << 14]int32
}

// NewEncoder returns an Encoder. Memory grows with the source and with the dictionary, to 9 bytes per byte
// of the lesser one.
func NewEncoder(o Options) (*Encoder, error) {
	if o.Dict == 0 {
		o.Dict = MaxDict
	}
	if o.Level < MinLevel || o.Level > MaxLevel || o.Level%extreme > 9 {
		return nil, fmt.Errorf("microlzma: level: %d: not in 0 to 9 nor in 100 to 109", o.Level)
	}
	if o.Dict < MinDict || o.Dict > MaxDict {
		return nil, fmt.Errorf("microlzma: dictionary: %d bytes: not in %d to %d", o.Dict, MinDict, MaxDict)
	}
	return &Encoder{opt: o}, nil
}
