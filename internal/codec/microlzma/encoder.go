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
	finder matchFinder
	parser parser
	dict   int
	queue  []symbol
}

// parser chooses symbols.
type parser interface {
	start() // of a stream
	// parse appends to queue the symbols for the next part of the source, one or more.
	parse(queue []symbol) []symbol
	// used is told each symbol that was encoded, with the bits of its position.
	used(y symbol, posState uint32)
}

// NewEncoder returns an Encoder. Its memory grows with the lesser one of source and dictionary: to 12 bytes for
// each of theirs, and 1 MiB.
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
	t := efforts[o.Level%extreme]
	if o.Level >= extreme {
		t = t.extreme()
	}
	e := &Encoder{dict: o.Dict}
	e.finder.nice, e.finder.depth, e.finder.useTree = t.nice, t.depth, t.optimal
	if t.optimal {
		e.parser = &optimal{stream: &e.stream, finder: &e.finder, nice: t.nice}
	} else {
		e.parser = &fast{stream: &e.stream, finder: &e.finder, nice: t.nice}
	}
	return e, nil
}

// effort is what a level stands for.
type effort struct {
	optimal bool
	nice    int // a match of this length is taken at once
	depth   int // positions that a search looks at
}

// efforts are those of xz 5.
var efforts = [10]effort{
	{false, 128, 4}, {false, 128, 8}, {false, 273, 24}, {false, 273, 48},
	{true, 16, 24}, {true, 32, 32}, {true, 64, 48}, {true, 64, 48}, {true, 64, 48}, {true, 64, 48},
}

// extreme returns the effort of the level plus 100.
func (t effort) extreme() effort {
	if t == efforts[3] || t == efforts[5] {
		return effort{true, 192, 16 + 192/2}
	}
	return effort{true, maxMatch, 512}
}
