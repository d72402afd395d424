package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// defaultIdle is how long a registry may be silent if the configuration does not say.
const defaultIdle = time.Minute

// errSilent is matched by errors about a registry that was waited for, and gave nothing.
var errSilent = errors.New("engine: the registry is silent")

// silence is an error that matches errSilent.
type silence struct{ limit time.Duration }

func (s *silence) Error() string        { return fmt.Sprintf("no bytes for %s", s.limit) }
func (s *silence) Is(target error) bool { return target == errSilent }

// listener ends a request whose answer stops coming: the library waits for headers for a bounded time, for what
// follows them without end. Only the time in which somebody waits counts. Uploads are let alone: a registry may have
// long to do after the last byte.
type listener struct {
	next  http.RoundTripper
	limit time.Duration
}

// listen makes a client listen; one that does is left as it is.
func listen(c *http.Client, limit time.Duration) {
	if _, ok := c.Transport.(*listener); !ok {
		c.Transport = &listener{c.Transport, limit}
	}
}

// RoundTrip implements http.RoundTripper.
func (l *listener) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return l.next.RoundTrip(r)
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	b := &heardBody{ctx: ctx, cancel: cancel, limit: l.limit}
	stop := b.wait()
	resp, err := l.next.RoundTrip(r.WithContext(ctx))
	stop()
	if err != nil {
		err = b.reason(err)
		cancel(nil)
		return resp, err
	}
	if err := whole(resp); err != nil {
		_ = resp.Body.Close() // not read
		cancel(nil)
		return nil, err
	}
	b.ReadCloser, resp.Body = resp.Body, b
	return resp, nil
}

// whole makes the address of a redirect one with a host: errors about it then say of whom they are.
func whole(resp *http.Response) error {
	to := resp.Header.Get("Location")
	if to == "" || resp.StatusCode/100 != 3 {
		return nil
	}
	u, err := url.Parse(to)
	if err != nil {
		return errors.New("it redirects to what is no URL")
	}
	resp.Header.Set("Location", resp.Request.URL.ResolveReference(u).String())
	return nil
}

// heardBody is the body of an answer.
type heardBody struct {
	io.ReadCloser
	ctx    context.Context // of the request
	cancel context.CancelCauseFunc
	limit  time.Duration
}

// wait ends the request if stop is not called in time.
func (b *heardBody) wait() (stop func() bool) {
	return time.AfterFunc(b.limit, func() { b.cancel(&silence{b.limit}) }).Stop
}

// reason is why something failed: the cause, if we have ended it.
func (b *heardBody) reason(err error) error {
	if cause := context.Cause(b.ctx); errors.Is(cause, errSilent) {
		return cause
	}
	return err
}

// Read implements io.Reader.
func (b *heardBody) Read(p []byte) (int, error) {
	stop := b.wait()
	n, err := b.ReadCloser.Read(p)
	stop()
	if err != nil && err != io.EOF {
		err = b.reason(err)
	}
	return n, err
}

// Close implements io.Closer.
func (b *heardBody) Close() error {
	defer b.cancel(nil)
	return b.ReadCloser.Close()
}
