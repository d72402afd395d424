//go:build !purego

package deflate

import "golang.org/x/sys/cpu"

// The assembly takes a byte as the index of distances.
const _ = uint(distBits-8) + uint(8-distBits)

// haveBMI2 tells whether the processor has SHLX, SHRX and BZHI: Haswell, Zen and later. BenchmarkDecode is
// what the assembly is for.
var haveBMI2 = cpu.X86.HasBMI2

func (l *loop) run() {
	if haveBMI2 {
		codesBMI2(l)
	} else {
		l.generic()
	}
}

// codesBMI2 is generic in assembly. It relies on what generic checks by bounds: pos and limit leave
// inputMargin bytes of in, room leaves slack bytes of buf, first is not above op.
//
//go:noescape
func codesBMI2(l *loop)
