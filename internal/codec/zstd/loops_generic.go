//go:build !amd64 || purego

package zstd

func (l *seqLoop) run() { l.generic() }

func (l *huffLoop) four() { l.generic() }

func (c *checksum) blocks(b []byte) { c.generic(b) }
