//go:build !purego

package zstd

import "golang.org/x/sys/cpu"

// haveLoops tells whether the processor has SHLX, SHRX and BZHI: Haswell, Zen and later.
var haveLoops = false && cpu.X86.HasBMI2

func (l *seqLoop) run() {
	l.generic()
}

func (l *huffLoop) four() {}
