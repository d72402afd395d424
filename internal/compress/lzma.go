package compress

import "errors"

func newLZMA(level, window int) (Encoder, error) {
	return nil, errors.New("compress: lzma: no encoder yet")
}
