//go:build !purego

package deflate

// twin runs fn with the loop in Go, if it is the one in assembly that runs otherwise.
func twin(fn func()) {
	if haveBMI2 {
		haveBMI2 = false
		defer func() { haveBMI2 = true }()
		fn()
	}
}
