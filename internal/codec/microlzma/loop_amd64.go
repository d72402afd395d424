//go:build !purego

package microlzma

//lint:file-ignore U1000 loop_amd64.s uses the fields of spill

// assembly is false for tests of the loops in Go.
var assembly = true

// slack is what the loop in assembly may write behind where a symbol begins: the longest match, and what copying by 32
// bytes writes too much.
const slack = maxMatch + 32

// spill is what the loop in assembly keeps beside its registers. The addresses mean something while it runs only.
type spill struct {
	base, room, limit uintptr // of the output, behind the last place where a symbol may begin; in the input, that place
	state, posState   uint32
	isRep, length     uint32
	far               uint32 // 1: errDistance
}

// fast decodes symbols as run does, but leaves those at the end of dst to it. What pays for it is in BenchmarkDecode: 1.6 times
// the speed of the loop in Go.
func (d *decoder) fast(in []byte, limit int) error {
	if !assembly || d.op >= len(d.dst)-slack || d.coder.pos > limit {
		return nil
	}
	d.spill.state, d.spill.far = uint32(d.state), 0
	symbols(d, &d.dst[0], &in[0], len(d.dst)-slack, limit)
	d.state = state(d.spill.state)
	if d.spill.far != 0 {
		return errDistance
	}
	return nil
}

// symbols is the loop. It relies on what the one in Go checks by bounds: limit leaves inputMargin bytes of the input, room
// leaves slack bytes of the output, and the masks and lc are those of decode.
//
//go:noescape
func symbols(d *decoder, out, in *byte, room, limit int)
