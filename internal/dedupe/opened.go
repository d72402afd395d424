package dedupe

import "os"

// openMax is how many earlier images are open at once, so that a store of thousands needs no more descriptors, and the
// space of a removed one is not held for long.
const openMax = 64

// opened is the earlier images that are open, by their path.
type opened map[string]*os.File

// get returns an image, opened if need be; it belongs to o.
func (o opened) get(path string) (*os.File, error) {
	if f := o[path]; f != nil {
		return f, nil
	}
	if len(o) >= openMax {
		o.close()
	}
	f, err := os.Open(path)
	if err == nil {
		o[path] = f
	}
	return f, err
}

func (o opened) close() {
	for _, f := range o {
		_ = f.Close() // only read
	}
	clear(o)
}
