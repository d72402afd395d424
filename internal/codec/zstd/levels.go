package zstd

// efforts are the levels.
var efforts = [MaxLevel + 1]effort{
	1:  {2, 0, 16, 6},
	2:  {4, 0, 24, 7},
	3:  {6, 1, 32, 8},
	4:  {8, 1, 48, 8},
	5:  {12, 1, 64, 9},
	6:  {16, 2, 64, 9},
	7:  {24, 2, 96, 9},
	8:  {32, 2, 128, 9},
	9:  {48, 2, 128, 10},
	10: {64, 2, 128, 10},
	11: {96, 2, 256, 10},
	12: {128, 2, 256, 10},
	13: {192, 2, 256, 10},
	14: {256, 2, 256, 10},
	15: {384, 2, 512, 10},
	16: {512, 2, 512, 10},
	17: {512, 2, 512, 10},
	18: {512, 2, 512, 10},
	19: {512, 2, 512, 10},
	20: {512, 2, 512, 10},
	21: {512, 2, 512, 10},
	22: {512, 2, 512, 10},
}

// newParser returns the parser of a level.
func newParser(level, windowLog int) parser {
	if level < 13 {
		return newMatcher(efforts[level], windowLog)
	}
	return &optimal{tree: newTree(1<<(level-10), 64, windowLog), passes: 2 + (level-13)/6}
}
