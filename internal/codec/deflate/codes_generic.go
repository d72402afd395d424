//go:build !amd64 || purego

package deflate

func (l *loop) run() { l.generic() }
