//go:build !purego

package microlzma

// twin runs fn with the loop in Go alone.
func twin(fn func()) {
	assembly = false
	defer func() { assembly = true }()
	fn()
}
