//go:build !amd64 || purego

package deflate

func twin(func()) {}
