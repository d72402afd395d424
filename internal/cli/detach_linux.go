package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// A detached container is run by a process of its own, the monitor: the same command once more, in a session of its
// own. It tells the first process by a pipe that the command runs, or why it does not; then that one ends.
const monitorVar = "LAMINA_MONITOR_FD"

// monitorPipe is what the monitor tells the first process by; nil in that one.
func monitorPipe() *os.File {
	fd, err := strconv.Atoi(os.Getenv(monitorVar))
	if err != nil || fd < 3 {
		return nil
	}
	return os.NewFile(uintptr(fd), "monitor")
}

// startedPrefix starts the line that says that the command runs; the id follows.
const startedPrefix = "started "

// tellStarted lets the first process end.
func tellStarted(id string) {
	if f := monitorPipe(); f != nil {
		_, _ = fmt.Fprintln(f, startedPrefix+id) // nobody waits any more if it fails
		_ = f.Close()
	}
}

// detach starts the monitor and waits until it says that the command runs.
func (e *env) detach() error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self, os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), monitorVar+"=3")
	cmd.ExtraFiles = []*os.File{w}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Stderr = w // errors before the start; afterwards nobody reads them
	err = cmd.Start()
	if err = errors.Join(err, w.Close()); err != nil {
		return err
	}
	text, err := bufio.NewReader(io.LimitReader(r, 64<<10)).ReadString('\n')
	if id, ok := strings.CutPrefix(strings.TrimSpace(text), startedPrefix); ok {
		_, err := fmt.Fprintln(e.stdout, id)
		return errors.Join(err, cmd.Process.Release())
	}
	if text != "" {
		fmt.Fprint(e.stderr, text) // the one line, with our name before it
	}
	if err != nil && err != io.EOF {
		return err
	}
	return e.monitorFailed(cmd, r)
}

// monitorFailed waits for a monitor that could not start the command, and returns its exit code.
func (e *env) monitorFailed(cmd *exec.Cmd, r io.Reader) error {
	rest, _ := io.ReadAll(io.LimitReader(r, 64<<10))
	_, _ = e.stderr.Write(rest)
	err := cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() > 0 {
		return &codeError{code: exit.ExitCode()}
	}
	if err != nil {
		return err
	}
	return nil // the command has ended already
}
