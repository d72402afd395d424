//go:build !purego

package zstd

import "golang.org/x/sys/cpu"

// haveBMI2 tells whether the processor has SHLX, SHRX, BZHI and TZCNT: Haswell, Zen and later.
var haveBMI2 = cpu.X86.HasBMI2 && cpu.X86.HasBMI1

func (l *seqLoop) run() {
	if haveBMI2 && l.n > 1 && l.left >= 0 {
		if sequencesBMI2(l); l.status == seqTight {
			return
		}
	}
	l.generic()
}

func (l *huffLoop) four() {
	if haveBMI2 {
		fourBMI2(l)
	} else {
		l.generic()
	}
}

func (c *checksum) blocks(b []byte) {
	if haveBMI2 {
		blocksAMD64(&c.lanes, b)
	} else {
		c.generic(b)
	}
}

// sequencesBMI2 is seqLoop.generic in assembly, but for the last sequence, for n above 1 and left not below 0. It relies on what
// seqLoop says of the fields, and sees at the next one that the bits of a sequence were not there, when that is executed.
//
//go:noescape
func sequencesBMI2(l *seqLoop)

// fourBMI2 is huffLoop.generic in assembly. It relies on n.
//
//go:noescape
func fourBMI2(l *huffLoop)

// blocksAMD64 is checksum.generic in assembly.
//
//go:noescape
func blocksAMD64(lanes *[4]uint64, b []byte)
