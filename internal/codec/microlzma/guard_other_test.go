//go:build !linux

package microlzma

func guarded() (dst, src []byte) { return make([]byte, 1<<21), make([]byte, 1<<21) }
