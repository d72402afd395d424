package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"github.com/laminafs/lamina/internal/bundle"
	"github.com/laminafs/lamina/internal/engine"
	"github.com/laminafs/lamina/internal/oci"
)

// run starts a container. Errors before the command has started have exit code 125, except those of the
// command line.
func (e *env) run(j *runJob) error {
	var o oci.Options
	var err error
	if j.platform != "" {
		if o.Platform, err = oci.ParsePlatform(j.platform); err != nil {
			return &usageError{err}
		}
	}
	if j.options.Detach && monitorPipe() == nil {
		return e.detach()
	}
	err = e.runImage(j, o)
	var code *codeError
	var sig *signalError
	var usage *usageError
	if err == nil || errors.As(err, &code) || errors.As(err, &sig) || errors.As(err, &usage) {
		return err
	}
	return &codeError{exitNotStarted, err}
}

func (e *env) runImage(j *runJob, o oci.Options) error {
	e.undoes.Store(true)
	if err := mayMount(j.ref); err != nil {
		return err
	}
	if _, err := exec.LookPath(j.options.Runtime); err != nil {
		return fmt.Errorf("--runtime %s: %w", j.options.Runtime, errors.Unwrap(err))
	}
	if err := j.checkSize(); err != nil {
		return err
	}
	var t *engine.Task
	err := e.local(&j.local, func(ctx context.Context, l *engine.Local) error {
		r, err := e.runRoot(ctx, l, j, o)
		if err != nil {
			return err
		}
		if arch := r.Config.Architecture; arch != "" && arch != runtime.GOARCH {
			e.warn("%s: the image is for %s, this machine is %s", j.ref, arch, runtime.GOARCH)
		}
		t, err = l.Create(ctx, r, j.options)
		return err
	})
	if err != nil {
		return err
	}
	return e.runTask(j, t)
}

// checkSize holds --size against what the quotas of the configuration can be.
func (j *runJob) checkSize() error {
	c, err := j.local.load()
	if err != nil || j.options.Size == "" || j.options.Size == "0" {
		return err
	}
	n, err := strconv.ParseInt(j.options.Size, 10, 64)
	if least, most := c.Snapshotter.SizeLimits(); err != nil || n < least || n > most {
		return usagef("--size: %q: not from %s to %s", j.size, bytesText(least), bytesText(most))
	}
	return nil
}

// runRoot finds the image, and brings its layers into the store.
func (e *env) runRoot(ctx context.Context, l *engine.Local, j *runJob, o oci.Options) (*engine.Root, error) {
	view, err := e.startTransfer(j.progress)
	if err != nil {
		return nil, err
	}
	defer view.close()
	pull := engine.PullOptions{Platform: j.platform, Watch: view}
	if !isFileRef(j.ref) {
		im, err := l.Lookup(ctx, j.ref)
		switch {
		case err == nil && j.pull == "always", errdefs.IsNotFound(err) && j.pull != "never" && !existsFile(j.ref) && isName(j.ref):
			if im, err = l.Pull(ctx, j.ref, pull); err != nil {
				return nil, err
			}
			return l.RootOf(ctx, im, pull)
		case err == nil:
			return l.RootOf(ctx, im, pull)
		case !errdefs.IsNotFound(err):
			return nil, err
		case isName(j.ref) && !existsFile(j.ref):
			return nil, err
		}
	}
	o.Native = engine.IsNative
	im, err := oci.Open(j.ref, o)
	if err != nil {
		return nil, err
	}
	r, err := l.RootOfFile(ctx, j.ref, im, view)
	return r, errors.Join(err, im.Close())
}

// isFileRef tells whether a reference says that it is one of a file.
func isFileRef(ref string) bool {
	for _, kind := range []string{"oci-archive:", "docker-archive:", "oci:"} {
		if strings.HasPrefix(ref, kind) {
			return true
		}
	}
	return false
}

func isName(ref string) bool {
	_, err := engine.Normalize(ref)
	return err == nil
}

// existsFile tells whether a reference can be that of an archive or an unpacked one, alone or with a tag behind it. Other
// directories are none: many have the names of images.
func existsFile(ref string) bool {
	path, _, _ := strings.Cut(ref, ":")
	for _, p := range []string{ref, path} {
		st, err := os.Stat(p)
		if err == nil && st.IsDir() {
			if _, err = os.Stat(filepath.Join(p, "index.json")); err != nil {
				_, err = os.Stat(filepath.Join(p, "manifest.json"))
			}
		}
		if err == nil {
			return true
		}
	}
	return false
}

// runTask runs the command of a container and makes an exit code of what happened.
func (e *env) runTask(j *runJob, t *engine.Task) error {
	sigs := make(chan os.Signal, 16)
	take := func(s os.Signal) {
		select {
		case sigs <- s:
		default: // sixteen wait already
		}
	}
	e.takeSignals.Store(&take)
	defer e.takeSignals.Store(nil)
	s := engine.Streams{Stdin: e.stdin, Stdout: os.Stdout, Stderr: os.Stderr, Signals: sigs, Keyboard: keyboard}
	if j.options.Detach {
		out, err := os.OpenFile(t.Output(), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			return errors.Join(err, t.Discard(e.ctx))
		}
		defer func() { _ = out.Close() }() // the command has written to it, not we
		s.Stdout, s.Stderr = out, out
		s.Started = func() { tellStarted(t.ID()) }
	}
	code, err := t.Run(e.ctx, s)
	var notStarted *engine.NotStartedError
	var lost *engine.OutputError
	switch {
	case errors.As(err, &notStarted) && notStarted.Said == "":
		return &codeError{exitNotStarted, fmt.Errorf("--runtime %s: %w, and says nothing", j.options.Runtime, err)}
	case errors.As(err, &notStarted):
		return &codeError{code: exitNotStarted} // the runtime has said why
	case errors.As(err, &lost):
		return &codeError{cmp.Or(code, exitFailure), err}
	case err != nil:
		return commandError(err)
	case code != 0:
		return &codeError{code: code}
	}
	return nil
}

// keyboard tells of signals that a terminal sends to the whole foreground process group.
func keyboard(s os.Signal) (fromKeyboard, delivered bool) {
	fromKeyboard = (s == syscall.SIGINT || s == syscall.SIGQUIT) && term.IsTerminal(int(os.Stdin.Fd()))
	return fromKeyboard, fromKeyboard && inForeground()
}

// inForeground tells whether the terminal's keys reach our process group.
func inForeground() bool {
	pgrp, err := unix.IoctlGetInt(int(os.Stdin.Fd()), unix.TIOCGPGRP)
	return err == nil && pgrp == unix.Getpgrp()
}

// commandError gives the exit codes of a shell to a command that is not there or not executable.
func commandError(err error) error {
	var cmd *bundle.CommandError
	switch {
	case !errors.As(err, &cmd):
		return err
	case errors.Is(err, fs.ErrNotExist):
		return &codeError{exitNoCommand, err}
	}
	return &codeError{exitNotExecutable, err}
}
