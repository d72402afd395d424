package disk

import (
	"errors"
	"fmt"
)

// ErrCorrupt is what every FormatError matches: the bytes of an image break the format.
var ErrCorrupt = errors.New("erofs: corrupt image")

// FormatError says which bytes break the format. It matches ErrCorrupt.
type FormatError struct {
	Off   int64  // where, in bytes of the device; negative if no offset applies
	Field string // what: "superblock: blkszbits", "inode 36: i_format"
	Got   any    // the value found; nil if there is none to show
	Why   string // which rule it breaks
}

// Error implements error: "erofs: offset 1024: superblock: magic: 0x0: why".
func (e *FormatError) Error() string {
	s := "erofs: "
	if e.Off >= 0 {
		s += fmt.Sprintf("offset %d: ", e.Off)
	}
	s += e.Field + ": "
	switch v := e.Got.(type) {
	case nil:
	case string:
		s += fmt.Sprintf("%q: ", v)
	case []byte:
		s += fmt.Sprintf("%q: ", v)
	case int, int64, error:
		s += fmt.Sprintf("%v: ", v)
	default:
		s += fmt.Sprintf("%#v: ", v)
	}
	return s + e.Why
}

// Is implements errors.Is for ErrCorrupt.
func (e *FormatError) Is(target error) bool { return target == ErrCorrupt }

// UnsupportedError says that an image is valid, or may be, but uses what this code cannot read or write.
// It matches errors.ErrUnsupported.
type UnsupportedError struct {
	Feature string // "compressed inodes (LZ4)", "metabox"
}

// Error implements error.
func (e *UnsupportedError) Error() string { return "erofs: " + e.Feature + ": not supported" }

// Is implements errors.Is for errors.ErrUnsupported.
func (e *UnsupportedError) Is(target error) bool { return target == errors.ErrUnsupported }
