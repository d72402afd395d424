package engine

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// OutputError says that what a command wrote could not be written on.
type OutputError struct{ Err error }

func (e *OutputError) Error() string { return e.Err.Error() }
func (e *OutputError) Unwrap() error { return e.Err }

// relays carry what a command writes into files and devices. The runtime would do that as well, but says nothing if a
// disk is full. Giving our descriptors to the command itself is no way: the runtime makes its user the owner of
// what they lead to, be it /dev/full.
type relays struct {
	ends  []*os.File // that the runtime gets
	works []chan error
}

// outlet returns what the runtime gets for a descriptor of ours: the same for terminals and pipes, whose readers
// know what they did, else a pipe.
func (r *relays) outlet(name string, to *os.File) (*os.File, error) {
	if !canFail(to) {
		return to, nil
	}
	from, end, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	work := make(chan error, 1)
	r.ends, r.works = append(r.ends, end), append(r.works, work)
	go func() {
		_, err := io.Copy(to, from)
		if cerr := from.Close(); err == nil { // after an error the command is told by SIGPIPE
			err = cerr
		}
		if err != nil {
			err = &OutputError{fmt.Errorf("%s: what the command wrote: %w", name, err)}
		}
		work <- err
	}()
	return end, nil
}

// started closes our ends of the pipes, once the runtime has them.
func (r *relays) started() {
	for _, f := range r.ends {
		_ = f.Close() // nothing was written to it here
	}
}

// wait returns when all has been written that came.
func (r *relays) wait() error {
	var errs []error
	for _, work := range r.works {
		errs = append(errs, <-work)
	}
	return errors.Join(errs...)
}

// canFail tells whether writing may fail for another reason than that nobody reads any more.
func canFail(f *os.File) bool {
	var st unix.Stat_t
	if f == nil || unix.Fstat(int(f.Fd()), &st) != nil {
		return false
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG, unix.S_IFBLK:
		return true
	case unix.S_IFCHR:
		_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
		return err != nil && st.Rdev != nullDevice
	}
	return false
}

// nullDevice is /dev/null (Documentation/admin-guide/devices.txt).
var nullDevice = unix.Mkdev(1, 3)
