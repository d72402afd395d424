package store

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
)

// tornError says that pages of a bbolt file of the store are not what bbolt has written: a disk that lies about its cache has lost
// some, or somebody else wrote to the file.
type tornError struct {
	path string
	why  any // what bbolt panicked with
}

// Error implements error.
func (t *tornError) Error() string {
	return fmt.Sprintf("store: %s: damaged: %v: stop all that uses this store, move its directory away and pull the images again", t.path, t.why)
}

// Guarded calls fn, which uses the bbolt file path, and makes an error of what bbolt does about pages that it cannot read:
// it panics, in the goroutine of its caller, or runs into a part of the mapped file that is gone or cannot be read. All
// other panics go on.
func Guarded(path string, fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		if _, fault := p.(interface{ Addr() uintptr }); !fault && !panicOfBolt() {
			panic(p) // ours; the stack still shows where
		}
		err = &tornError{path, p}
	}()
	return fn()
}

// panicOfBolt tells, in a deferred function, whether the panic began in bbolt.
func panicOfBolt() bool {
	var pcs [64]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	panicked := false
	for {
		f, more := frames.Next()
		switch {
		case f.Function == "runtime.gopanic":
			panicked = true
		case panicked && !strings.HasPrefix(f.Function, "runtime."):
			return strings.HasPrefix(f.Function, "go.etcd.io/bbolt")
		}
		if !more {
			return false
		}
	}
}

// isTorn tells whether a function that was guarded ended by a panic.
func isTorn(err error) bool {
	var t *tornError
	return errors.As(err, &t)
}
