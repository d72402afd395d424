//go:build !amd64 || purego

package microlzma

type spill struct{}

func (d *decoder) fast([]byte, int) error { return nil }
