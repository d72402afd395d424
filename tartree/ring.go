package tartree

import (
	"errors"
	"io"
	"sync"
)

const (
	// The ring is what a decoder may be ahead of its consumers.
	ringBuffers = 6
	ringWindow  = 256 << 10
)

// errClosed is what a source returns after Close.
var errClosed = errors.New("tartree: read after Close")

// ring hands the buffers that one goroutine fills to the consumer, and to the tap if there is one,
// without copying. A buffer is filled again when both are done with it.
type ring struct {
	size int         // of a buffer
	free chan []byte // capacity ringBuffers: sending never blocks
	full chan window
	stop chan struct{}
	why  error // set before stop is closed
	err  error // of the goroutine that fills; set before full is closed

	onStop  func() // called when stop is closed, nil for nothing
	onClose func() // called when the goroutines have ended

	tap     io.Writer
	tapErr  error
	tapped  chan []byte // windows for the tap
	release chan []byte // windows that the tap is done with, in order

	cur   []byte // the buffer that the consumer has
	rest  []byte // what it has not read of it
	final error
	done  sync.WaitGroup

	stopping, closing sync.Once
}

// window is data in a buffer.
type window struct{ data, buffer []byte }

// newRing returns a ring of buffers of this size; start has to follow.
func newRing(size int, tap io.Writer) *ring {
	g := &ring{
		size: size,
		free: make(chan []byte, ringBuffers),
		full: make(chan window, ringBuffers),
		stop: make(chan struct{}),
		tap:  tap,
	}
	for range ringBuffers {
		g.free <- nil // allocated when they are needed
	}
	if tap != nil {
		g.tapped = make(chan []byte, ringBuffers)
		g.release = make(chan []byte, ringBuffers)
	}
	return g
}

// start starts the goroutine that calls fill until it returns an error, io.EOF at the end. fill gets a buffer and
// returns the next bytes, and the buffer in which they are: that one, or another one in exchange for it.
func (g *ring) start(fill func([]byte) (data, buffer []byte, err error)) {
	if g.tap != nil {
		g.done.Go(g.feedTap)
	}
	g.done.Go(func() { g.produce(fill) })
}

// produce runs on a goroutine of its own until the end of the stream or Close.
func (g *ring) produce(fill func([]byte) (data, buffer []byte, err error)) {
	defer close(g.full)
	if g.tap != nil {
		defer close(g.tapped)
	}
	for empty := 0; ; {
		var b []byte
		select {
		case b = <-g.free:
		case <-g.stop:
			g.err = g.why
			return
		}
		if b == nil {
			b = make([]byte, g.size)
		}
		data, b, err := fill(b)
		if empty++; len(data) > 0 {
			empty = 0
			if g.tap != nil {
				g.tapped <- data
			}
			g.full <- window{data, b}
		} else {
			g.free <- b
		}
		if empty > maxEmpty && err == nil {
			err = io.ErrNoProgress
		}
		if err != nil {
			g.err = g.reason(err)
			return
		}
	}
}

// reason is err, or why the producer was stopped, if that is what err is of.
func (g *ring) reason(err error) error {
	select {
	case <-g.stop:
		if err != io.EOF {
			return g.why
		}
	default:
	}
	return err
}

// feedTap runs on a goroutine of its own. After a failure of the tap it only keeps the buffers going.
func (g *ring) feedTap() {
	defer close(g.release)
	for b := range g.tapped {
		if g.tapErr == nil {
			_, g.tapErr = writeAll(g.tap, b)
		}
		g.release <- b
	}
}

// NextWindow implements Windower.
func (g *ring) NextWindow() ([]byte, error) {
	if len(g.rest) > 0 {
		b := g.rest
		g.rest = nil
		return b, nil
	}
	g.recycle()
	if g.final != nil {
		return nil, g.final
	}
	w, ok := <-g.full
	if !ok {
		g.final = g.finish()
		return nil, g.final
	}
	g.cur = w.buffer
	return w.data, nil
}

// recycle gives the current buffer back once the tap is done with it too.
func (g *ring) recycle() {
	if g.cur == nil {
		return
	}
	if g.tap != nil {
		<-g.release
	}
	g.free <- g.cur
	g.cur = nil
}

// finish waits for the goroutines, which are at their end, and returns what the stream ends with.
func (g *ring) finish() error {
	g.done.Wait()
	if g.tapErr != nil && errors.Is(g.err, io.EOF) {
		return g.tapErr
	}
	return g.err
}

// Read implements io.Reader.
func (g *ring) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	b, err := g.NextWindow()
	if err != nil {
		return 0, err
	}
	n := copy(p, b)
	g.rest = b[n:]
	return n, nil
}

// WriteTo implements io.WriterTo.
func (g *ring) WriteTo(w io.Writer) (int64, error) {
	var n int64
	for {
		b, err := g.NextWindow()
		if err != nil {
			if err == io.EOF {
				err = nil
			}
			return n, err
		}
		c, err := writeAll(w, b)
		n += int64(c)
		if err != nil {
			g.rest = b[c:]
			return n, err
		}
	}
}

// writeAll is w.Write, with an error if it takes less and has none.
func writeAll(w io.Writer, b []byte) (int, error) {
	n, err := w.Write(b)
	if n < len(b) && err == nil {
		err = io.ErrShortWrite
	}
	return n, err
}

// cancel ends the producer, for the reason why.
func (g *ring) cancel(why error) {
	g.stopping.Do(func() {
		g.why = why
		close(g.stop)
		if g.onStop != nil {
			g.onStop()
		}
	})
}

// Close ends the goroutines and waits for them: for the read of the source that is under way, and for
// the tap, which gets no more. It may be called again.
func (g *ring) Close() error {
	g.cancel(errClosed)
	g.closing.Do(func() {
		for range g.full { // the producer blocks nowhere but in fill
		}
		g.done.Wait()
		if g.onClose != nil {
			g.onClose()
		}
		if g.final == nil {
			g.final = errClosed
		}
		g.rest = nil
	})
	return nil
}
