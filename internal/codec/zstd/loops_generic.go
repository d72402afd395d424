//go:build !amd64 || purego

package zstd

// haveLoops: the loops exist in Go only.
const haveLoops = false

func (l *seqLoop) run() { l.generic() }

func (l *huffLoop) four() {}
