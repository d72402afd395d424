package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// firstFD is the first descriptor that systemd passes (sd_listen_fds(3)).
const firstFD = 3

// maxFDs bounds how many we look at: two are passed at most.
const maxFDs = 64

// storedName is the name of our socket in systemd's store of descriptors.
const storedName = "lamina-socket"

// Listen returns the socket to serve: those that systemd passes, else a new one at path, readable and writable
// for its owner only. One that is made here is given to systemd to keep over a restart.
func Listen(path string) ([]net.Listener, error) {
	passed, err := inherited()
	if err != nil {
		return nil, err
	}
	if len(passed) == 1 && passed[0].name == storedName && !reaches(path, passed[0]) {
		if _, err := notify("FDSTOREREMOVE=1\nFDNAME=" + storedName); err != nil {
			return nil, err
		}
		if err := passed[0].Close(); err != nil {
			return nil, fmt.Errorf("daemon: %w", err)
		}
		passed = nil
	}
	if len(passed) > 0 {
		all := make([]net.Listener, len(passed))
		for i, l := range passed {
			all[i] = l
		}
		return all, nil
	}
	if path == "" {
		return nil, errNoSocket
	}
	l, err := bind(path)
	if err != nil {
		return nil, err
	}
	if err := keep(l); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return []net.Listener{l}, nil
}

// maxPath is the length of sun_path without the final zero (unix(7)).
const maxPath = 107

// named is a socket with the name that systemd has for it.
type named struct {
	net.Listener
	name string
}

// reaches tells whether a socket that was kept is the one of the configuration, and still has its file.
func reaches(path string, l named) bool {
	st, err := os.Lstat(path)
	return l.Addr().String() == path && err == nil && st.Mode()&fs.ModeSocket != 0
}

// inherited returns the sockets that systemd passes to this process: those of a socket unit and, after a
// restart, the one that it has kept. The variables are removed, no child shall think that it is meant.
func inherited() ([]named, error) {
	pid, count, names := os.Getenv("LISTEN_PID"), os.Getenv("LISTEN_FDS"), strings.Split(os.Getenv("LISTEN_FDNAMES"), ":")
	for _, v := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
		if err := os.Unsetenv(v); err != nil {
			return nil, fmt.Errorf("daemon: %s: %w", v, err)
		}
	}
	n, err := strconv.Atoi(count)
	if pid != strconv.Itoa(os.Getpid()) || err != nil || n <= 0 {
		return nil, nil
	}
	if n > maxFDs {
		return nil, fmt.Errorf("daemon: LISTEN_FDS: %d: more than %d", n, maxFDs)
	}
	var kept, all []named
	for i := range n {
		name := ""
		if i < len(names) {
			name = names[i]
		}
		l, err := fromFD(firstFD+i, name)
		if err != nil {
			return nil, errors.Join(append(closeAll(append(all, kept...)), err)...)
		}
		if name == storedName {
			kept = append(kept, named{l, name})
			continue
		}
		all = append(all, named{l, name})
	}
	if len(all) > 0 { // a socket unit has come: what was kept before it serves no path any more
		return all, errors.Join(closeAll(kept)...)
	}
	return kept, nil
}

func fromFD(fd int, name string) (net.Listener, error) {
	unix.CloseOnExec(fd)
	f := os.NewFile(uintptr(fd), name)
	l, err := net.FileListener(f)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("daemon: descriptor %d (%s): no listening socket: %w", fd, name, err), f.Close())
	}
	if u, ok := l.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false) // its path is systemd's
	}
	return l, f.Close()
}

func closeAll(all []named) []error {
	var errs []error
	for _, l := range all {
		errs = append(errs, l.Close())
	}
	return errs
}

// bind makes the socket. One that a dead daemon has left is replaced; one that answers is not.
func bind(path string) (*net.UnixListener, error) {
	if len(path) > maxPath {
		return nil, fmt.Errorf("daemon: %s: %d bytes, more than the %d that the path of a unix socket may have", path, len(path), maxPath)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o711); err != nil {
		return nil, fmt.Errorf("daemon: %w", err)
	}
	switch c, err := net.Dial("unix", path); {
	case err == nil:
		return nil, errors.Join(fmt.Errorf("daemon: %s: another daemon listens there: %w", path, syscall.EADDRINUSE), c.Close())
	case errors.Is(err, fs.ErrNotExist):
	case errors.Is(err, syscall.ECONNREFUSED):
		if st, err := os.Lstat(path); err != nil || st.Mode()&fs.ModeSocket == 0 {
			return nil, fmt.Errorf("daemon: %s: is there and no socket: %w", path, syscall.EEXIST)
		}
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("daemon: %w", err)
		}
	default:
		return nil, fmt.Errorf("daemon: %w", err)
	}
	old := unix.Umask(0o177) // from its first moment on nobody else may connect
	defer unix.Umask(old)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("daemon: %w", err)
	}
	return l, nil
}

// keep gives a socket to systemd, if that is there: connections then wait in it while the daemon restarts. The
// descriptor is looked at in place: a copy by File would make the socket blocking for both.
func keep(l *net.UnixListener) error {
	raw, err := l.SyscallConn()
	if err != nil {
		return fmt.Errorf("daemon: %w", err)
	}
	var sent bool
	var sendErr error
	err = raw.Control(func(fd uintptr) { sent, sendErr = notify("FDSTORE=1\nFDNAME="+storedName, int(fd)) })
	if sent {
		l.SetUnlinkOnClose(false)
	}
	return errors.Join(err, sendErr)
}
