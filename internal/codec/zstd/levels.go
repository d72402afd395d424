package zstd

// firstOptimal is the first level that uses the optimal parser.
const firstOptimal = 8

// efforts are the levels below.
var efforts = [firstOptimal]effort{
	1: {2, 0, 16, 6},
	2: {4, 0, 24, 7},
	3: {6, 1, 32, 8},
	4: {8, 1, 48, 8},
	5: {16, 1, 64, 9},
	6: {32, 2, 64, 9},
	7: {64, 2, 128, 9},
}

// search is how hard the optimal parser tries.
type search struct{ depth, nice, passes int }

var searches = [MaxLevel + 1]search{
	8:  {3, 24, 2},
	9:  {4, 32, 2},
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
	if level < firstOptimal {
		return newMatcher(efforts[level], windowLog)
	}
	s := searches[level]
	return &optimal{tree: newTree(s.depth, s.nice, windowLog), passes: s.passes}
}
