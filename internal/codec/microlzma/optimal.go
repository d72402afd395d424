package microlzma

import "encoding/binary"

// nodes is how many positions a parse may span.
const numNodes = 1 << 12

// node is a position that a parse can reach, with the cheapest way there: one symbol; or a literal and a match at
// rep0; or a symbol, a literal and a match at rep0.
type node struct {
	price  uint32 // of the way from the first node
	length uint32 // of the last symbol
	back   uint32 // of the first symbol of the way; if that is a literal, the match is at rep0 all the same
	before uint32 // length of what is before the last symbol, the literal included
	state  state  // this, and rep, are set when the parse gets here
	rep    [numReps]uint32
}

// optimal finds the cheapest symbols between the position and a point that all ways lead through, by the prices.
type optimal struct {
	*stream
	finder *matchFinder
	prices prices
	nodes  [numNodes + 1]node
	end    int // the last node that has a price
	nice   int
}

func (o *optimal) start() { o.prices.start(o.stream, o.nice, o.finder.maxDist) }

func (o *optimal) used(y symbol, posState uint32) { o.prices.used(o.stream, y, posState) }

// parse appends to queue the symbols for the next part of the source.
func (o *optimal) parse(queue []symbol) []symbol {
	at := o.at
	found := o.finder.find(at)
	if y, ok := o.obvious(found); ok {
		return append(queue, y)
	}
	o.nodes[0] = node{state: o.state, rep: o.rep}
	o.end = 0
	o.leave(0, at, found)
	cur := 1
	for ; cur < o.end; cur++ {
		found = o.finder.find(at + cur)
		if n := len(found); n > 0 && int(found[n-1].length) >= o.nice {
			break
		}
		o.arrive(cur)
		o.leave(cur, at+cur, found)
	}
	return o.trace(queue, cur)
}

// obvious returns a match that is long enough not to look for anything else.
func (o *optimal) obvious(found []match) (symbol, bool) {
	best, back := 0, uint32(0)
	limit := min(maxMatch, len(o.src)-o.at)
	for i, r := range o.rep {
		if n := common(o.src, o.at-int(r)-1, o.at, 0, limit); n > best {
			best, back = n, uint32(i)
		}
	}
	if best >= o.nice {
		return symbol{uint32(best), back}, true
	}
	if n := len(found); n > 0 && int(found[n-1].length) >= o.nice {
		m := found[n-1]
		return symbol{m.length, m.dist + numReps}, true
	}
	return symbol{}, false
}

// arrive sets the state of a node from the way that leads to it.
func (o *optimal) arrive(cur int) {
	n := &o.nodes[cur]
	from := &o.nodes[cur-int(n.length+n.before)]
	n.rep = from.rep
	switch {
	case n.back == literal && n.before == 0:
		n.state = states[from.state%16].literal
		return
	case n.before > 0:
		n.state = states[0].rep
	case n.back >= numReps:
		n.state = states[from.state%16].match
	case n.length == 1:
		n.state = states[from.state%16].shortRep
	default:
		n.state = states[from.state%16].rep
	}
	n.rep = pushRep(n.rep, n.back)
}

// pushRep returns the distances after a symbol.
func pushRep(rep [numReps]uint32, back uint32) [numReps]uint32 {
	switch back {
	case literal, 0:
		return rep
	case 1:
		return [numReps]uint32{rep[1], rep[0], rep[2], rep[3]}
	case 2:
		return [numReps]uint32{rep[2], rep[0], rep[1], rep[3]}
	case 3:
		return [numReps]uint32{rep[3], rep[0], rep[1], rep[2]}
	}
	return [numReps]uint32{back - numReps, rep[0], rep[1], rep[2]}
}

// trace appends the symbols of the way to a node.
func (o *optimal) trace(queue []symbol, cur int) []symbol {
	first := len(queue)
	for cur > 0 {
		n := &o.nodes[cur]
		cur -= int(n.length + n.before)
		if n.before == 0 {
			queue = append(queue, symbol{n.length, n.back})
			continue
		}
		queue = append(queue, symbol{n.length, 0}, symbol{1, literal})
		if n.before > 1 {
			queue = append(queue, symbol{n.before - 1, n.back})
		}
	}
	for i, j := first, len(queue)-1; i < j; i, j = i+1, j-1 {
		queue[i], queue[j] = queue[j], queue[i]
	}
	return queue
}

// reach makes sure that the nodes up to one have a price.
func (o *optimal) reach(to int) {
	for o.end < to {
		o.end++
		o.nodes[o.end].price = noPrice
	}
}

// offer is a way to the node; it tells whether it is the cheapest so far.
func (n *node) offer(price, length, back, before uint32) bool {
	if price >= n.price {
		return false
	}
	n.price, n.length, n.back, n.before = price, length, back, before
	return true
}

// leaving is what all ways from a node need.
type leaving struct {
	cur, at  int
	posState uint32
	room     int // how far the ways may lead
	node     *node
	match    uint32 // price of being a match, up to the bit isRep
	rep      uint32
}

// leave offers all ways from a node.
func (o *optimal) leave(cur, at int, found []match) {
	n := &o.nodes[cur]
	l := leaving{cur: cur, at: at, posState: uint32(at) & o.pbMask, node: n, room: min(len(o.src)-at, numNodes-cur)}
	isMatch := o.isMatch[n.state%16%numStates][l.posState%posStates]
	match := n.price + price1(isMatch)
	isRep := o.isRep[n.state%16]
	l.match, l.rep = match+price0(isRep), match+price1(isRep)
	o.reach(cur + 1)
	o.leaveByByte(&l, n.price+price0(isMatch))
	if l.room < minMatch {
		return
	}
	longest := o.leaveByRep(&l)
	o.leaveByMatch(&l, found, longest+1)
}

// leaveByByte offers a literal, one byte at rep0, and a literal before a match at rep0.
func (o *optimal) leaveByByte(l *leaving, price uint32) {
	n, src := l.node, o.src
	b, match := src[l.at], src[l.at-int(n.rep[0])-1]
	next := &o.nodes[l.cur+1]
	isBest, priced := false, false
	if price < next.price {
		price += literalPrice(o.literalProbs(l.at), n.state, b, match)
		isBest = next.offer(price, 1, literal, 0)
		priced = true
	}
	if b == match {
		short := l.rep + price0(o.isRepG0[n.state%16]) + price0(o.isRep0Long[n.state%16%numStates][l.posState%posStates])
		next.offer(short, 1, 0, 0)
		return
	}
	if priced && !isBest {
		o.tryRep0(l, 1, price, states[n.state%16].literal, n.rep[0], literal)
	}
}

// tryRep0 offers a match at rep0 behind a literal, or behind a match and a literal; before is the length of
// those, st the state and price the price after them.
func (o *optimal) tryRep0(l *leaving, before int, price uint32, st state, rep0, back uint32) {
	src, at := o.src, l.at+before
	limit := min(l.room-before, o.nice)
	if limit < minMatch {
		return
	}
	from := at - int(rep0) - 1
	if src[from] != src[at] || src[from+1] != src[at+1] {
		return
	}
	n := common(src, from, at, minMatch, limit)
	posState := uint32(at) & o.pbMask % posStates
	price += price1(o.isMatch[st%16%numStates][posState]) + price1(o.isRep[st%16]) + o.rep0Price(st, uint32(n), posState)
	to := l.cur + before + n
	o.reach(to)
	o.nodes[to].offer(price, uint32(n), back, uint32(before))
}

func (o *optimal) rep0Price(st state, length, posState uint32) uint32 {
	return price0(o.isRepG0[st%16]) + price1(o.isRep0Long[st%16%numStates][posState]) + o.prices.repLen.table[posState][length-minMatch]
}

// repPrice returns what choosing one of the last distances costs.
func (o *optimal) repPrice(i int, st state, posState uint32) uint32 {
	switch st %= 16; i {
	case 0:
		return price0(o.isRepG0[st]) + price1(o.isRep0Long[st%numStates][posState])
	case 1:
		return price1(o.isRepG0[st]) + price0(o.isRepG1[st])
	default:
		return price1(o.isRepG0[st]) + price1(o.isRepG1[st]) + price(o.isRepG2[st], uint32(i-2))
	}
}

// leaveByRep offers matches at the last distances and returns the length of that at rep0.
func (o *optimal) leaveByRep(l *leaving) (longest int) {
	longest = 1
	src, n, posState := o.src, l.node, l.posState%posStates
	limit := min(l.room, o.nice)
	pair := binary.LittleEndian.Uint16(src[l.at:])
	for i, r := range n.rep {
		from := l.at - int(r) - 1
		if binary.LittleEndian.Uint16(src[from:]) != pair {
			continue
		}
		length := common(src, from, l.at, minMatch, limit)
		o.reach(l.cur + length)
		price := l.rep + o.repPrice(i, n.state, posState)
		lengths := o.prices.repLen.table[posState][:length-minMatch+1]
		nodes := o.nodes[l.cur+minMatch:][:len(lengths)]
		for k, p := range lengths {
			nodes[k].offer(price+p, uint32(k+minMatch), uint32(i), 0)
		}
		if i == 0 {
			longest = length
		}
		o.tryLiteralRep0(l, length, price+lengths[length-minMatch], states[n.state%16].rep, r, uint32(i))
	}
	return longest
}

// leaveByMatch offers the matches that were found from a length on.
func (o *optimal) leaveByMatch(l *leaving, found []match, length int) {
	if len(found) == 0 {
		return
	}
	limit := min(l.room, o.nice)
	o.reach(l.cur + min(int(found[len(found)-1].length), limit))
	n, posState := l.node, l.posState%posStates
	lengths := &o.prices.matchLen.table[posState]
	nodes := o.nodes[l.cur:]
	for _, m := range found {
		last := min(int(m.length), limit)
		if length > last {
			continue
		}
		back := m.dist + numReps
		for ; length < min(last, lenStates+minMatch-1); length++ {
			nodes[length].offer(l.match+o.prices.distance(m.dist, lenState(uint32(length)))+lengths[length-minMatch], uint32(length), back, 0)
		}
		price := l.match + o.prices.distance(m.dist, lenState(uint32(length)))
		for ; length < last; length++ {
			nodes[length].offer(price+lengths[length-minMatch], uint32(length), back, 0)
		}
		price += lengths[last-minMatch]
		nodes[last].offer(price, uint32(last), back, 0)
		length++
		o.tryLiteralRep0(l, last, price, states[n.state%16].match, m.dist, back)
	}
}

// tryLiteralRep0 offers a literal and a match at rep0 behind a match; price is that of the match.
func (o *optimal) tryLiteralRep0(l *leaving, length int, price uint32, st state, dist, back uint32) {
	src, at := o.src, l.at+length
	if l.room-length < 1+minMatch {
		return
	}
	from := at - int(dist) - 1
	if src[from+1] != src[at+1] || src[from+2] != src[at+2] {
		return
	}
	price += price0(o.isMatch[st%16%numStates][uint32(at)&o.pbMask%posStates])
	price += literalPrice(o.literalProbs(at), st, src[at], src[from])
	o.tryRep0(l, length+1, price, states[st%16].literal, dist, back)
}
