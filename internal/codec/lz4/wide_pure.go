//go:build !(amd64 || arm64) || purego

package lz4

import "encoding/binary"

// load8 returns b[i].
func load8(b []byte, i int) byte { return b[i] }

// load16 returns the 2 bytes at b[i:], little-endian.
func load16(b []byte, i int) uint16 { return binary.LittleEndian.Uint16(b[i:]) }

// load32 returns the 4 bytes at b[i:], little-endian.
func load32(b []byte, i int) uint32 { return binary.LittleEndian.Uint32(b[i:]) }

// load64 returns the 8 bytes at b[i:], little-endian.
func load64(b []byte, i int) uint64 { return binary.LittleEndian.Uint64(b[i:]) }

// store8 writes v to b[i].
func store8(b []byte, i int, v byte) { b[i] = v }

// store16 writes the 2 bytes of v to b[i:], little-endian.
func store16(b []byte, i int, v uint16) { binary.LittleEndian.PutUint16(b[i:], v) }

// store64 writes the 8 bytes of v to b[i:], little-endian.
func store64(b []byte, i int, v uint64) { binary.LittleEndian.PutUint64(b[i:], v) }

// copy16 copies 16 bytes from src[s:] to dst[d:]; all are read before the first is written.
func copy16(dst []byte, d int, src []byte, s int) { copy(dst[d:d+16], src[s:s+16]) }
