package differ

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/containerd/containerd/v2/core/content"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// source is the content of a layer.
type source struct {
	io.Reader
	file  string // the path of the content, if it is a file that can be opened
	close func() error
}

// Close ends the use of the content.
func (s *source) Close() error { return s.close() }

// open opens the content of a layer: the file of a local content store, else through the content store.
func (d *Differ) open(ctx context.Context, desc ocispec.Descriptor) (*source, error) {
	if f := d.local(desc); f != nil {
		return &source{Reader: f, file: f.Name(), close: f.Close}, nil
	}
	ra, err := d.content.ReaderAt(ctx, desc)
	if err != nil {
		return nil, err
	}
	if l, ok := ra.(interface{ Reader() io.Reader }); ok { // a file of this process
		return &source{Reader: l.Reader(), close: ra.Close}, nil
	}
	r := newReadAhead(ra, ra.Size())
	return &source{Reader: r, close: func() error {
		r.stop()
		return ra.Close()
	}}, nil
}

// local opens the file of a local content store that has the content; nil if there is none. A content store
// gives a file its name once it has seen that the digest is right; the length tells that the disk still has
// it.
func (d *Differ) local(desc ocispec.Descriptor) *os.File {
	if d.config.ContentRoot == "" {
		return nil
	}
	f, err := os.Open(filepath.Join(d.config.ContentRoot, "blobs", desc.Digest.Algorithm().String(), desc.Digest.Encoded()))
	if err != nil {
		return nil
	}
	st, err := f.Stat()
	if err != nil || !st.Mode().IsRegular() || desc.Size > 0 && st.Size() != desc.Size {
		_ = f.Close() // only read
		return nil
	}
	return f
}

// A content store behind a socket makes a stream for each read, so reads are large, and one is under way
// while the last is decoded: aheadBuffers*aheadSize bytes of memory for each layer.
const (
	aheadSize    = 2 << 20
	aheadBuffers = 3
)

// readAhead reads a ReaderAt on a goroutine of its own.
type readAhead struct {
	full chan chunk
	free chan []byte
	done chan struct{} // closed by stop
	end  chan struct{} // closed when the goroutine has ended

	cur chunk
	off int
}

// chunk is what one read returned.
type chunk struct {
	b   []byte
	err error
}

func newReadAhead(ra content.ReaderAt, size int64) *readAhead {
	r := &readAhead{
		full: make(chan chunk), free: make(chan []byte, aheadBuffers),
		done: make(chan struct{}), end: make(chan struct{}),
	}
	for range aheadBuffers {
		r.free <- make([]byte, min(aheadSize, max(size, 1)))
	}
	go r.run(ra, size)
	return r
}

func (r *readAhead) run(ra content.ReaderAt, size int64) {
	defer close(r.end)
	for off := int64(0); ; {
		var b []byte
		select {
		case b = <-r.free:
		case <-r.done:
			return
		}
		b = b[:min(int64(cap(b)), size-off)]
		c := chunk{err: io.EOF}
		if len(b) > 0 {
			n, err := ra.ReadAt(b, off)
			off += int64(n)
			switch {
			case n == len(b):
				err = nil
			case err == nil || errors.Is(err, io.EOF):
				err = io.ErrUnexpectedEOF
			}
			c = chunk{b[:n], err}
		}
		select {
		case r.full <- c:
		case <-r.done:
			return
		}
		if c.err != nil {
			return
		}
	}
}

// Read implements io.Reader.
func (r *readAhead) Read(p []byte) (int, error) {
	for r.off == len(r.cur.b) {
		if r.cur.err != nil {
			return 0, r.cur.err
		}
		if cap(r.cur.b) > 0 {
			r.free <- r.cur.b
		}
		r.cur, r.off = <-r.full, 0
	}
	n := copy(p, r.cur.b[r.off:])
	r.off += n
	return n, nil
}

// stop ends reading and waits for it.
func (r *readAhead) stop() {
	close(r.done)
	<-r.end
}

// watched is a reader that fails once ctx is cancelled, and tells of what it has read.
type watched struct {
	ctx      context.Context
	r        io.Reader
	progress func(int64)
	n        int64
}

// Read implements io.Reader.
func (w *watched) Read(p []byte) (int, error) {
	if w.ctx.Err() != nil {
		return 0, context.Cause(w.ctx)
	}
	n, err := w.r.Read(p)
	w.n += int64(n)
	if w.progress != nil && n > 0 {
		w.progress(w.n)
	}
	return n, err
}
