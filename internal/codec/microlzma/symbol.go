package microlzma

import "math/bits"

// symbol is what a parser chooses. It stands for length bytes of the source.
type symbol struct {
	length uint32
	back   uint32 // 0 to 3: a distance used before; literal; else the distance - 1, plus numReps
}

const (
	numReps = 4
	literal = 1<<32 - 1
)

// stream is the encoder's side of a stream: what its decoder knows at a position, and the range coder.
type stream struct {
	model
	rc             rangeEncoder
	src            []byte
	at             int // of src, what is encoded
	state          state
	rep            [numReps]uint32 // distances - 1
	lc             uint
	lpMask, pbMask uint32
}

// put encodes a symbol.
func (s *stream) put(y symbol) {
	posState := uint32(s.at) & s.pbMask
	isMatch := &s.isMatch[s.state][posState]
	if y.back == literal {
		s.rc.bit(isMatch, 0)
		s.putLiteral()
		s.state = states[s.state].literal
		s.at++
		return
	}
	s.rc.bit(isMatch, 1)
	if y.back < numReps {
		s.rc.bit(&s.isRep[s.state], 1)
		s.putRep(y.back, y.length, posState)
	} else {
		s.rc.bit(&s.isRep[s.state], 0)
		s.matchLen.put(&s.rc, y.length, posState)
		s.putDistance(y.back-numReps, y.length)
		s.rep = [numReps]uint32{y.back - numReps, s.rep[0], s.rep[1], s.rep[2]}
		s.state = states[s.state].match
	}
	s.at += int(y.length)
}

// literalProbs returns the probabilities of the literal at a position.
func (s *stream) literalProbs(at int) *[literalSize]uint16 {
	prev := uint32(0)
	if at > 0 {
		prev = uint32(s.src[at-1])
	}
	i := (uint32(at)&s.lpMask<<8 + prev) >> (8 - s.lc) * literalSize
	return (*[literalSize]uint16)(s.literal[i : i+literalSize])
}

func (s *stream) putLiteral() {
	probs, b := s.literalProbs(s.at), uint32(s.src[s.at])
	if s.state < litStates {
		s.rc.tree(probs[:], b, 8)
		return
	}
	match := uint32(s.src[s.at-int(s.rep[0])-1])
	offset := uint32(0x100)
	for m := b | 0x100; m < 0x10000; m <<= 1 {
		match <<= 1
		s.rc.bit(&probs[offset+match&offset+m>>8], m>>7&1)
		offset &= ^(match ^ m<<1)
	}
}

func (s *stream) putRep(i, length, posState uint32) {
	st := s.state
	if i == 0 {
		s.rc.bit(&s.isRepG0[st], 0)
		if length == 1 {
			s.rc.bit(&s.isRep0Long[st][posState], 0)
			s.state = states[st].shortRep
			return
		}
		s.rc.bit(&s.isRep0Long[st][posState], 1)
	} else {
		s.rc.bit(&s.isRepG0[st], 1)
		s.rc.bit(&s.isRepG1[st], min(i-1, 1))
		if i > 1 {
			s.rc.bit(&s.isRepG2[st], i-2)
		}
		dist := s.rep[i]
		copy(s.rep[1:i+1], s.rep[:i])
		s.rep[0] = dist
	}
	s.repLen.put(&s.rc, length, posState)
	s.state = states[st].rep
}

// put encodes a length.
func (l *lenModel) put(rc *rangeEncoder, length, posState uint32) {
	switch length -= minMatch; {
	case length < lenLow:
		rc.bit(&l.choice, 0)
		rc.tree(l.low[posState][:], length, 3)
	case length < 2*lenLow:
		rc.bit(&l.choice, 1)
		rc.bit(&l.choice2, 0)
		rc.tree(l.mid[posState][:], length-lenLow, 3)
	default:
		rc.bit(&l.choice, 1)
		rc.bit(&l.choice2, 1)
		rc.tree(l.high[:], length-2*lenLow, 8)
	}
}

func (s *stream) putDistance(dist, length uint32) {
	slot := slotOf(dist)
	s.rc.tree(s.slot[lenState(length)][:], slot, 6)
	if slot < firstSlot {
		return
	}
	n := slot/2 - 1
	start := (2 | slot&1) << n
	if slot < alignSlot {
		s.rc.reverseTree(s.special[:], specialTree(slot, start), dist-start, n)
		return
	}
	s.rc.plain((dist-start)>>alignBits, n-alignBits)
	s.rc.reverseTree(s.align[:], 0, dist&(alignSize-1), alignBits)
}

func lenState(length uint32) uint32 { return min(length-minMatch, lenStates-1) }

// slotOf returns the slot of a distance - 1: twice its highest bit's number and the bit below that.
func slotOf(dist uint32) uint32 {
	if dist < firstSlot {
		return dist
	}
	n := uint32(bits.Len32(dist)) - 1
	return n<<1 | dist>>(n-1)&1
}

// Properties that mkfs.erofs takes too.
const (
	defaultLC = 3
	defaultPB = 2
)

// begin starts a stream of src.
func (s *stream) begin(dst, src []byte) {
	s.lc, s.lpMask, s.pbMask = defaultLC, 0, 1<<defaultPB-1
	s.reset(defaultLC)
	s.rc.start(dst)
	s.src, s.at, s.state, s.rep = src, 0, 0, [numReps]uint32{}
}

func (s *stream) props() int { return defaultPB*5*9 + defaultLC }

// undone is the value of a probability before a symbol.
type undone struct {
	p *uint16
	v uint16
}

// fits encodes a symbol if the stream with it is not longer than the output; otherwise all stays as it was.
func (s *stream) fits(y symbol) bool {
	if s.rc.size()+inputMargin <= len(s.rc.out) {
		s.put(y)
		return true
	}
	rc, at, st, rep := s.rc, s.at, s.state, s.rep
	s.rc.log = s.rc.log[:0]
	s.rc.logging = true
	s.put(y)
	log := s.rc.log
	s.rc.logging = false
	if s.rc.size() <= len(s.rc.out) {
		return true
	}
	for i := len(log) - 1; i >= 0; i-- {
		*log[i].p = log[i].v
	}
	s.rc, s.at, s.state, s.rep = rc, at, st, rep
	s.rc.log = log
	return false
}
