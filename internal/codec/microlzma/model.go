package microlzma

// Numbers of the format.
const (
	minMatch = 2
	maxMatch = 273

	posStates   = 1 << 4 // positions modulo 1<<pb, pb up to 4
	maxContext  = 4      // lc + lp, as in liblzma and in the kernel
	literalSize = 0x300  // bits of a literal: 256 after a literal, 2*256 after a match

	probBits = 11
	probHalf = 1 << (probBits - 1)
	probMove = 5
	topValue = 1 << 24 // below it the range takes another byte

	lenLow  = 8   // lengths of the first, and of the second tree
	lenHigh = 256 // of the third one

	lenStates = 4 // lengths from 5 on share their distance slots
	slots     = 64
	alignBits = 4
	alignSize = 1 << alignBits

	firstSlot     = 4                    // from it on a slot stands for more than one distance
	alignSlot     = 14                   // from it on there are plain bits
	fullDistances = 1 << (alignSlot / 2) // distances below it have adaptive bits alone
)

// state tells the last symbols as far as they are a context of the next one.
type state uint8

const (
	litStates = 7 // states after a literal; the others are states after a match
	numStates = 12
)

// states are the transitions.
var states = [16]struct{ literal, match, rep, shortRep state }{
	{0, 7, 8, 9}, {0, 7, 8, 9}, {0, 7, 8, 9}, {0, 7, 8, 9}, {1, 7, 8, 9}, {2, 7, 8, 9}, {3, 7, 8, 9},
	{4, 10, 11, 11}, {5, 10, 11, 11}, {6, 10, 11, 11}, {4, 10, 11, 11}, {5, 10, 11, 11},
}

// lenModel has the probabilities of a length.
type lenModel struct {
	choice, choice2 uint16
	low, mid        [posStates][lenLow]uint16
	high            [lenHigh]uint16
}

// model has all probabilities of a stream. Each is the chance, of 1<<probBits, that the bit is 0.
type model struct {
	symbolModel
	literal [literalSize << maxContext]uint16
}

// symbolModel is the part of a model whose size the properties do not change.
type symbolModel struct {
	isMatch    [numStates][posStates]uint16
	isRep      [16]uint16 // by state, as the next three
	isRepG0    [16]uint16
	isRepG1    [16]uint16
	isRepG2    [16]uint16
	isRep0Long [numStates][posStates]uint16

	slot    [lenStates][slots]uint16
	special [fullDistances]uint16 // bits of the slots below alignSlot, see specialTree
	align   [alignSize]uint16

	matchLen, repLen lenModel
}

// specialTree returns where in model.special the tree of a slot is, below alignSlot: distances are
// 0-based and start is the first one of the slot, so trees of 1<<bits-1 nodes, counted from 1, do not overlap.
func specialTree(slot, start uint32) uint32 { return start - slot }

// initial is the probabilities that every stream starts with, as many as a model has of literals.
var initial = func() (p [literalSize << maxContext]uint16) {
	for i := range p {
		p[i] = probHalf
	}
	return p
}()

// initialModel is a model at the start of a stream, but for literals.
var initialModel = func() (s symbolModel) {
	for i := range s.isMatch {
		copy(s.isMatch[i][:], initial[:])
		copy(s.isRep0Long[i][:], initial[:])
	}
	for _, p := range [][]uint16{s.isRep[:], s.isRepG0[:], s.isRepG1[:], s.isRepG2[:], s.special[:], s.align[:]} {
		copy(p, initial[:])
	}
	for i := range s.slot {
		copy(s.slot[i][:], initial[:])
	}
	for _, l := range []*lenModel{&s.matchLen, &s.repLen} {
		l.choice, l.choice2 = probHalf, probHalf
		for i := range l.low {
			copy(l.low[i][:], initial[:])
			copy(l.mid[i][:], initial[:])
		}
		copy(l.high[:], initial[:])
	}
	return s
}()

// reset starts a stream with lc+lp = context. What it costs is what the stream may use.
func (m *model) reset(context int) {
	m.symbolModel = initialModel
	copy(m.literal[:literalSize<<context], initial[:])
}
