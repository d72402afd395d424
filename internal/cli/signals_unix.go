//go:build unix

package cli

import (
	"os"
	"syscall"
)

// cancelSignals end a command, or go to the container that it runs.
var cancelSignals = []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT}

func signalNumber(s os.Signal) int {
	if n, ok := s.(syscall.Signal); ok {
		return int(n)
	}
	return 0
}

// umask returns the process's file mode mask.
func umask() uint32 {
	old := syscall.Umask(0o077)
	syscall.Umask(old)
	return uint32(old)
}
