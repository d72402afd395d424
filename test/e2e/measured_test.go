package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
	"testing"
)

// launch is the first argument of this program when it starts another one and says how much memory that took. A process
// inherits the peak of the one that starts it (exec_mmap of Linux keeps it in signal->maxrss), which for the process of
// the tests is anything: one that has done nothing yet is between them.
const launch = "launch-and-measure"

// launched is a run of the program of the tests with launch: it ends with the exit code of the command and has written
// its peak of resident memory, in bytes, to file 3.
func launched(args []string) int {
	runtime.LockOSThread() // Pdeathsig is about the thread
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	err := cmd.Run()
	if cmd.ProcessState == nil {
		fmt.Fprintln(os.Stderr, err)
		return 127
	}
	fmt.Fprint(os.NewFile(3, "peak"), cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss<<10)
	if code := cmd.ProcessState.ExitCode(); code >= 0 {
		return code
	}
	return 128 // a signal
}

// measured runs a command and returns its peak of resident memory in bytes.
func measured(t *testing.T, cmd *exec.Cmd) (int64, error) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.CreateTemp(t.TempDir(), "peak")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	cmd.Args = append([]string{self, launch, cmd.Path}, cmd.Args[1:]...)
	cmd.Path, cmd.ExtraFiles = self, []*os.File{file}
	runErr := cmd.Run()
	text := make([]byte, 32)
	n, err := file.ReadAt(text, 0)
	peak, perr := strconv.ParseInt(string(text[:n]), 10, 64)
	if perr != nil && !errors.Is(runErr, context.DeadlineExceeded) && cmd.ProcessState.ExitCode() >= 0 {
		t.Fatalf("%v: no peak of memory: %v, %v", cmd.Args[2:], err, runErr)
	}
	return peak, runErr
}
