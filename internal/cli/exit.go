package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os/exec"
	"strings"
	"syscall"

	"github.com/containerd/errdefs"

	"github.com/laminafs/lamina/erofs"
	"github.com/laminafs/lamina/internal/convert"
	"github.com/laminafs/lamina/internal/engine"
	"github.com/laminafs/lamina/internal/oci"
	"github.com/laminafs/lamina/tartree"
)

// Exit codes. Scripts rely on them; the table below is printed by `lamina help exit-codes`.
const (
	exitOK          = 0
	exitFailure     = 1
	exitUsage       = 2
	exitCorrupt     = 3
	exitUnsupported = 4
	exitNotFound    = 5

	exitNotStarted    = 125 // this and the next two as docker and shells have them
	exitNotExecutable = 126
	exitNoCommand     = 127

	exitSignal = 128
)

var exitTable = []struct {
	code  string
	means string
}{
	{"0", "done"},
	{"1", "the system refused something: no space, no permission, an I/O error"},
	{"2", "usage: an unknown flag, a missing argument, options that contradict each other"},
	{"3", "corrupt: an image, a layer or an archive is not what its format or its digest says, or a configuration has problems; for check: there are findings"},
	{"4", "not supported: valid, but lamina or this kernel cannot do it; for check: nothing wrong was found, but not all could be checked"},
	{"5", "not found: a file, or a path inside an image, does not exist"},
	{"125", "run: the container could not be started, whatever the reason: also if the image is missing, corrupt or not supported"},
	{"126, 127", "run: the command in the container cannot be executed, does not exist"},
	{"128+N", "ended by signal N"},
	{"other", "run: the exit code of the command in the container"},
}

func exitCodesText() string {
	var b strings.Builder
	for _, r := range exitTable {
		fmt.Fprintf(&b, "  %-9s %s\n", r.code, r.means)
	}
	return b.String()
}

// usageError is a command line that makes no sense.
type usageError struct{ err error }

func (u *usageError) Error() string { return u.err.Error() }
func (u *usageError) Unwrap() error { return u.err }

func usagef(format string, a ...any) error { return &usageError{fmt.Errorf(format, a...)} }

// codeError is an error with an exit code of its own.
type codeError struct {
	code int
	err  error // nil: nothing to print
}

func (c *codeError) Error() string {
	if c.err == nil {
		return fmt.Sprintf("exit code %d", c.code)
	}
	return c.err.Error()
}
func (c *codeError) Unwrap() error { return c.err }

// corruptErrors are the errors that say "the bytes are wrong".
var corruptErrors = []error{erofs.ErrCorrupt, tartree.ErrArchive, oci.ErrInvalid, engine.ErrInvalid, io.ErrUnexpectedEOF}

// exitCode is the row of the table for an error.
func exitCode(err error) int {
	var code *codeError
	var usage *usageError
	var sig *signalError
	var digest *convert.DigestError
	var config *engine.ConfigError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &code):
		return code.code
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(err, &sig):
		return exitSignal + signalNumber(sig.sig)
	case errors.As(err, &digest), errors.As(err, &config):
		return exitCorrupt
	case errors.Is(err, context.Canceled):
		return exitFailure
	}
	for _, c := range corruptErrors {
		if errors.Is(err, c) {
			return exitCorrupt
		}
	}
	switch {
	case errors.Is(err, errors.ErrUnsupported), errdefs.IsNotImplemented(err):
		return exitUnsupported
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, exec.ErrNotFound), errdefs.IsNotFound(err):
		return exitNotFound
	case errdefs.IsInvalidArgument(err):
		return exitUsage
	}
	return exitFailure
}

// oneLine makes a message one printable line: names in archives are bytes of strangers.
func oneLine(s string) string {
	var b strings.Builder
	for _, part := range strings.Split(strings.TrimRight(s, "\n"), "\n") {
		if b.Len() > 0 {
			b.WriteString("; ")
		}
		for _, r := range part {
			if r < 0x20 || r == 0x7f || 0x80 <= r && r < 0xa0 {
				fmt.Fprintf(&b, "\\x%02x", r)
				continue
			}
			b.WriteRune(r)
		}
	}
	return b.String()
}

// report prints an error as the one line that a failing command prints, and returns the exit code.
func (e *env) report(what string, err error) int {
	var code *codeError
	if err == nil || errors.As(err, &code) && code.err == nil {
		return exitCode(err)
	}
	if errors.Is(err, syscall.EPIPE) { // who read our output has had enough; a write to fd 1 ends in the same way
		return exitSignal + int(syscall.SIGPIPE)
	}
	fmt.Fprintf(e.stderr, "%s: %s\n", what, oneLine(tidyError(err)))
	return exitCode(err)
}
