package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"

	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/containerd/errdefs"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/laminafs/lamina/erofs"
	"github.com/laminafs/lamina/internal/convert"
	"github.com/laminafs/lamina/tartree"
)

// maxRounds is how often the last server is asked that gives something each time, and then falls silent.
const maxRounds = 3

// trail leads from server to server that may have one thing: through the mirrors of a repository, and through the
// repositories that it is in. The library passes over servers that do not answer or refuse; those that answer with
// other bytes than they were asked for, or with too few, or fall silent in the middle, are passed over here.
type trail struct {
	client *client
	repos  []string // as names with a tag or a digest

	repo, skip int  // where we are: servers that have been passed over do not count any more
	rounds     int  // how often the last one was asked again
	afresh     bool // the bytes of an earlier fetch have been given up
	errs       []error

	mu     sync.Mutex // guards what follows
	served int        // which server answered last, of all of the repository
	name   string     // of who answered last, behind a redirect another; "": nobody has
	got    int64      // bytes since the server was asked
}

// follow returns a trail through repositories.
func (c *client) follow(repos ...string) *trail { return &trail{client: c, repos: repos} }

// choose leaves the servers that have not been passed over, and hears who of them answers.
func (t *trail) choose(list []docker.RegistryHost) []docker.RegistryHost {
	list = slices.Clone(list)
	for i := range list {
		c := *list[i].Client
		c.Transport = &hearer{c.Transport, t, i}
		list[i].Client = &c
	}
	return list[min(t.skip, len(list)):]
}

// hearer tells a trail who answers.
type hearer struct {
	next http.RoundTripper
	t    *trail
	i    int
}

// RoundTrip implements http.RoundTripper.
func (h *hearer) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := h.next.RoundTrip(r)
	if err == nil && resp.StatusCode < http.StatusBadRequest {
		h.t.mu.Lock()
		h.t.served, h.t.name = h.i, registryName(r.URL.String())
		h.t.mu.Unlock()
	}
	return resp, err
}

// resolve asks what a name stands for.
func (t *trail) resolve(ctx context.Context) (v1.Descriptor, error) {
	t.ask()
	_, d, err := t.client.resolver(t.choose).Resolve(ctx, t.repos[t.repo])
	var size int64
	switch {
	case errdefs.IsNotFound(err) && tooLarge(err, &size): // so the library says, and nothing else tells
		return d, invalidf("a manifest of %d bytes: more than the %d that are read", size, int64(docker.MaxManifestSize))
	case errdefs.IsNotFound(err):
		return d, fmt.Errorf("the registry has no such image: %w", errdefs.ErrNotFound)
	}
	return d, ofRegistry(err)
}

// tooLarge reads the size of a manifest that the library does not take from what it says.
func tooLarge(err error, size *int64) bool {
	_, bad := fmt.Sscanf(err.Error(), "rejecting %d byte manifest", size)
	return bad == nil
}

// open asks the server where the trail is, or the next that answers.
func (t *trail) open(ctx context.Context, d v1.Descriptor) (io.ReadCloser, error) {
	t.ask()
	f, err := t.client.resolver(t.choose).Fetcher(ctx, t.repos[t.repo])
	if err != nil {
		return nil, &fault{ofRegistry(err)}
	}
	r, err := f.Fetch(ctx, d)
	if err != nil {
		return nil, &fault{ofRegistry(err)}
	}
	return &trailReader{r, t, d}, nil
}

// ask forgets who answered before.
func (t *trail) ask() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.served, t.name, t.got = 0, "", 0
}

// fault is an error of a server.
type fault struct{ error }

func (f *fault) Unwrap() error { return f.error }

// trailReader reads what a server gives: its errors are faults, and name the server.
type trailReader struct {
	io.ReadCloser
	t *trail
	d v1.Descriptor
}

// Read implements io.Reader.
func (r *trailReader) Read(b []byte) (int, error) {
	n, err := r.ReadCloser.Read(b)
	r.t.mu.Lock()
	defer r.t.mu.Unlock()
	r.t.got += int64(n)
	switch {
	case err == nil, err == io.EOF, errors.Is(err, context.Canceled):
		return n, err
	case errors.Is(err, io.ErrUnexpectedEOF):
		err = errBrokeOff
	case errdefs.IsNotFound(err):
		return n, &fault{fmt.Errorf("the registry has it not: %w", errdefs.ErrNotFound)}
	case errdefs.IsFailedPrecondition(err):
		return n, &fault{invalidf("%s: it has more than the %d bytes that it should have", r.d.Digest, r.d.Size)}
	}
	short := ofRegistry(err)
	if short == err && r.t.name != "" {
		short = fmt.Errorf("registry %s: %w", r.t.name, err)
	}
	return n, &fault{short}
}

// errBrokeOff is matched by the error about a connection that ended in the middle: what it was to bring may be whole.
var errBrokeOff = errors.New("engine: the connection broke off")

// Seek implements io.Seeker, as the library's reader does.
func (r *trailReader) Seek(offset int64, whence int) (int64, error) {
	return r.ReadCloser.(io.Seeker).Seek(offset, whence)
}

// goOn tells whether to open again after an error, and sees to it that somebody else is asked, or for something else.
// With resumed set, the beginning was not asked for: it is of an earlier fetch.
func (t *trail) goOn(ctx context.Context, err error, resumed bool) bool {
	var f *fault
	var digest *convert.DigestError
	bad := errors.Is(err, ErrInvalid) || errors.As(err, &digest) || errors.Is(err, tartree.ErrArchive) || errors.Is(err, erofs.ErrCorrupt)
	if ctx.Err() != nil || !bad && !errors.As(err, &f) {
		t.errs = []error{err}
		return false
	}
	if bad && resumed && !t.afresh { // who knows whose fault it is
		t.afresh = true
		return true
	}
	if name := t.answered(); bad && name != "" {
		err = fmt.Errorf("registry %s: %w", name, err)
	}
	return t.passOver(err)
}

// answered is the name of who answered last.
func (t *trail) answered() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.name
}

// passOver remembers what is to be said of the server that answered last, and goes on to the next; false if there is none.
func (t *trail) passOver(err error) bool {
	if !slices.ContainsFunc(t.errs, func(e error) bool { return e.Error() == err.Error() }) {
		t.errs = append(t.errs, err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.name != "" && t.served+1 < t.client.count(t.repos[t.repo]): // if nobody answered, all have been asked
		t.skip = t.served + 1
	case t.repo+1 < len(t.repos):
		t.repo, t.skip = t.repo+1, 0
	case errors.Is(err, errSilent) && t.got > 0 && t.rounds < maxRounds:
		t.rounds++
	default:
		return false
	}
	return true
}

// failed is what all servers together had to say.
func (t *trail) failed() error { return errors.Join(t.errs...) }

// document brings a document, whole and verified.
func (t *trail) document(ctx context.Context, d v1.Descriptor) (io.ReadCloser, error) {
	for {
		b, err := func() ([]byte, error) {
			r, err := t.open(ctx, d)
			if err != nil {
				return nil, err
			}
			defer func() { _ = r.Close() }() // only read
			return readVerified(r, d)
		}()
		if err == nil {
			return io.NopCloser(bytes.NewReader(b)), nil
		}
		if !t.goOn(ctx, err, false) {
			return nil, t.failed()
		}
	}
}
