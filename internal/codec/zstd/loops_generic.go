//go:build !amd64 || purego

package zstd

func (l *seqLoop) run() { l.generic() }

func (l *huffLoop) four() { l.generic() }
