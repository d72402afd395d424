package mount

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// Namespace makes a user namespace with the map, for mounts and nothing else: it lives as long as the file is open or a
// mount uses it. Its caller closes it. It needs CAP_SETUID and CAP_SETGID, as root has.
//
// A namespace is made by a process that enters it. A Go process has threads and cannot, so a copy of it is forked, which
// waits until it is killed; no program is executed.
func (m IDMap) Namespace() (_ *os.File, err error) {
	uids, err := procMap(m.UIDs)
	if err != nil {
		return nil, err
	}
	gids, err := procMap(m.GIDs)
	if err != nil {
		return nil, err
	}
	runtime.LockOSThread() // the child gets a signal when this thread ends
	defer runtime.UnlockOSThread()
	pid, err := forkWaiting()
	if err != nil {
		return nil, fmt.Errorf("mount: user namespace: %w", err)
	}
	defer func() { err = errors.Join(err, reap(pid)) }()
	proc := "/proc/" + strconv.Itoa(pid)
	if err := os.WriteFile(proc+"/uid_map", []byte(uids), 0); err != nil {
		return nil, fmt.Errorf("mount: user namespace: %w", err)
	}
	if err := os.WriteFile(proc+"/gid_map", []byte(gids), 0); err != nil {
		return nil, fmt.Errorf("mount: user namespace: %w", err)
	}
	ns, err := os.Open(proc + "/ns/user")
	if err != nil {
		return nil, fmt.Errorf("mount: user namespace: %w", err)
	}
	return ns, nil
}

// forkWaiting forks a process that is in a user namespace of its own and waits. All signals are blocked in it: handlers
// of the Go runtime must not run there.
func forkWaiting() (int, error) {
	var all, before unix.Sigset_t
	for i := range all.Val {
		all.Val[i] = ^all.Val[i]
	}
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &all, &before); err != nil {
		return 0, err
	}
	pid, errno := rawFork(uintptr(os.Getpid()))
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil); err != nil && errno == 0 {
		return 0, errors.Join(err, reap(int(pid)))
	}
	if errno == unix.EPERM {
		return 0, fmt.Errorf("refused, as in a chroot or by a policy: %w", errno)
	}
	if errno != 0 {
		return 0, errno
	}
	return int(pid), nil
}

// rawFork is clone(2). The child has one thread, a copy of the memory and no Go runtime that works, so it makes system
// calls only and uses no more stack. It shares the table of open files: a copy would keep locks and pipes open. No
// signal is sent when it ends, so that nobody else who waits for children finds it.
//
//go:nosplit
//go:norace
func rawFork(parent uintptr) (pid uintptr, errno unix.Errno) {
	const flags = unix.CLONE_NEWUSER | unix.CLONE_FILES
	if runtime.GOARCH == "s390x" { // the only one with the stack first (clone(2), notes)
		pid, _, errno = unix.RawSyscall6(unix.SYS_CLONE, 0, flags, 0, 0, 0, 0)
	} else {
		pid, _, errno = unix.RawSyscall6(unix.SYS_CLONE, flags, 0, 0, 0, 0, 0)
	}
	if errno != 0 || pid != 0 {
		return pid, errno
	}
	_, _, _ = unix.RawSyscall6(unix.SYS_PRCTL, unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0, 0)
	if now, _, _ := unix.RawSyscall6(unix.SYS_GETPPID, 0, 0, 0, 0, 0, 0); now == parent {
		_, _, _ = unix.RawSyscall6(unix.SYS_PPOLL, 0, 0, 0, 0, 0, 0) // until SIGKILL
	}
	for {
		_, _, _ = unix.RawSyscall6(unix.SYS_EXIT_GROUP, 0, 0, 0, 0, 0, 0)
	}
}

func reap(pid int) error {
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		return fmt.Errorf("mount: user namespace: process %d: %w", pid, err)
	}
	for {
		_, err := unix.Wait4(pid, nil, unix.WALL, nil)
		if err == nil {
			return nil
		}
		if !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("mount: user namespace: process %d: %w", pid, err)
		}
	}
}
