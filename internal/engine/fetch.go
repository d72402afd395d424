package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/remotes"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
)

// Watcher is told how a transfer goes. Its methods may be called by several goroutines at once; they are quick.
type Watcher interface {
	Layers(list []v1.Descriptor) // what there is to do; called once, first
	Moved(i int, n int64)        // n more bytes of layer i are done
	Done(i int, how string)      // layer i is finished: "fetched", "there", "converted", "pushed"
}

// nobody watches nothing.
type nobody struct{}

func (nobody) Layers([]v1.Descriptor) {}
func (nobody) Moved(int, int64)       {}
func (nobody) Done(int, string)       {}

// transfer brings layers into the store.
type transfer struct {
	*Local
	source source // of what is not in the content store
	labels map[string]string
	watch  Watcher
}

// source leads to the servers that have something.
type source func(context.Context, v1.Descriptor) (*trail, error)

// only is the source of what is in one repository.
func (c *client) only(name string) source {
	return func(context.Context, v1.Descriptor) (*trail, error) { return c.follow(name), nil }
}

// layers makes sure that the store has every layer.
func (t *transfer) layers(ctx context.Context, list []layer) error { return t.each(ctx, list, t.layer) }

// each calls do for every layer, several at once, the largest first. The first error ends all.
func (t *transfer) each(ctx context.Context, list []layer, do func(context.Context, int, layer) (string, error)) error {
	descs := make([]v1.Descriptor, len(list))
	order := make([]int, len(list))
	for i := range list {
		descs[i], order[i] = list[i].desc, i
	}
	t.watch.Layers(descs)
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(list[b].desc.Size, list[a].desc.Size) })
	seen := map[digest.Digest]bool{} // layers may occur more than once
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(t.workers())
	for _, i := range order {
		if seen[list[i].desc.Digest] {
			t.watch.Done(i, "there")
			continue
		}
		seen[list[i].desc.Digest] = true
		g.Go(func() error {
			how, err := do(gctx, i, list[i])
			if errdefs.IsInvalidArgument(err) {
				err = invalidf("%v", err)
			}
			if err != nil {
				return fmt.Errorf("layer %d: %w", i, err)
			}
			t.watch.Done(i, how)
			return nil
		})
	}
	err := g.Wait()
	if cause := context.Cause(ctx); cause != nil && err != nil {
		return cause
	}
	return err
}

// layer brings one layer into the store, and says how. Only one process at a time fetches a layer; others
// wait for it and then find it there.
func (t *transfer) layer(ctx context.Context, i int, l layer) (string, error) {
	if there, err := t.hold(ctx, l); err != nil || there {
		return "there", err
	}
	done, err := t.busy(ctx, l)
	if err != nil {
		return "", err
	}
	defer done()
	if there, err := t.hold(ctx, l); err != nil || there {
		return "there", err
	}
	switch _, err := t.content.Info(t.named(ctx), l.desc.Digest); {
	case err == nil:
		err := t.fromDisk(ctx, i, l)
		if err == nil || !t.isSpoilt(ctx, l.desc, err) {
			return "converted", err
		}
		if err := t.forget(ctx, l.desc); err != nil {
			return "", err
		}
	case !errdefs.IsNotFound(err):
		return "", err
	}
	return "fetched", t.fromSource(ctx, i, l)
}

// isSpoilt tells whether a layer that the content store has could not be converted, with why as the reason, because its
// file is lost, or has not the bytes any more that it had. A native layer and its blob are one file, and damaged together.
func (t *transfer) isSpoilt(ctx context.Context, d v1.Descriptor, why error) bool {
	if errdefs.IsNotFound(why) {
		return true
	}
	if !isBadLayer(why) {
		return false
	}
	r, err := t.fromContent(ctx, d)
	if err != nil {
		return errdefs.IsNotFound(err)
	}
	defer func() { _ = r.Close() }() // only read
	v := d.Digest.Verifier()
	_, err = io.Copy(v, &cancelled{ctx, r})
	return err == nil && !v.Verified()
}

// forget removes a layer from the content store: its file first, which the records would take for the layer that comes.
func (t *transfer) forget(ctx context.Context, d v1.Descriptor) error {
	if err := t.files.Delete(ctx, d.Digest); err != nil && !errdefs.IsNotFound(err) {
		return err
	}
	return t.content.Delete(t.named(ctx), d.Digest)
}

// busy waits until no other process makes the blob of a layer.
func (t *transfer) busy(ctx context.Context, l layer) (done func(), err error) {
	return claim(t.path("content", "busy", l.diffID.Encoded()), func() error { return context.Cause(ctx) })
}

// fromDisk converts a layer that is in the content store.
func (t *transfer) fromDisk(ctx context.Context, i int, l layer) error {
	r, err := t.fromContent(ctx, l.desc)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }() // only read
	d := l.desc.Digest
	file := t.path("content", "blobs", d.Algorithm().String(), d.Encoded())
	return t.convert(ctx, &movedReader{r, t.watch, i}, l, file)
}

type movedReader struct {
	io.Reader
	watch Watcher
	i     int
}

// Read implements io.Reader.
func (m *movedReader) Read(b []byte) (int, error) {
	n, err := m.Reader.Read(b)
	m.watch.Moved(m.i, int64(n))
	return n, err
}

// fromSource fetches a layer, and converts it while it comes.
func (t *transfer) fromSource(ctx context.Context, i int, l layer) error {
	moved := int64(0) // to be taken back when it starts again
	native := false
	err := t.fetch(ctx, l.desc, func(in *ingestion, r io.Reader) error {
		t.watch.Moved(i, -moved)
		from := &movedReader{&countedReader{r, &moved}, t.watch, i}
		if moved = 0; IsNative(l.desc.MediaType) { // the blob may become a link of the file
			native = true
			return in.all(ctx, from)
		}
		err := relay(ctx, from, in, func(ctx context.Context, r io.Reader) error { return t.convert(ctx, r, l, "") })
		return in.failed(err)
	})
	if native && err == nil || errdefs.IsAlreadyExists(err) { // fetched by somebody outside of our lock
		return t.fromDisk(ctx, i, l)
	}
	return err
}

// fetch brings something from the first server of its source that gives it whole: take gets all of its bytes. Bytes that
// have not the digest leave nothing; a stream that breaks off leaves the beginning in the content store, and the
// next server, or the next fetch, goes on from there. If it is there already, the error says so.
func (t *transfer) fetch(ctx context.Context, d v1.Descriptor, take func(*ingestion, io.Reader) error) error {
	way, err := t.source(ctx, d)
	if err != nil {
		return err
	}
	for {
		resumed, err := t.fetchOnce(ctx, d, way, take)
		if err == nil || errdefs.IsAlreadyExists(err) {
			return err
		}
		if !way.goOn(ctx, err, resumed) {
			return way.failed()
		}
	}
}

// fetchOnce is fetch from the server where the way is.
func (t *transfer) fetchOnce(ctx context.Context, d v1.Descriptor, way *trail, take func(*ingestion, io.Reader) error) (resumed bool, err error) {
	in, err := t.ingest(ctx, d)
	if err != nil {
		return false, err
	}
	defer func() { _ = in.Close() }() // keeps what came, unless it was committed or aborted
	resumed = in.skip > 0
	src, err := way.open(ctx, d)
	if err != nil {
		return resumed, err
	}
	defer func() { _ = src.Close() }()
	r, err := in.resume(src)
	if err != nil {
		return resumed, err
	}
	defer func() { _ = r.Close() }()
	return resumed, take(in, &sourceReader{r: r, size: d.Size})
}

// sourceReader says of a connection that broke off, or is silent, how far it came: the rest may be had later.
type sourceReader struct {
	r       io.Reader
	n, size int64
}

// Read implements io.Reader.
func (s *sourceReader) Read(b []byte) (int, error) {
	n, err := s.r.Read(b)
	s.n += int64(n)
	if errors.Is(err, errBrokeOff) || errors.Is(err, errSilent) {
		err = fmt.Errorf("%w after %d of %d bytes; what came is kept for the next try", err, s.n, s.size)
	}
	return n, err
}

// countedReader counts what is read.
type countedReader struct {
	r io.Reader
	n *int64
}

// Read implements io.Reader.
func (c *countedReader) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	*c.n += int64(n)
	return n, err
}

// ingestion is a layer on its way into the content store.
type ingestion struct {
	content.Writer
	ctx  context.Context // of the fetch
	t    *transfer
	desc v1.Descriptor
	ref  string
	skip int64 // bytes that are there already, from an earlier fetch
	size int64 // bytes that have come, those included
}

func (t *transfer) ingest(ctx context.Context, d v1.Descriptor) (*ingestion, error) {
	in := &ingestion{ctx: ctx, t: t, desc: d, ref: remotes.MakeRefKey(ctx, v1.Descriptor{MediaType: d.MediaType, Digest: d.Digest})}
	w, err := t.content.Writer(t.named(ctx), content.WithRef(in.ref), content.WithDescriptor(d))
	if err != nil {
		return nil, err
	}
	in.Writer = w
	st, err := w.Status()
	if err == nil && st.Offset > d.Size { // of another version of the truth
		err = w.Truncate(0)
		st.Offset = 0
	}
	in.skip = st.Offset
	if err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return in, nil
}

// Write implements io.Writer: it keeps what is new.
func (in *ingestion) Write(b []byte) (int, error) {
	n := len(b)
	in.size += int64(n)
	if in.size > in.desc.Size {
		return 0, invalidf("%s: it has more than the %d bytes that it should have", in.desc.Digest, in.desc.Size)
	}
	old := min(in.skip, int64(n))
	in.skip -= old
	if b = b[old:]; len(b) > 0 {
		if _, err := in.Writer.Write(b); err != nil {
			return 0, err
		}
	}
	return n, nil
}

// resume returns the whole stream: what is there already, then the rest of src.
func (in *ingestion) resume(src io.ReadCloser) (io.ReadCloser, error) {
	if in.skip == 0 {
		return io.NopCloser(src), nil
	}
	path, err := in.file()
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if s, ok := src.(io.Seeker); ok {
		_, err = s.Seek(in.skip, io.SeekStart)
	} else {
		_, err = io.CopyN(io.Discard, src, in.skip)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(io.LimitReader(f, in.skip), src), f}, nil
}

// file is where the content store keeps what has come so far: it has no way to read that.
func (in *ingestion) file() (string, error) {
	path, err := in.t.files.find("/" + in.ref)
	if err == nil && path == "" {
		err = fmt.Errorf("engine: %s: what was fetched before: %w", in.desc.Digest, errdefs.ErrNotFound)
	}
	return path, err
}

// all takes everything from a reader and commits it.
func (in *ingestion) all(ctx context.Context, r io.Reader) error {
	_, err := io.CopyBuffer(struct{ io.Writer }{in}, &cancelled{ctx, r}, make([]byte, relaySize))
	if err == nil {
		err = in.verify()
	}
	if err == nil {
		err = in.commit()
	}
	return in.failed(err)
}

// verify tells whether the bytes that came are those that were wanted.
func (in *ingestion) verify() error {
	if in.size != in.desc.Size {
		return invalidf("%s: it has %d bytes, not %d", in.desc.Digest, in.size, in.desc.Size)
	}
	if got := in.Digest(); got != in.desc.Digest && got.Algorithm() == in.desc.Digest.Algorithm() {
		return invalidf("%s: its bytes have the digest %s", in.desc.Digest, got)
	}
	return nil
}

// commit makes the layer durable and records it.
func (in *ingestion) commit() error {
	err := in.Commit(in.t.named(in.ctx), in.desc.Size, in.desc.Digest, content.WithLabels(in.t.labels))
	if errdefs.IsAlreadyExists(err) {
		return nil
	}
	if errdefs.IsFailedPrecondition(err) { // another algorithm than the writer's
		return invalidf("%s: %v", in.desc.Digest, err)
	}
	return err
}

// failed ends an ingest after an error. What came is kept, and the next fetch goes on behind it, if nothing
// is wrong with it: if only the stream broke off, or we were told to stop.
func (in *ingestion) failed(err error) error {
	if err == nil || !errors.Is(err, ErrInvalid) && !isBadLayer(err) {
		return err
	}
	ctx := in.t.named(context.WithoutCancel(in.ctx))
	aerr := errors.Join(in.Close(), in.t.content.Abort(ctx, in.ref))
	if errdefs.IsNotFound(aerr) { // committed
		aerr = nil
	}
	return errors.Join(err, aerr)
}

// putDocuments records documents with their labels, in the transaction of ctx if there is one.
func (l *Local) putDocuments(ctx context.Context, docs []document, labels map[string]string) error {
	ctx = l.named(ctx)
	for _, d := range docs {
		all := map[string]string{}
		maps.Copy(all, labels)
		maps.Copy(all, d.labels)
		ref := remotes.MakeRefKey(ctx, v1.Descriptor{MediaType: d.desc.MediaType, Digest: d.desc.Digest})
		err := content.WriteBlob(ctx, l.content, ref, strings.NewReader(string(d.bytes)), d.desc, content.WithLabels(all))
		if err != nil {
			return fmt.Errorf("engine: %s: %w", d.desc.Digest, err)
		}
		if err := l.addLabels(ctx, d, all); err != nil {
			return err
		}
	}
	return nil
}

// addLabels gives a document that was there before the labels that it lacks.
func (l *Local) addLabels(ctx context.Context, d document, labels map[string]string) error {
	info, err := l.content.Info(ctx, d.desc.Digest)
	if err != nil {
		return err
	}
	var paths []string
	for k, v := range labels {
		if info.Labels[k] != v {
			paths = append(paths, "labels."+k)
		}
	}
	if len(paths) == 0 {
		return nil
	}
	_, err = l.content.Update(ctx, content.Info{Digest: d.desc.Digest, Labels: labels}, paths...)
	return err
}
