package microlzma

import "math"

const (
	priceShift = 4 // prices are in 1/16 bits
	noPrice    = 1 << 30

	priceIndex = 4 // low bits of a probability that its price ignores
	probOnes   = 1<<probBits - 1

	// Prices of lengths are made anew for a position when it has used as many as there are; those of distances
	// after this many.
	distUses  = 128
	alignUses = 16
)

// prices0 is what a bit 0 costs by its probability.
var prices0 = func() (t [1 << (probBits - priceIndex)]uint32) {
	for i := range t {
		p := (float64(i) + 0.5) / float64(len(t))
		t[i] = uint32(math.Round(-math.Log2(p) * (1 << priceShift)))
	}
	return t
}()

func price0(p uint16) uint32 { return prices0[p>>priceIndex%uint16(len(prices0))] }
func price1(p uint16) uint32 { return prices0[(p^probOnes)>>priceIndex%uint16(len(prices0))] }

// price returns what a bit costs.
func price(p uint16, bit uint32) uint32 {
	return prices0[(p^uint16(-bit)&probOnes)>>priceIndex%uint16(len(prices0))]
}

// priceTree sets out to the prices of the values of a tree, on top of base. heap is scratch.
func priceTree(out []uint32, probs []uint16, base uint32, heap *[2 * lenHigh]uint32) {
	n := len(probs)
	heap[1] = base
	for m := 1; m < n/2; m++ {
		heap[2*m] = heap[m] + price0(probs[m])
		heap[2*m+1] = heap[m] + price1(probs[m])
	}
	for v := range out {
		m := (n + v) / 2
		out[v] = heap[m] + price(probs[m], uint32(v)&1)
	}
}

// reversePrice returns what a value costs in a reverse tree whose root is probs[at+1].
func reversePrice(probs []uint16, at, v, bits uint32) (sum uint32) {
	m := uint32(1)
	for ; bits > 0; bits-- {
		sum += price(probs[at+m], v&1)
		m = m<<1 | v&1
		v >>= 1
	}
	return sum
}

// lenPrices are those of a length - minMatch.
type lenPrices struct {
	table [posStates][maxMatch - minMatch + 1]uint32
	left  [posStates]int // uses until they are made anew
}

// update makes the prices of a position.
func (t *lenPrices) update(l *lenModel, posState uint32, size int, heap *[2 * lenHigh]uint32) {
	a := price1(l.choice)
	out := &t.table[posState]
	priceTree(out[:lenLow], l.low[posState][:], price0(l.choice), heap)
	priceTree(out[lenLow:2*lenLow], l.mid[posState][:], a+price0(l.choice2), heap)
	if size > 2*lenLow {
		priceTree(out[2*lenLow:size], l.high[:], a+price1(l.choice2), heap)
	}
	t.left[posState] = size
}

// prices are those of the parts of symbols; they follow the model at a distance.
type prices struct {
	matchLen, repLen lenPrices
	lengths          int // that have prices
	slot             [lenStates][slots]uint32
	near             [lenStates][fullDistances]uint32 // of distances whose bits are all adaptive
	align            [alignSize]uint32
	slots            int // that distances within the dictionary have
	distLeft         int // uses until they are made anew
	alignLeft        int
	heap             [2 * lenHigh]uint32
}

// start makes all prices of a fresh model.
func (p *prices) start(s *stream, nice, dict int) {
	p.lengths = nice - minMatch + 1
	p.slots = int(slotOf(uint32(dict-1))) + 1
	for i := range s.pbMask + 1 {
		p.matchLen.update(&s.matchLen, i, p.lengths, &p.heap)
		p.repLen.update(&s.repLen, i, p.lengths, &p.heap)
	}
	p.updateAlign(s)
	p.updateDist(s)
}

func (p *prices) updateAlign(s *stream) {
	for i := range p.align {
		p.align[i] = reversePrice(s.align[:], 0, uint32(i), alignBits)
	}
	p.alignLeft = alignUses
}

func (p *prices) updateDist(s *stream) {
	for i := range p.slot {
		t := &p.slot[i]
		priceTree(t[:p.slots], s.slot[i][:], 0, &p.heap)
		for j := alignSlot; j < p.slots; j++ {
			t[j] += uint32(j/2-1-alignBits) << priceShift
		}
		copy(p.near[i][:firstSlot], t[:])
	}
	for d := uint32(firstSlot); d < fullDistances; d++ {
		slot := slotOf(d)
		n := slot/2 - 1
		start := (2 | slot&1) << n
		sum := reversePrice(s.special[:], specialTree(slot, start), d-start, n)
		for i := range p.near {
			p.near[i][d] = sum + p.slot[i][slot]
		}
	}
	p.distLeft = distUses
}

// distance returns what a distance - 1 costs.
func (p *prices) distance(dist, lenState uint32) uint32 {
	if dist < fullDistances {
		return p.near[lenState%lenStates][dist]
	}
	return p.slot[lenState%lenStates][slotOf(dist)%slots] + p.align[dist%alignSize]
}

// used takes note of a symbol that was encoded, for which posState was that of its position.
func (p *prices) used(s *stream, y symbol, posState uint32) {
	if y.length < minMatch {
		return
	}
	if y.back < numReps {
		if p.repLen.left[posState]--; p.repLen.left[posState] == 0 {
			p.repLen.update(&s.repLen, posState, p.lengths, &p.heap)
		}
		return
	}
	if p.matchLen.left[posState]--; p.matchLen.left[posState] == 0 {
		p.matchLen.update(&s.matchLen, posState, p.lengths, &p.heap)
	}
	if p.distLeft--; p.distLeft == 0 {
		p.updateDist(s)
	}
	if p.alignLeft--; p.alignLeft == 0 {
		p.updateAlign(s)
	}
}

// literalPrice returns what the byte b costs at a position; behind a match, with match being the byte at rep0.
func literalPrice(probs *[literalSize]uint16, st state, b, match byte) (sum uint32) {
	if st < litStates {
		for m := uint32(b) | 0x100; m > 1; m >>= 1 {
			sum += price(probs[m>>1%0x100], m&1)
		}
		return sum
	}
	offset, mb := uint32(0x100), uint32(match)
	for m := uint32(b) | 0x100; m < 0x10000; m <<= 1 {
		mb <<= 1
		sum += price(probs[offset+mb&offset+m>>8], m>>7&1)
		offset &= ^(mb ^ m<<1)
	}
	return sum
}
