package convert

import (
	"errors"
	"io"

	"github.com/laminafs/lamina/tartree"
)

// windows passes the windows of src on and shows them to also.
type windows struct {
	src  tartree.Windower
	also func([]byte) error
}

// NextWindow implements tartree.Windower.
func (w *windows) NextWindow() ([]byte, error) {
	b, err := w.src.NextWindow()
	if len(b) > 0 && w.also != nil {
		if err := w.also(b); err != nil {
			return nil, err
		}
	}
	return b, err
}

// Read implements io.Reader for those who take no windows; tartree does.
func (w *windows) Read([]byte) (int, error) { return 0, errors.ErrUnsupported }

// drain reads what the parser left behind the end of the archive.
func (w *windows) drain() error {
	for {
		if _, err := w.NextWindow(); err != nil {
			if err == io.EOF {
				return nil
			}
			return err
		}
	}
}

// checkEnd tells of streams that may have lost their end. A producer that dies before its first byte
// leaves an empty stream, compressed or not, one that dies between two entries an archive without an end mark: neither
// breaks the format. What has the expected digest is known to be whole.
func checkEnd(r *Result, o *Options) error {
	switch {
	case o.DiffID != "" || o.Verified:
	case r.TarSize == 0:
		return &tartree.Error{Off: 0, Why: "the stream is empty, not even an empty archive", Kind: tartree.ErrArchive}
	case o.Tar.Warn != nil && !r.Stats.EndMark:
		o.Tar.Warn(tartree.Warning{Off: r.TarSize, Text: "the archive has no end mark: it may have been cut off"})
	}
	return nil
}
