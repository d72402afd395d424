package daemon

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// notify sends a message of sd_notify(3), with descriptors, to the service manager. sent is false if there is
// none. Two dozen lines instead of a library: no library sends descriptors.
func notify(message string, fds ...int) (sent bool, err error) {
	name := os.Getenv("NOTIFY_SOCKET")
	if name == "" {
		return false, nil
	}
	sock, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false, fmt.Errorf("daemon: NOTIFY_SOCKET: %w", err)
	}
	defer func() { _ = unix.Close(sock) }()
	var rights []byte
	if len(fds) > 0 {
		rights = unix.UnixRights(fds...)
	}
	if err := unix.Sendmsg(sock, []byte(message), rights, &unix.SockaddrUnix{Name: name}, 0); err != nil {
		return false, fmt.Errorf("daemon: NOTIFY_SOCKET: %s: %w", name, err)
	}
	return true, nil
}

// NotifyReady tells systemd that requests are answered, and what `systemctl status` shows.
func NotifyReady(status string) error {
	_, err := notify("READY=1\nSTATUS=" + status)
	return err
}

// NotifyStopping tells systemd that the stop has begun.
func NotifyStopping() error {
	_, err := notify("STOPPING=1")
	return err
}

// NotifyReloading tells systemd that the configuration is read again; NotifyReady ends it.
func NotifyReloading() error {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return err
	}
	_, err := notify(fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d", time.Duration(now.Nano()).Microseconds()))
	return err
}
