//go:build !linux

package lz4

func newArena(size int) arena { return make(arena, size) }
