//go:build !linux

package oracle

// NewArena returns size bytes.
func NewArena(size int) Arena { return make(Arena, size) }
