package deflate

import (
	"errors"
	"sync"
)

// run decodes a piece.
type run struct {
	s      *Stream
	off    int64  // where the piece is in the source
	data   []byte // the piece, and margin bytes behind it if it is not the last one
	size   int    // of the piece
	starts bool   // it seems to begin with a header

	z      *Reader
	unread []byte // of data, or of the piece that it goes on in

	out  chan window   // nil: not started
	turn chan struct{} // closed when all before it is known
	quit chan struct{} // closed when its start is none
	err  error         // set before out is closed; nil: it has ended where its piece does

	last   *run // the piece that it goes on in, itself at first
	next   *run // the piece behind this one, nil if this is the last one
	linked chan struct{}
}

// window is data in a buffer.
type window struct{ data, buffer []byte }

var errDropped = errors.New("deflate: run dropped")

// readers holds Readers for runs.
var readers = sync.Pool{New: func() any { return NewReader(nil) }}

// decode runs on a goroutine of its own.
func (r *run) decode() {
	defer r.s.done.Done()
	defer close(r.out)
	z := readers.Get().(*Reader)
	defer readers.Put(z)
	*z = Reader{r: r, in: z.in, base: r.off, state: between, stop: r.off + int64(r.size)}
	r.z, r.unread = z, r.data
	for b := r.s.buffers.get(); ; {
		if r.dropped() {
			r.s.buffers.put(b)
			break
		}
		data, err := z.Next(b)
		r.err = err
		end := err != nil || z.stopped()
		var next []byte
		if !end {
			next = r.s.buffers.get()
			z.carry(next)
		}
		if len(data) > 0 && !r.send(window{data, b}) || end {
			break
		}
		b = next
	}
	*z = Reader{in: z.in}
}

// dropped reports whether nobody wants what is still to come; the windows that nobody will take are free again then.
func (r *run) dropped() bool {
	select {
	case <-r.quit:
		r.err = errDropped
	case <-r.s.quit:
		r.err = errCancelled
	default:
		return false
	}
	for {
		select {
		case w := <-r.out:
			r.s.buffers.put(w.buffer)
		default:
			return true
		}
	}
}

// send reports whether somebody wants the window.
func (r *run) send(w window) bool {
	select {
	case r.out <- w:
		return true
	case <-r.quit:
	case <-r.s.quit:
	}
	return !r.dropped()
}

// Read implements io.Reader for the Reader, which is beyond the piece when it wants more than data. The end of the
// source, or its error, is that of the pieces.
func (r *run) Read(p []byte) (int, error) {
	for len(r.unread) == 0 {
		if err := r.goOn(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.unread)
	r.unread = r.unread[n:]
	return n, nil
}

// goOn drops the run of the next piece and takes that piece.
func (r *run) goOn() error {
	for _, c := range [...]chan struct{}{r.turn, r.last.linked} {
		select {
		case <-c:
		case <-r.quit:
			return errDropped
		case <-r.s.quit:
			return errCancelled
		}
	}
	n := r.last.next
	if n == nil {
		return r.s.pieces.err
	}
	if n.out != nil {
		close(n.quit)
		r.s.trust.tell(false)
	}
	if r.last != r && r.last.out == nil { // a run that was dropped may still read its piece
		r.s.pieces.done(r.last)
	}
	r.unread = n.data[margin:] // the rest it has seen
	r.z.stop = n.off + int64(n.size)
	r.last = n
	r.s.tokens <- struct{}{}
	return nil
}
