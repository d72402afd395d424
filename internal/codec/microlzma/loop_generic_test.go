//go:build !amd64 || purego

package microlzma

func twin(fn func()) { fn() }
