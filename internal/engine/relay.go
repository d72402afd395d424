package engine

import (
	"context"
	"errors"
	"io"
	"sync"

	"golang.org/x/sync/errgroup"
)

const (
	relaySize  = 256 << 10 // of a buffer
	relayDepth = 8         // buffers that wait for each of the two receivers
)

var relayPool = sync.Pool{New: func() any { b := make([]byte, relaySize); return &b }}

// kept is who gets the bytes of a relay first.
type kept interface {
	io.Writer
	verify() error // at the end of the stream, before the reader of convert sees the end
	commit() error // after that, at the same time as convert does what it does at the end
}

// relay reads src once, and gives its bytes first to keep and then to convert, which reads them while src
// still goes on. The three run at the same time. It returns the first error; convert has ended by then.
func relay(ctx context.Context, src io.Reader, keep kept, convert func(context.Context, io.Reader) error) error {
	g, ctx := errgroup.WithContext(ctx)
	from, to := make(chan *piece, relayDepth), make(chan *piece, relayDepth)
	g.Go(func() error {
		defer close(from)
		return readPieces(ctx, src, from)
	})
	g.Go(func() error {
		defer close(to)
		return keepPieces(ctx, from, keep, to)
	})
	g.Go(func() error { return convert(ctx, &pieces{ctx: ctx, from: to}) })
	return g.Wait()
}

func keepPieces(ctx context.Context, from <-chan *piece, keep kept, to chan<- *piece) error {
	for p := range from {
		if _, err := keep.Write(p.bytes()); err != nil {
			return err
		}
		if p.end == io.EOF {
			if err := keep.verify(); err != nil {
				return err
			}
		}
		select {
		case to <- p:
		case <-ctx.Done():
			return errors.Join(ctx.Err(), keepRest(from, keep))
		}
		if p.end == io.EOF {
			return keep.commit()
		}
	}
	return nil
}

// keepRest keeps what came before the stream broke off: who goes on need not fetch it again.
func keepRest(from <-chan *piece, keep kept) error {
	for p := range from {
		if _, err := keep.Write(p.bytes()); err != nil {
			return err
		}
	}
	return nil
}

// piece is a part of a stream, and how the stream goes on.
type piece struct {
	buf *[]byte
	n   int
	end error // io.EOF at the end
}

func (p *piece) bytes() []byte { return (*p.buf)[:p.n] }

func readPieces(ctx context.Context, src io.Reader, to chan<- *piece) error {
	for {
		p := &piece{buf: relayPool.Get().(*[]byte)}
		p.n, p.end = readSome(src, *p.buf)
		select {
		case to <- p:
		case <-ctx.Done():
			return ctx.Err()
		}
		switch {
		case p.end == io.EOF:
			return nil
		case p.end != nil:
			return p.end
		}
	}
}

// readSome fills a buffer as far as it goes. Unlike io.ReadFull it passes every error on.
func readSome(r io.Reader, b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		var m int
		m, err = r.Read(b[n:])
		n += m
	}
	return n, err
}

// pieces reads what comes through a channel.
type pieces struct {
	ctx  context.Context
	from <-chan *piece
	cur  *piece
	pos  int
	end  error
}

var errCut = errors.New("engine: the stream was cut")

// Read implements io.Reader.
func (r *pieces) Read(b []byte) (int, error) {
	for {
		if r.cur != nil && r.pos < r.cur.n {
			n := copy(b, r.cur.bytes()[r.pos:])
			r.pos += n
			return n, nil
		}
		if r.end != nil {
			return 0, r.end
		}
		if r.cur != nil {
			relayPool.Put(r.cur.buf)
			r.cur = nil
		}
		select {
		case p, ok := <-r.from:
			if !ok {
				r.end = errCut // the reason is what the others return
				if r.ctx.Err() != nil {
					r.end = r.ctx.Err()
				}
				continue
			}
			r.cur, r.pos, r.end = p, 0, p.end
		case <-r.ctx.Done():
			r.end = r.ctx.Err()
		}
	}
}
