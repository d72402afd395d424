//go:build !unix

package cli

import "os"

// cancelSignals end a command.
var cancelSignals = []os.Signal{os.Interrupt}

func signalNumber(os.Signal) int { return 2 }

func umask() uint32 { return 0o022 }
