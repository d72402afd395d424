package microlzma

// fast chooses the longest match unless a shorter one is much nearer, and looks ahead by one position.
type fast struct {
	*stream
	finder *matchFinder
	nice   int
}

func (f *fast) start() {}

func (f *fast) used(symbol, uint32) {}

// nearer tells whether a distance is so much less than another that a match shorter by a byte is better.
func nearer(near, far uint32) bool { return near < far>>7 }

// parse appends to queue the symbols for the next part of the source.
func (f *fast) parse(queue []symbol) []symbol {
	found := f.finder.find(f.at)
	rep, main := f.longestRep(), worthwhile(found)
	if int(rep.length) >= f.nice {
		return append(queue, rep)
	}
	if int(main.length) >= f.nice {
		return append(queue, main)
	}
	if rep.length >= minMatch && (rep.length+1 >= main.length ||
		rep.length+2 >= main.length && main.back-numReps > 1<<9 ||
		rep.length+3 >= main.length && main.back-numReps > 1<<15) {
		return append(queue, rep)
	}
	if main.length < minMatch || f.nextIsBetter(main) {
		return append(queue, symbol{1, literal})
	}
	return append(queue, main)
}

func (f *fast) longestRep() (best symbol) {
	limit := min(maxMatch, len(f.src)-f.at)
	for i, r := range f.rep {
		if n := uint32(common(f.src, f.at-int(r)-1, f.at, 0, limit)); n > best.length {
			best = symbol{n, uint32(i)}
		}
	}
	return best
}

// worthwhile returns the match to take of those found; its length is less than minMatch if there is none.
func worthwhile(found []match) symbol {
	n := len(found)
	if n == 0 {
		return symbol{}
	}
	for n > 1 && found[n-1].length == found[n-2].length+1 && nearer(found[n-2].dist, found[n-1].dist) {
		n--
	}
	m := found[n-1]
	if m.length == minMatch && m.dist >= 1<<7 {
		return symbol{}
	}
	return symbol{m.length, m.dist + numReps}
}

// nextIsBetter tells whether the next position has a match that is better than this one.
func (f *fast) nextIsBetter(main symbol) bool {
	next, dist := f.at+1, main.back-numReps
	if found := f.finder.find(next); len(found) > 0 {
		m := found[len(found)-1]
		if m.length >= main.length && m.dist < dist ||
			m.length == main.length+1 && !nearer(dist, m.dist) ||
			m.length > main.length+1 ||
			m.length+1 >= main.length && main.length > minMatch && nearer(m.dist, dist) {
			return true
		}
	}
	limit := min(max(minMatch, int(main.length)-1), len(f.src)-next)
	for _, r := range f.rep {
		if common(f.src, next-int(r)-1, next, 0, limit) == limit {
			return true
		}
	}
	return false
}
