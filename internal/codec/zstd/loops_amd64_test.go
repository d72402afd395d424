//go:build !purego

package zstd

// twin runs fn with the loops in Go, if it is those in assembly that run otherwise.
func twin(fn func()) {
	if haveBMI2 {
		haveBMI2 = false
		defer func() { haveBMI2 = true }()
		fn()
	}
}
