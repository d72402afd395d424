package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"

	"github.com/laminafs/lamina/internal/durable"
)

// env is what a command works with: its streams, its context, and what must be undone if it is torn down.
type env struct {
	stdin  *os.File
	stdout io.Writer
	stderr io.Writer

	ctx    context.Context
	cancel context.CancelCauseFunc

	// takeSignals, if set, gets the signals that would otherwise cancel the command.
	takeSignals atomic.Pointer[func(os.Signal)]

	// undoes is set by commands that must not be torn down while they undo what they did.
	undoes atomic.Bool

	mu   sync.Mutex // guards open
	open map[*durable.File]struct{}
}

func newEnv() *env {
	ctx, cancel := context.WithCancelCause(context.Background())
	return &env{
		stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr,
		ctx: ctx, cancel: cancel,
		open: make(map[*durable.File]struct{}),
	}
}

// signalError is why a command was cancelled.
type signalError struct{ sig os.Signal }

func (s *signalError) Error() string { return s.sig.String() }

// create opens an output that is removed if the command does not commit it, whatever happens.
func (e *env) create(path string) (*output, error) {
	if path == "-" {
		path = "/dev/stdout"
	}
	f, err := durable.Create(path)
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	e.open[f] = struct{}{}
	e.mu.Unlock()
	return &output{f, e}, nil
}

// output is a durable.File that env knows.
type output struct {
	*durable.File
	env *env
}

func (o *output) forget() {
	o.env.mu.Lock()
	delete(o.env.open, o.File)
	o.env.mu.Unlock()
}

// Commit is durable.File.Commit, unless the command has been cancelled.
func (o *output) Commit() error {
	if err := context.Cause(o.env.ctx); err != nil {
		return err
	}
	defer o.forget()
	return o.File.Commit()
}

// Close discards the output unless it has been committed.
func (o *output) Close() error {
	defer o.forget()
	return o.File.Close()
}

// abandon removes unfinished outputs of a command that does not return, says why, and returns the exit code.
func (e *env) abandon() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	for f := range e.open {
		_ = f.Close() // a temporary file; the exit code tells the rest
	}
	return e.report("lamina", context.Cause(e.ctx))
}

// reader returns r, failing once the command is cancelled.
func (e *env) reader(r io.Reader) io.Reader { return &cancelReader{e.ctx, r} }

type cancelReader struct {
	ctx context.Context
	r   io.Reader
}

func (c *cancelReader) Read(p []byte) (int, error) {
	if c.ctx.Err() != nil {
		return 0, context.Cause(c.ctx)
	}
	return c.r.Read(p)
}

// flush sends on what has been printed.
func (e *env) flush() error {
	if f, ok := e.stdout.(interface{ Flush() error }); ok {
		return f.Flush()
	}
	return nil
}

// warn prints a line that is not an error to stderr.
func (e *env) warn(format string, a ...any) {
	fmt.Fprintf(e.stderr, "lamina: warning: %s\n", oneLine(tidy(fmt.Sprintf(format, a...))))
}
