// Package cli is the command line of lamina: it parses flags, opens files, shows progress and turns
// errors into one line and an exit code. What the commands do is done by the packages below.
package cli

import (
	"os"
	"os/signal"
	"path/filepath"
	"time"
)

// How long a command may take to end after the first signal. Most have nothing to undo but outputs, which
// abandon removes as well; those that mount do.
const (
	graceShort = 500 * time.Millisecond
	graceLong  = time.Minute
)

// Main runs the command that argv asks for and returns the exit code for os.Exit. argv[0] chooses
// between lamina and the programs of erofs-utils.
func Main(argv []string) int {
	if os.Getenv("GOGC") == "" {
		collectLate()
	}
	e := newEnv()
	sigs := make(chan os.Signal, 8)
	signal.Notify(sigs, cancelSignals...)
	defer signal.Stop(sigs)
	done := make(chan int, 1)
	go func() { done <- e.dispatch(argv) }()
	return e.supervise(done, sigs)
}

// supervise waits for the command. The first signal cancels it; it then returns by itself and undoes
// what it did. A second one, or a command that does not return (a read from a silent pipe cannot be
// interrupted), ends the program after the unfinished outputs are removed.
func (e *env) supervise(done <-chan int, sigs chan os.Signal) int {
	var late <-chan time.Time
	for {
		select {
		case code := <-done:
			return code
		case s := <-sigs:
			if take := e.takeSignals.Load(); take != nil {
				(*take)(s)
				continue
			}
			if e.ctx.Err() != nil {
				return e.abandon()
			}
			e.cancel(&signalError{s})
			grace := graceShort
			if e.undoes.Load() {
				grace = graceLong
			}
			late = time.After(grace)
		case <-late:
			return e.abandon()
		}
	}
}

// program is what argv[0] stands for.
func program(argv0 string) string { return filepath.Base(argv0) }

func (e *env) dispatch(argv []string) int {
	if len(argv) == 0 {
		return e.lamina(nil)
	}
	name, args := program(argv[0]), argv[1:]
	if front := fronts[name]; front != nil {
		return front(e, name, args)
	}
	if len(args) > 0 && fronts[args[0]] != nil { // lamina mkfs.erofs ...
		return fronts[args[0]](e, args[0], args[1:])
	}
	return e.lamina(args)
}
