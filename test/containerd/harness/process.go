//go:build linux

package harness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A Process is a daemon that this process started. It dies with this process, by the kernel's parent-death signal.
type Process struct {
	Name string
	Log  string // path of what it wrote
	cmd  *exec.Cmd
	done chan struct{} // closed when it has been waited for
	err  error         // of Wait; read after done
	stop sync.Once
}

// The parent-death signal comes when the thread that forked ends, so one thread that never ends forks them all.
var (
	forker     = make(chan func())
	startForks sync.Once
)

func onForker(fn func()) {
	startForks.Do(func() {
		go func() {
			runtime.LockOSThread()
			for f := range forker {
				f()
			}
		}()
	})
	finished := make(chan struct{})
	forker <- func() { fn(); close(finished) }
	<-finished
}

// Start runs argv in the background; its output goes to log.
func Start(name, log string, env []string, argv ...string) (*Process, error) {
	return startWith(nil, name, log, env, argv...)
}

// startWith is Start for a process that gets open files from descriptor 3 on.
func startWith(files []*os.File, name, log string, env []string, argv ...string) (*Process, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	p := &Process{Name: name, Log: log, done: make(chan struct{})}
	p.cmd = exec.Command(argv[0], argv[1:]...)
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.Env, p.cmd.ExtraFiles = append(os.Environ(), env...), files
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	onForker(func() { err = p.cmd.Start() })
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// Pid is its process id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Running says whether it has not ended.
func (p *Process) Running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Kill ends it with SIGKILL and waits.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.done
}

// Stop ends it with SIGTERM, after 20 s with SIGKILL, which is an error, and waits. It is idempotent.
func (p *Process) Stop() (err error) {
	p.stop.Do(func() {
		if !p.Running() {
			return
		}
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-p.done:
		case <-time.After(20 * time.Second):
			p.Kill()
			err = fmt.Errorf("%s: did not end in 20 s after SIGTERM\n%s", p.Name, p.Tail())
		}
	})
	return err
}

// Tail is the end of what it wrote.
func (p *Process) Tail() string {
	b, err := os.ReadFile(p.Log)
	if err != nil {
		return err.Error()
	}
	const most = 6000
	return string(b[max(0, len(b)-most):])
}

// waitReady calls ready until it returns nil, the process ends or the time is over.
func (p *Process) waitReady(limit time.Duration, ready func() error) error {
	deadline := time.Now().Add(limit)
	for {
		err := ready()
		if err == nil {
			return nil
		}
		if !p.Running() {
			return fmt.Errorf("%s: ended before it was ready: %v\n%s", p.Name, p.err, p.Tail())
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s: not ready after %v: %w\n%s", p.Name, limit, err, p.Tail())
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// Memory returns the resident set of the process and its peak, in bytes.
func (p *Process) Memory() (rss, peak int64, err error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Pid()))
	if err != nil {
		return 0, 0, err
	}
	for l := range bytes.Lines(b) {
		_, _ = fmt.Sscanf(string(l), "VmRSS: %d kB", &rss)
		_, _ = fmt.Sscanf(string(l), "VmHWM: %d kB", &peak)
	}
	return rss << 10, peak << 10, nil
}

// CPU returns the processor time that the process and the children it has waited for have used.
func (p *Process) CPU() (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Pid()))
	if err != nil {
		return 0, err
	}
	fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	var ticks int64
	for _, f := range fields[11:15] { // utime stime cutime cstime
		var n int64
		if _, err := fmt.Sscan(string(f), &n); err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / 100, nil // USER_HZ is 100 in the ABI
}

// Run runs a command to its end and returns what it printed to stdout; the error has what it said on stderr.
func Run(ctx context.Context, env []string, argv ...string) (string, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), env...)
	cmd.WaitDelay = 5 * time.Second // children that keep the pipes open
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil
	}
	if err != nil {
		return stdout.String(), fmt.Errorf("%s: %w: %s", argv, err, bytes.TrimSpace(stderr.Bytes()))
	}
	return stdout.String(), nil
}

// Usage is what a command cost.
type Usage struct {
	CPU time.Duration // with its children
	RSS int64         // peak, bytes
}

// RunUsage is Run for one that is measured.
func RunUsage(ctx context.Context, argv ...string) (u Usage, err error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return u, fmt.Errorf("%s: %w: %s", argv, err, bytes.TrimSpace(out))
	}
	u.CPU = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	if r, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		u.RSS = r.Maxrss << 10
	}
	return u, nil
}

// unmountAll takes every mount at or below dir away, the last first.
func unmountAll(dir string) (err error) {
	for range 3 { // a mount can lie over another one
		table, e := mountsBelow(dir)
		if e != nil || len(table) == 0 {
			return errors.Join(err, e)
		}
		err = nil
		for i := len(table) - 1; i >= 0; i-- {
			e := unix.Unmount(table[i], unix.UMOUNT_NOFOLLOW)
			for try := 0; e == unix.EBUSY && try < 40; try++ { // what was detached from it goes a moment later
				time.Sleep(50 * time.Millisecond)
				e = unix.Unmount(table[i], unix.UMOUNT_NOFOLLOW)
			}
			if e != nil {
				_ = unix.Unmount(table[i], unix.MNT_DETACH)
				err = errors.Join(err, fmt.Errorf("unmount %s: %w", table[i], e))
			}
		}
	}
	return err
}
