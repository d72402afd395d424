package mkfs

import (
	"io"
	"os"
	"sync/atomic"
)

// File is where an image goes; *os.File is one.
type File interface {
	io.ReaderAt
	io.WriterAt
	Truncate(size int64) error
}

const (
	// bufSize is the unit of writing: large enough that system calls do not count.
	bufSize = 1 << 20
	// bufCount bounds what waits for the kernel: 4 MiB.
	bufCount = 4
)

// output is a sequential writer on a File: bytes are collected in buffers and written by a goroutine of
// its own, so that the caller decodes and parses while the kernel copies. The position can be set back.
//
// The caller fills out.buf[len:cap] through room and grow; nothing else touches it. Buffers in flight
// belong to the goroutine until they return through free.
type output struct {
	f    File
	base int64  // file offset of buf[0]
	buf  []byte // filled, not yet handed over
	free chan []byte
	work chan pending
	done chan struct{}
	err  error // of the goroutine; read after done, or after idle
	idle chan error

	broken atomic.Bool // err is set
	flush  int64       // where early write-back begins: see kick
}

// pending is a buffer on its way to the file; a nil buf asks for the error so far.
type pending struct {
	off int64
	buf []byte
}

// newOutput starts the goroutine; close ends it.
func newOutput(f File, off int64) *output {
	o := &output{
		f: f, base: off, flush: off,
		free: make(chan []byte, bufCount),
		work: make(chan pending, bufCount),
		done: make(chan struct{}),
		idle: make(chan error),
	}
	for range bufCount - 1 {
		o.free <- nil // allocated when first used
	}
	o.buf = make([]byte, 0, bufSize)
	go o.run()
	return o
}

func (o *output) run() {
	defer close(o.done)
	for c := range o.work {
		if c.buf == nil {
			o.idle <- o.err
			continue
		}
		if o.err == nil {
			_, o.err = o.f.WriteAt(c.buf, c.off)
			o.broken.Store(o.err != nil)
			o.kick(c.off, int64(len(c.buf)))
		}
		o.free <- c.buf
	}
}

// kickSize is how much is written before the kernel is asked to start write-back, so that the disk works
// while the rest is still being converted and the fsync at the end finds little left.
const kickSize = 8 << 20

func (o *output) kick(off, n int64) {
	if off < o.flush { // the position was set back
		o.flush = off
	}
	if off+n-o.flush < kickSize {
		return
	}
	if f, ok := o.f.(*os.File); ok {
		startWriteback(f, o.flush, off+n-o.flush)
	}
	o.flush = off + n
}

// pos returns the file offset of the next byte.
func (o *output) pos() int64 { return o.base + int64(len(o.buf)) }

// room returns space to write into, at least one byte; grow says how much of it was filled.
func (o *output) room() []byte {
	if len(o.buf) == cap(o.buf) {
		o.pass()
	}
	return o.buf[len(o.buf):cap(o.buf)]
}

func (o *output) grow(n int) { o.buf = o.buf[:len(o.buf)+n] }

// pass hands the filled buffer over and takes a free one.
func (o *output) pass() {
	o.work <- pending{o.base, o.buf}
	o.base += int64(len(o.buf))
	o.buf = <-o.free
	if o.buf == nil {
		o.buf = make([]byte, 0, bufSize)
	}
	o.buf = o.buf[:0]
}

// write appends b.
func (o *output) write(b []byte) {
	for len(b) > 0 {
		n := copy(o.room(), b)
		o.grow(n)
		b = b[n:]
	}
}

// zero appends n zero bytes.
func (o *output) zero(n int64) {
	for n > 0 {
		r := o.room()
		r = r[:min(int64(len(r)), n)]
		clear(r)
		o.grow(len(r))
		n -= int64(len(r))
	}
}

// align pads with zeros to a multiple of unit.
func (o *output) align(unit int64) {
	if rest := o.pos() & (unit - 1); rest != 0 {
		o.zero(unit - rest)
	}
}

// rewind sets the position back to off. What was written behind it stays in the file until it is
// overwritten or truncated.
func (o *output) rewind(off int64) error {
	if off >= o.base {
		o.buf = o.buf[:off-o.base]
		return nil
	}
	if err := o.sync(); err != nil {
		return err
	}
	o.base, o.buf = off, o.buf[:0]
	return nil
}

// sync waits until everything handed over is in the file and returns the first error.
func (o *output) sync() error {
	if o.buf == nil { // closed: everything is in the file
		return o.err
	}
	if len(o.buf) > 0 {
		o.pass()
	}
	return o.drain()
}

// drain waits until the buffers in flight are in the file and returns the first error.
func (o *output) drain() error {
	if o.buf == nil {
		return o.err
	}
	o.work <- pending{}
	return <-o.idle
}

// failed returns the error of writing once there is one, so that a full disk ends a conversion at once.
func (o *output) failed() error {
	if !o.broken.Load() {
		return nil
	}
	return o.drain()
}

// readAt reads what was written. Bytes still in the buffer are copied; for others the goroutine must have
// written them, which it mostly has.
func (o *output) readAt(p []byte, off int64) (int, error) {
	if o.buf != nil && off >= o.base && off+int64(len(p)) <= o.pos() {
		return copy(p, o.buf[off-o.base:]), nil
	}
	wait := o.drain
	if off+int64(len(p)) > o.base {
		wait = o.sync
	}
	if err := wait(); err != nil {
		return 0, err
	}
	return o.f.ReadAt(p, off)
}

// close waits for the goroutine and returns the first error of writing. It is idempotent.
func (o *output) close() error {
	if o.buf != nil {
		if len(o.buf) > 0 {
			o.work <- pending{o.base, o.buf}
		}
		o.base += int64(len(o.buf))
		o.buf = nil
		close(o.work)
	}
	<-o.done
	return o.err
}
