package engine

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/plugins/content/local"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
)

// promptSize is how many bytes of an ingest come between two syncs of it. Each is a commit of the journal, and a
// flush of the disk's cache, so not every buffer is worth one.
const promptSize = 16 << 20

// prompt is a content store in a directory. What comes is written to the disk while more comes, so that the
// sync of Commit finds little left to do. A sync in between promises nothing: Commit makes its own. There is one at
// a time: where several layers come at once, the rest of one is written while the others are converted.
type prompt struct {
	content.Store
	dir  string
	slot chan struct{}           // has room for whoever syncs
	sync func(path string) error // syncFile, or what a test has in its place
}

func newPrompt(dir string) (*prompt, error) {
	s, err := local.NewStore(dir)
	return &prompt{s, dir, make(chan struct{}, 1), syncFile}, err
}

// Writer implements content.Ingester.
func (p *prompt) Writer(ctx context.Context, opts ...content.WriterOpt) (content.Writer, error) {
	var o content.WriterOpts
	for _, opt := range opts {
		if err := opt(&o); err != nil {
			return nil, err
		}
	}
	w, err := p.Store.Writer(ctx, opts...)
	if err != nil {
		return nil, err
	}
	return &promptWriter{Writer: w, store: p, ref: o.Ref, path: p.ingest(o.Ref)}, nil
}

// ingest is where containerd's store keeps what has come of a content that is not complete.
func (p *prompt) ingest(ref string) string {
	return filepath.Join(p.dir, "ingest", digest.FromString(ref).Encoded(), "data")
}

// find returns where an ingest is whose ref ends in suffix, "" if there is none. The store below lists them, too,
// but answers ErrNotFound while any of them is being committed.
func (p *prompt) find(suffix string) (string, error) {
	list, err := os.ReadDir(filepath.Join(p.dir, "ingest"))
	if err != nil {
		return "", err
	}
	for _, e := range list {
		ref, err := os.ReadFile(filepath.Join(p.dir, "ingest", e.Name(), "ref"))
		if err == nil && strings.HasSuffix(string(ref), suffix) {
			return p.ingest(string(ref)), nil
		}
	}
	return "", nil
}

// promptWriter is for one goroutine, like every writer.
type promptWriter struct {
	content.Writer
	store *prompt
	ref   string
	path  string
	fresh int64 // bytes since its last sync began
	syncs sync.WaitGroup
	lost  atomic.Bool // a sync failed: the disk may lack bytes that the page cache has
}

// Write implements io.Writer.
func (w *promptWriter) Write(b []byte) (int, error) {
	n, err := w.Writer.Write(b)
	if w.fresh += int64(n); w.fresh < promptSize {
		return n, err
	}
	select {
	case w.store.slot <- struct{}{}:
		w.fresh = 0
		w.syncs.Go(func() {
			defer func() { <-w.store.slot }()
			if w.store.sync(w.path) != nil {
				w.lost.Store(true)
			}
		})
	default:
	}
	return n, err
}

// syncFile syncs a file of somebody else, if it is still there. The kernel reports what it cannot write to everybody who
// has the file open then (fsync(2), since Linux 4.13), so also to the writer, in Commit; who opens it later is told nothing.
func syncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return nil // committed or given up meanwhile
	}
	err = f.Sync()
	_ = f.Close() // only read
	return err
}

// Sync implements content.Syncer: the metadata calls it before its transaction.
func (w *promptWriter) Sync() error {
	if s, ok := w.Writer.(content.Syncer); ok {
		return s.Sync()
	}
	return nil
}

// Commit implements content.Writer.
func (w *promptWriter) Commit(ctx context.Context, size int64, expected digest.Digest, opts ...content.Opt) error {
	defer w.syncs.Wait()
	return w.Writer.Commit(ctx, size, expected, opts...)
}

// Close implements io.Closer. What a sync has lost is not there to go on with: the next pull begins anew.
func (w *promptWriter) Close() error {
	err := w.Writer.Close()
	if w.syncs.Wait(); w.lost.Load() {
		if aerr := w.store.Abort(context.Background(), w.ref); !errdefs.IsNotFound(aerr) {
			err = errors.Join(err, aerr)
		}
	}
	return err
}
