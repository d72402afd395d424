package cli

import (
	"math"
	"runtime"
	"runtime/debug"
)

const (
	// gcPercent: what is alive is the tree of a layer, and garbage is short-lived; half the heap is
	// enough slack and keeps the peak below the promise of 400 bytes per entry.
	gcPercent = 50
	// gcStart is how much memory is in use when the garbage collector runs first. A layer of 10,000 entries
	// needs less than that in all; ten collections of a small heap took a fifth of the time of its
	// conversion, for the decoder and the hash, which run for long without a stop, have to be waited for.
	gcStart = 44 << 20
)

// collectLate puts the first collection off until gcStart is in use; from then on gcPercent counts.
func collectLate() {
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(gcStart)
	sentinel := new([16]byte)
	runtime.AddCleanup(sentinel, func(struct{}) {
		debug.SetGCPercent(gcPercent)
		debug.SetMemoryLimit(math.MaxInt64)
	}, struct{}{})
}
