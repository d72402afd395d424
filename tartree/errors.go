package tartree

import (
	"errors"
	"fmt"
	"io"
	"strconv"
)

// ErrArchive is what an Error matches if the bytes of the archive break the tar format or exceed a bound.
var ErrArchive = errors.New("tartree: bad archive")

// Error says which entry of an archive cannot be read, or written, and why. It matches ErrArchive, or
// errors.ErrUnsupported if the entry is valid but uses what this package does not support.
type Error struct {
	Off  int64  // where, in bytes of the uncompressed stream; negative if no offset applies
	Name string // of the entry, as the archive has it; empty if not known
	Why  string // which rule it breaks
	Kind error  // ErrArchive or errors.ErrUnsupported
}

// Error implements error: `tartree: offset 512: "usr/bin": why`.
func (e *Error) Error() string {
	return "tartree: " + where(e.Off, e.Name) + e.Why
}

// where says where in an archive something is, as far as it is known.
func where(off int64, name string) (s string) {
	if off >= 0 {
		s = "offset " + strconv.FormatInt(off, 10) + ": "
	}
	if name != "" {
		s += strconv.Quote(name) + ": "
	}
	return s
}

// Unwrap returns Kind.
func (e *Error) Unwrap() error { return e.Kind }

// readError is a failure of the source that is not the archive's fault; it says how far reading got.
func readError(off int64, err error) error {
	return fmt.Errorf("tartree: offset %d: %w", off, err)
}

// fail returns an Error about the current entry.
func (r *reader) fail(why string) error { return r.failAt(r.off, why) }

func (r *reader) failAt(off int64, why string) error {
	return &Error{Off: off, Name: string(r.name), Why: why, Kind: ErrArchive}
}

func (r *reader) unsupported(what string) error {
	return &Error{Off: r.off, Name: string(r.name), Why: what + ": not supported", Kind: errors.ErrUnsupported}
}

// cut returns why the stream ended when missing more bytes were needed.
func (r *reader) cut(missing int64) error {
	if !errors.Is(r.s.err, io.EOF) {
		return readError(r.s.pos(), r.s.err)
	}
	return r.failAt(r.s.pos(), "archive ends "+strconv.FormatInt(missing, 10)+" bytes before the end of the entry")
}

func spoolError(name []byte, err error) error { return fmt.Errorf("tartree: %q: %w", name, err) }

func quoteByte(c byte) string { return strconv.QuoteRune(rune(c)) }

func (r *reader) warn(text string) {
	if r.o.Warn != nil {
		r.o.Warn(Warning{Off: r.off, Name: string(r.name), Text: text})
	}
}

func quote(b []byte) string { return strconv.Quote(string(b)) }
