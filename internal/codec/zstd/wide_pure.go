//go:build !(amd64 || arm64) || purego

package zstd

import "encoding/binary"

// load32 returns the 4 bytes at b[i:], little-endian.
func load32(b []byte, i int) uint32 { return binary.LittleEndian.Uint32(b[i:]) }

// load64 returns the 8 bytes at b[i:], little-endian.
func load64(b []byte, i int) uint64 { return binary.LittleEndian.Uint64(b[i:]) }

// copy16 copies 16 bytes from src[s:] to dst[d:]; all are read before the first is written.
func copy16(dst []byte, d int, src []byte, s int) { copy(dst[d:d+16], src[s:s+16]) }
