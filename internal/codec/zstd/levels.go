package zstd

const (
	firstThorough = 4  // the first level that takes time for tables
	firstMatcher  = 4  // the first one with candidates in chains, the levels below use a dual parser
	firstOptimal  = 10 // the first one with an optimal parser
)

// hastes are the levels of the dual parser.
var hastes = [firstMatcher]haste{
	1: {5, false},
	2: {6, true},
	3: {8, true},
}

// efforts are the levels in between.
var efforts = [firstOptimal]effort{
	4: {6, 1, 32, 8},
	5: {16, 1, 64, 9},
	6: {32, 2, 64, 9},
	7: {64, 2, 128, 9},
	8: {96, 2, 192, 9},
	9: {128, 2, 256, 9},
}

// search is how hard the optimal parser tries.
type search struct{ depth, nice, passes int }

var searches = [MaxLevel + 1]search{
	10: {6, 32, 2},
	11: {8, 48, 2},
	12: {12, 48, 2},
	13: {16, 64, 2},
	14: {24, 64, 3},
	15: {32, 96, 3},
	16: {48, 128, 3},
	17: {64, 192, 4},
	18: {96, 256, 4},
	19: {128, 256, 5},
	20: {192, 384, 6},
	21: {256, 512, 8},
	22: {512, 999, 12},
}

// newParser returns the parser of a level.
func newParser(level, windowLog int) parser {
	switch {
	case level < firstMatcher:
		return newDual(hastes[level], windowLog)
	case level < firstOptimal:
		return newMatcher(efforts[level], windowLog)
	}
	s := searches[level]
	return &optimal{tree: newTree(s.depth, s.nice, windowLog), passes: s.passes}
}
