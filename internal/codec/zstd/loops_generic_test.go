//go:build !amd64 || purego

package zstd

func twin(func()) {}
