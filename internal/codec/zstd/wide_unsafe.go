//go:build (amd64 || arm64) && !purego

package zstd

import "unsafe"

// Loads and copies without bounds checks; the callers have checked. wide_pure.go is the twin. BenchmarkFitDst pays for it:
// level 3 is faster by a fifth.

func at(b []byte, i int) unsafe.Pointer {
	return unsafe.Add(unsafe.Pointer(unsafe.SliceData(b)), i)
}

// load32 returns the 4 bytes at b[i:], little-endian.
func load32(b []byte, i int) uint32 { return *(*uint32)(at(b, i)) }

// load64 returns the 8 bytes at b[i:], little-endian.
func load64(b []byte, i int) uint64 { return *(*uint64)(at(b, i)) }

// copy16 copies 16 bytes from src[s:] to dst[d:]; all are read before the first is written.
func copy16(dst []byte, d int, src []byte, s int) {
	*(*[16]byte)(at(dst, d)) = *(*[16]byte)(at(src, s))
}
