package zstd

import "encoding/binary"

const (
	maxCandidates = 1 << 19 // of a round, 4 MiB
	unreached     = 1 << 30
)

// node is the cheapest known way to a position.
type node struct {
	price    int32 // in 1/256 bits, with that of literals so far
	literals int32 // since the last match
	length   int32 // of the match that ends here; 0 is a literal
	distance uint32
	last     repeats
}

// optimal is the parser that looks for the sequences that take the fewest bits. It goes by rounds: the
// candidates of some bytes are collected once, and then the cheapest way is looked for several times, each time with
// prices of what the time before has taken.
type optimal struct {
	tree
	passes int
	count  blockCount // of the rounds before
	known  bool
	prices prices
	nodes  []node
	cands  []candidate
	starts []int32 // of the candidates of a position
}

func (o *optimal) reset(src []byte) {
	if o.restart(src) {
		clear(o.hash)
		clear(o.hash3)
	}
	o.known = false
}

func (o *optimal) parse(n, bytes int) {
	for len(o.seqs) < n && o.pos-o.anchor < o.most && o.pos < len(o.src) {
		o.round(min(max(bytes+bytes/16, 1<<10), o.most, len(o.src)-o.pos, o.anchor+o.most-o.pos))
	}
}

// round goes on by n bytes, or fewer.
func (o *optimal) round(n int) {
	n = o.collect(n)
	from := len(o.seqs)
	before := o.count
	if o.known {
		before.fade()
	} else {
		before.guess(o.src[o.pos : o.pos+n])
	}
	o.prices.set(&before)
	for pass := range o.passes {
		o.cheapest(n)
		o.seqs = o.seqs[:from]
		o.trace(n)
		fresh := o.recount(from, n)
		if o.known {
			fresh.merge(&before)
		}
		if pass == o.passes-1 {
			o.count = fresh
		} else {
			o.prices.set(&fresh)
		}
	}
	o.known = true
	o.finish(from, n)
}

// collect finds the candidates of the next n bytes, or of fewer, and returns of how many.
func (o *optimal) collect(n int) int {
	o.cands, o.starts = o.cands[:0], append(o.starts[:0], 0)
	for i := 0; i < n; i++ {
		if len(o.cands) > maxCandidates {
			return i
		}
		at := len(o.cands)
		if o.pos+i < len(o.src)-margin {
			o.cands = o.find(o.cands, o.pos+i)
		}
		o.starts = append(o.starts, int32(len(o.cands)))
		if len(o.cands) > at {
			i = o.skip(i, n)
		}
	}
	return n
}

// skip looks for nothing inside of a long match found at i: there is its rest. It returns the last position
// that it is done with.
func (o *optimal) skip(i, n int) int {
	c := o.cands[len(o.cands)-1]
	for ; int(c.length) > 2*o.nice && i+1 < n; i++ {
		c.length--
		o.cands = append(o.cands, c)
		o.starts = append(o.starts, int32(len(o.cands)))
	}
	return i
}

// cheapest finds the cheapest way to all of n positions.
func (o *optimal) cheapest(n int) {
	if cap(o.nodes) <= n {
		o.nodes = make([]node, n+1)
	}
	o.nodes = o.nodes[:n+1]
	for i := range o.nodes {
		o.nodes[i].price = unreached
	}
	run := int32(o.pos - o.anchor)
	o.nodes[0] = node{price: o.prices.runOf(run), literals: run, last: o.last}
	for i := 0; i < n; {
		i += o.visit(i, n)
	}
	if n > 0 {
		o.literal(n)
	}
}

// literal tries a literal before position i.
func (o *optimal) literal(i int) {
	prev, at := &o.nodes[i-1], &o.nodes[i]
	if prev.price >= unreached {
		return
	}
	p := prev.price + o.prices.literal[o.src[o.pos+i-1]] + o.prices.runOf(prev.literals+1) - o.prices.runOf(prev.literals)
	if p < at.price {
		*at = node{price: p, literals: prev.literals + 1, last: prev.last}
	}
}

// visit tries everything that starts at position i, and returns by how many to go on.
func (o *optimal) visit(i, n int) int {
	at := &o.nodes[i]
	if i > 0 {
		o.literal(i)
		if at.price >= unreached {
			return 1
		}
		if at.length > 0 {
			prev := &o.nodes[i-int(at.length)]
			at.last = prev.last
			at.last.encode(at.distance, prev.literals > 0)
		}
	}
	if o.pos+i >= len(o.src)-margin {
		return 1
	}
	longest := o.repeats(i, n)
	if longest >= o.nice {
		return min(longest, n-i)
	}
	shortest := minMatch
	for _, c := range o.cands[o.starts[i]:o.starts[i+1]] {
		length := min(int(c.length), n-i)
		if length < shortest {
			continue
		}
		if length >= o.nice {
			o.relax(i, length, length, c.distance, uint32(0))
			return length
		}
		o.relax(i, shortest, length, c.distance, 0)
		shortest = length + 1
	}
	return 1
}

// repeats tries the distances that were there before, and returns the length of the longest match.
func (o *optimal) repeats(i, n int) (longest int) {
	at := &o.nodes[i]
	pos := o.pos + i
	v := binary.LittleEndian.Uint32(o.src[pos:])
	last := at.last
	if at.literals == 0 {
		last = repeats{last[1], last[2], last[0] - 1}
	}
	for k, d := range last {
		q := pos - int(d)
		if d == 0 || q < 0 || d > o.window || (binary.LittleEndian.Uint32(o.src[q:])^v)<<8 != 0 {
			continue
		}
		length := min(o.common(q, pos), n-i)
		if length <= longest || length < minMatch {
			continue
		}
		longest = length
		from := minMatch
		if length >= o.nice {
			from = length
		}
		o.relax(i, from, length, d, uint32(k+1))
	}
	return longest
}

// relax tries matches at position i of a distance, whose value is given, or 0 if it is a new one.
func (o *optimal) relax(i, from, to int, distance, value uint32) {
	at := &o.nodes[i]
	if value == 0 {
		value = distance + 3
	}
	base := at.price + o.prices.codes[offset][highBit(value)&31] + o.prices.run[0]
	nodes := o.nodes[i+from : i+to+1]
	for k := range nodes {
		if p := base + o.prices.matchOf(from+k); p < nodes[k].price {
			nodes[k] = node{price: p, length: int32(from + k), distance: distance}
		}
	}
}

// trace appends the sequences of the way to position n, but for the literals behind the last match.
func (o *optimal) trace(n int) {
	from := len(o.seqs)
	for i := n; i > 0; {
		at := &o.nodes[i]
		if at.length == 0 {
			i--
			continue
		}
		i -= int(at.length)
		o.seqs = append(o.seqs, sequence{uint32(o.nodes[i].literals), uint32(at.length), at.distance})
	}
	for a, b := from, len(o.seqs)-1; a < b; a, b = a+1, b-1 {
		o.seqs[a], o.seqs[b] = o.seqs[b], o.seqs[a]
	}
}

// recount counts what the sequences of a round of n bytes take.
func (o *optimal) recount(from, n int) (count blockCount) {
	last := o.last
	at := o.anchor
	for _, s := range o.seqs[from:] {
		c := s.encode(&last)
		count.add([]coded{c}, o.src[at:at+int(s.literals)])
		at += s.size()
	}
	count.add(nil, o.src[at:o.pos+n])
	return count
}

// finish goes on to the end of a round.
func (o *optimal) finish(from, n int) {
	end := o.pos + n
	for _, s := range o.seqs[from:] {
		o.last.encode(s.distance, s.literals > 0)
		o.anchor += s.size()
	}
	o.pos = end
	if k := len(o.seqs) - 1; k >= from && o.anchor == end { // the last match may go on
		s := &o.seqs[k]
		if more := min(o.common(end-int(s.distance), end), o.most-int(s.match)); more > 0 {
			s.match += uint32(more)
			o.pos += more
			o.anchor += more
		}
	}
}
